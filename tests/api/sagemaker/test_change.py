"""Stopping, updating and deleting jobs: each status allows some and refuses the rest."""

from dataclasses import replace
from typing import Any

import pytest
from tests.api.sagemaker.shed import Shed

from trainshed.api.sagemaker.change import ChangeTraining
from trainshed.domain.errors import RequestRejected
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import MOVES, SecondaryStatus, TrainingJob, TrainingJobStatus
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.wire.message import Call

S = SecondaryStatus
WAYS = {
    S.STARTING: (),
    S.PENDING: (S.PENDING,),
    S.DOWNLOADING: (S.DOWNLOADING,),
    S.TRAINING: (S.TRAINING,),
    S.UPLOADING: (S.TRAINING, S.UPLOADING),
    S.INTERRUPTED: (S.INTERRUPTED,),
    S.STOPPING: (S.STOPPING,),
    S.COMPLETED: (S.TRAINING, S.UPLOADING, S.COMPLETED),
    S.FAILED: (S.FAILED,),
    S.STOPPED: (S.STOPPING, S.STOPPED),
    S.MAX_RUNTIME_EXCEEDED: (S.STOPPING, S.MAX_RUNTIME_EXCEEDED),
    S.MAX_WAIT_TIME_EXCEEDED: (S.STOPPING, S.MAX_WAIT_TIME_EXCEEDED),
}
RUNNING = [s for s in S if MOVES[s] and s is not S.STOPPING]
OVER = [s for s in S if not MOVES[s]]
DIGITS = {"TrainingJobName": "digits"}


async def job_in(shed: Shed, secondary: SecondaryStatus, **members: Any) -> TrainingJob:
    arn = await shed.create(**members)
    return await shed.move(arn, *WAYS[secondary])


@pytest.mark.parametrize("secondary", RUNNING)
async def test_stopping_a_running_job_shows_at_once(shed: Shed, secondary: SecondaryStatus) -> None:
    arn = (await job_in(shed, secondary)).arn
    shed.pass_time(5)

    assert await shed.call("StopTrainingJob", **DIGITS) == {}

    job = await shed.job(arn)
    assert (job.secondary, job.status) == (S.STOPPING, TrainingJobStatus.STOPPING)
    assert (job.stop_wish, job.modified) == (shed.now, shed.now)
    assert job.transitions[-1].message == "Stopping the training job"


@pytest.mark.parametrize("secondary", [S.STOPPING, *OVER])
async def test_stopping_or_updating_any_other_is_refused(
    shed: Shed, secondary: SecondaryStatus
) -> None:
    job = await job_in(shed, secondary)
    for operation in ("StopTrainingJob", "UpdateTrainingJob"):
        with pytest.raises(RequestRejected) as refused:
            await shed.call(operation, **DIGITS)
        assert refused.value.code == "ValidationException"
        assert refused.value.message == (
            f"The request was rejected because the training job is in status {job.status}."
        )
    assert await shed.job(job.arn) == job


@pytest.mark.parametrize("secondary", OVER)
async def test_a_job_that_is_over_and_cleaned_is_forgotten_wholly(
    shed: Shed, secondary: SecondaryStatus
) -> None:
    job = await job_in(shed, secondary, Tags=[{"Key": "a", "Value": "1"}])
    await shed.records.take(
        job.id, 1, "algo-1", [Fact(1, 1.0, Kind.METRICS, {"points": [["loss", 1.0, 1.0]]})]
    )
    await shed.change(job.arn, cleaned=True)

    assert await shed.call("DeleteTrainingJob", **DIGITS) == {}

    assert await shed.records.get(job.arn) is None
    assert await shed.tags.tags(job.arn) == {}
    assert await shed.records.final_metrics(job.id) == []


@pytest.mark.parametrize("secondary", [*RUNNING, S.STOPPING])
async def test_a_job_that_is_not_over_cannot_be_deleted(
    shed: Shed, secondary: SecondaryStatus
) -> None:
    job = await job_in(shed, secondary)
    with pytest.raises(RequestRejected, match=f"is in status {job.status}"):
        await shed.call("DeleteTrainingJob", **DIGITS)
    assert await shed.job(job.arn) == job


