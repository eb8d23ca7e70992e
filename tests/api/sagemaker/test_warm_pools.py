"""What the API tells of nodes that are kept warm, and how their period is changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.api.sagemaker.shed import Shed

from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import Attempt, SecondaryStatus, WarmPool, WarmPoolStatus

S = SecondaryStatus
DIGITS = {"TrainingJobName": "digits"}
KEPT = {
    "InstanceType": "ml.m5.large",
    "InstanceCount": 1,
    "VolumeSizeInGB": 30,
    "KeepAlivePeriodInSeconds": 600,
}


async def warm(shed: Shed, **members: Any) -> str:
    """Return the ARN of a job that is over and whose nodes wait for the next one."""
    arn = await shed.create(ResourceConfig=KEPT)
    attempt = Attempt(number=1, backend="local", started=shed.now)
    await shed.change(arn, attempt=attempt)
    await shed.move(arn, S.TRAINING, S.UPLOADING, S.COMPLETED)
    pool = WarmPool(
        status=WarmPoolStatus.AVAILABLE,
        since=shed.now,
        until=shed.now + timedelta(seconds=600),
        chain_began=shed.now,
    )
    await shed.change(arn, pool=pool, cleaned=True)
    return arn


async def test_a_running_job_with_a_period_has_its_pool_in_use(shed: Shed) -> None:
    arn = await shed.create(ResourceConfig=KEPT)
    assert "WarmPoolStatus" not in await shed.call("DescribeTrainingJob", **DIGITS)
    await shed.change(arn, attempt=Attempt(number=1, backend="local", started=shed.now))
    told = await shed.call("DescribeTrainingJob", **DIGITS)
    assert told["WarmPoolStatus"] == {"Status": "InUse"}


async def test_jobs_are_found_by_what_became_of_their_nodes(shed: Shed) -> None:
    await shed.create("other")
    await warm(shed)
    found = await shed.call("ListTrainingJobs", WarmPoolStatusEquals="Available")
    (summary,) = found["TrainingJobSummaries"]
    assert summary["TrainingJobName"] == "digits"
    assert summary["WarmPoolStatus"] == {"Status": "Available"}
    assert not (await shed.call("ListTrainingJobs", WarmPoolStatusEquals="InUse"))[
        "TrainingJobSummaries"
    ]


async def test_a_period_of_0_lets_waiting_nodes_go_at_once(shed: Shed) -> None:
    arn = await warm(shed)
    shed.pass_time(60)
    await shed.call("UpdateTrainingJob", ResourceConfig={"KeepAlivePeriodInSeconds": 0}, **DIGITS)
    pool = (await shed.job(arn)).pool
    assert pool is not None
    assert pool.until == shed.now


async def test_a_longer_period_counts_from_the_end_of_the_job(shed: Shed) -> None:
    arn = await warm(shed)
    since = shed.now
    shed.pass_time(60)
    await shed.call("UpdateTrainingJob", ResourceConfig={"KeepAlivePeriodInSeconds": 900}, **DIGITS)
    pool = (await shed.job(arn)).pool
    assert pool is not None
    assert pool.until == since + timedelta(seconds=900)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {
                "ResourceConfig": KEPT,
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            },
            "is not for EnableManagedSpotTraining",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceGroups": [
                        {
                            "InstanceGroupName": "one",
                            "InstanceType": "ml.m5.large",
                            "InstanceCount": 1,
                        }
                    ],
                    "VolumeSizeInGB": 30,
                    "KeepAlivePeriodInSeconds": 600,
                }
            },
            "is not for jobs with InstanceGroups",
        ),
    ],
    ids=["spot", "groups"],
)
async def test_a_period_is_refused_where_the_service_keeps_no_nodes(
    shed: Shed, members: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestRejected, match=says):
        await shed.create(**members)


async def test_no_period_keeps_nodes_for_longer_than_seven_days_in_all(shed: Shed) -> None:
    arn = await warm(shed)
    pool = (await shed.job(arn)).pool
    assert pool is not None
    await shed.change(arn, pool=replace(pool, chain_began=pool.since - timedelta(days=7, hours=-1)))
    await shed.call(
        "UpdateTrainingJob", ResourceConfig={"KeepAlivePeriodInSeconds": 7200}, **DIGITS
    )
    pool = (await shed.job(arn)).pool
    assert pool is not None
    assert pool.until == pool.since + timedelta(hours=1)


async def test_a_job_whose_nodes_are_kept_is_not_deleted(shed: Shed) -> None:
    arn = await warm(shed)
    with pytest.raises(RequestRejected, match="kept warm for the next one"):
        await shed.call("DeleteTrainingJob", **DIGITS)
    pool = (await shed.job(arn)).pool
    assert pool is not None
    await shed.change(arn, pool=replace(pool, status=WarmPoolStatus.TERMINATED, ended=shed.now))
    await shed.call("DeleteTrainingJob", **DIGITS)


async def test_nothing_else_of_a_job_that_is_over_can_be_changed(shed: Shed) -> None:
    await warm(shed)
    with pytest.raises(RequestRejected, match="Completed"):
        await shed.call("UpdateTrainingJob", ProfilerConfig={"DisableProfiler": True}, **DIGITS)


async def test_a_pool_that_was_taken_over_tells_by_whom_and_how_long_it_waited(shed: Shed) -> None:
    arn = await warm(shed)
    pool = (await shed.job(arn)).pool
    assert pool is not None
    reused = replace(
        pool,
        status=WarmPoolStatus.REUSED,
        ended=shed.now + timedelta(seconds=42),
        reused_by=arn.replace("digits", "next"),
    )
    await shed.change(arn, pool=reused)
    told = await shed.call("DescribeTrainingJob", **DIGITS)
    assert told["WarmPoolStatus"] == {
        "Status": "Reused",
        "ResourceRetainedBillableTimeInSeconds": 42,
        "ReusedByJob": "next",
    }
