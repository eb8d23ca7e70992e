"""InstancePreferences: a list of instance types, of which a job gets the first that has room."""

from dataclasses import replace
from typing import Any

import pytest
from tests.api.sagemaker.shed import NOON, Shed

from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import Attempt

TYPES = ("ml.p3.2xlarge", "ml.g5.xlarge")


def resources(*counts: int | None, **members: Any) -> dict[str, Any]:
    """Return a ResourceConfig that prefers types, with these counts (None: none is said)."""
    preferences = [
        {"InstanceType": name} if count is None else {"InstanceType": name, "InstanceCount": count}
        for name, count in zip(TYPES, counts, strict=True)
    ]
    return {"InstancePreferences": preferences, "VolumeSizeInGB": 1, **members}


@pytest.mark.parametrize(
    "asked", [resources(2, 2), resources(None, None, InstanceCount=2)], ids=["each", "once"]
)
async def test_the_types_are_kept_best_first_and_told_as_they_came(
    shed: Shed, asked: dict[str, Any]
) -> None:
    job = await shed.job(await shed.create(ResourceConfig=asked))
    assert (job.instance_types, job.instance_count) == (TYPES, 2)
    told = await shed.call("DescribeTrainingJob", TrainingJobName="digits")
    assert told["ResourceConfig"] == asked


async def test_which_one_a_job_got_is_told(shed: Shed) -> None:
    job = await shed.job(await shed.create(ResourceConfig=resources(2, 2)))
    attempt = Attempt(number=1, backend="local", started=NOON, instance_type=TYPES[1])
    assert await shed.records.swap(job, replace(job, attempt=attempt))
    told = await shed.call("DescribeTrainingJob", TrainingJobName="digits")
    assert told["ResourceConfig"]["SelectedInstanceType"] == TYPES[1]
    assert told["ResourceConfig"]["SelectedInstanceCount"] == 2


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"ResourceConfig": resources(1, None)}, "InstanceCount either once"),
        ({"ResourceConfig": resources(None, None)}, "InstanceCount either once"),
        ({"ResourceConfig": resources(1, 1, InstanceCount=1)}, "InstanceCount either once"),
        ({"ResourceConfig": resources(0, 0)}, "greater than or equal to 1"),
        ({"ResourceConfig": resources(1, 2)}, "different counts of instances is not offered"),
        (
            {"ResourceConfig": resources(1, 1, InstanceType="ml.m5.large")},
            "InstanceType exclude each other",
        ),
        (
            {
                "ResourceConfig": resources(1, 1),
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            },
            "is not for EnableManagedSpotTraining",
        ),
        (
            {
                "ResourceConfig": {
                    "InstancePreferences": [{"InstanceType": TYPES[0], "InstanceCount": 1}] * 2,
                    "VolumeSizeInGB": 1,
                }
            },
            "'ml.p3.2xlarge' more than once",
        ),
        (
            {
                "ResourceConfig": resources(1, 1),
                "Tags": [{"Key": "trainshed:instance-types", "Value": "ml.m5.large"}],
            },
            "is not for jobs with InstancePreferences",
        ),
    ],
)
async def test_what_contradicts_itself_is_refused(
    shed: Shed, members: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestRejected) as error:
        await shed.create(**members)
    assert error.value.code == "ValidationException"
    assert says in error.value.message