async def test_a_job_whose_nodes_are_still_there_cannot_be_deleted(shed: Shed) -> None:
    job = await job_in(shed, S.COMPLETED)
    with pytest.raises(RequestRejected, match="still being removed") as refused:
        await shed.call("DeleteTrainingJob", **DIGITS)
    assert refused.value.code == "ResourceInUse"
    assert await shed.job(job.arn) == job


@pytest.mark.parametrize("operation", ["StopTrainingJob", "DeleteTrainingJob", "UpdateTrainingJob"])
async def test_an_unknown_job_is_not_found(shed: Shed, operation: str) -> None:
    with pytest.raises(RequestRejected, match="Requested resource not found") as refused:
        await shed.call(operation, **DIGITS)
    assert refused.value.code == "ValidationException"


async def test_what_an_update_may_change_shows_in_describe(shed: Shed) -> None:
    arn = await shed.create(ProfilerConfig={"S3OutputPath": "s3://out/profile"})
    shed.pass_time(5)
    answer = await shed.call(
        "UpdateTrainingJob",
        ProfilerConfig={"DisableProfiler": True},
        RemoteDebugConfig={"EnableRemoteDebug": False},
        ResourceConfig={"KeepAlivePeriodInSeconds": 0},
        **DIGITS,
    )
    assert answer == {"TrainingJobArn": arn}
    told = await shed.call("DescribeTrainingJob", **DIGITS)
    assert told["ProfilerConfig"] == {"S3OutputPath": "s3://out/profile", "DisableProfiler": True}
    assert told["RemoteDebugConfig"] == {"EnableRemoteDebug": False}
    assert told["ResourceConfig"] == {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
        "KeepAlivePeriodInSeconds": 0,
    }
    assert (await shed.job(arn)).secondary is S.STARTING


@pytest.mark.parametrize(
    "asked",
    [
        {"ProfilerConfig": {"ProfilingIntervalInMilliseconds": 100}},
        {
            "ProfilerRuleConfigurations": [
                {"RuleConfigurationName": "rule", "RuleEvaluatorImage": "image"}
            ]
        },
        {"RemoteDebugConfig": {"EnableRemoteDebug": True}},
    ],
)
async def test_an_update_that_nothing_would_act_on_is_refused(
    shed: Shed, asked: dict[str, Any]
) -> None:
    job = await shed.job(await shed.create())
    with pytest.raises(RequestRejected, match="is not offered by this server"):
        await shed.call("UpdateTrainingJob", **asked, **DIGITS)
    assert await shed.job(job.arn) == job


class Raced:
    """Records in which the engine is quicker: each first write finds the row changed."""

    def __init__(self, records: SqlTrainingRecords) -> None:
        self.records = records
        self.races = 1

    async def get(self, arn: str) -> TrainingJob | None:
        return await self.records.get(arn)

    async def swap(self, old: TrainingJob, new: TrainingJob) -> bool:
        await self._race(old)
        return await self.records.swap(old, new)

    async def remove(self, job: TrainingJob) -> bool:
        await self._race(job)
        return await self.records.remove(job)

    async def _race(self, old: TrainingJob) -> None:
        if self.races:
            self.races -= 1
            assert await self.records.swap(old, replace(old, failure_reason="meanwhile"))


async def test_a_wish_that_loses_a_race_looks_again(shed: Shed) -> None:
    arn = await shed.create()
    change = ChangeTraining(
        records=Raced(shed.records), account="123456789012", clock=lambda: shed.now
    )
    await change.stop_training_job(call("StopTrainingJob"))
    job = await shed.job(arn)
    assert (job.secondary, job.failure_reason) == (S.STOPPING, "meanwhile")


async def test_a_deletion_that_loses_a_race_looks_again(shed: Shed) -> None:
    job = await job_in(shed, S.FAILED)
    await shed.change(job.arn, cleaned=True)
    change = ChangeTraining(
        records=Raced(shed.records), account="123456789012", clock=lambda: shed.now
    )
    await change.delete_training_job(call("DeleteTrainingJob"))
    assert await shed.records.get(job.arn) is None


def call(operation: str) -> Call:
    return Call(
        service="sagemaker",
        operation=operation,
        params=dict(DIGITS),
        region="us-east-1",
        access_key=None,
        request_id="request",
    )
