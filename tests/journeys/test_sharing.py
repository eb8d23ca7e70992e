"""A server that several projects share: keys, tags, quotas and priorities, asked by boto3."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.journeys.shed import BUCKET, NOBODY_ASKS_TWICE, Shed, until

from trainshed.testing.server import Server

SECRET = "a-secret-that-is-long-enough"
SETTINGS = f"""
[projects.vision]
weight = 2
max_gpus = 8
access_keys = {{ AKVISION = "{SECRET}" }}
[projects.speech]
max_jobs = 1
[queue]
ageing_minutes = 30
[backends.place]
kind = "simulated"
max_nodes = 2
capacity = {{ "ml.p3.*" = 1 }}
[spot]
require_checkpoints = false
"""
KEPT = {"S3Uri": f"s3://{BUCKET}/kept"}
LONG = {"sim.duration": "600", "sim.checkpoint_every": "1"}


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("sharing")
    with Server(folder / "data", SETTINGS) as server:
        yield Shed(server, folder)


def tags(**said: str) -> list[dict[str, str]]:
    told = {"backend": "place", **{key.replace("_", "-"): text for key, text in said.items()}}
    return [{"Key": f"trainshed:{key}", "Value": text} for key, text in told.items()]


def create(shed: Shed, **members: Any) -> str:
    return shed.create(HyperParameters={"sim.duration": "0.1"}, **{"Tags": tags(), **members})


def resources(instance_type: str = "ml.m5.large", nodes: int = 1) -> dict[str, Any]:
    return {"InstanceType": instance_type, "InstanceCount": nodes, "VolumeSizeInGB": 1}


def message(told: dict[str, Any]) -> str:
    return str(told["SecondaryStatusTransitions"][-1]["StatusMessage"])


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {"Tags": tags(project="vison")},
            (
                "names the project 'vison', which this server does not have; "
                "it has: default, speech, vision."
            ),
        ),
        ({"Tags": tags(priority="100")}, "is '100'; a priority is a whole number from 0 to 99"),
        ({"Tags": tags(priority="-1")}, "is '-1'; a priority is a whole number"),
        ({"Tags": tags(priority="1.5")}, "is '1.5'; a priority is a whole number"),
        (
            {"Tags": tags(preemptible="yes"), "CheckpointConfig": KEPT},
            "is 'yes'; it is true or false",
        ),
        ({"Tags": tags(preemptible="true")}, "there is no CheckpointConfig"),
        ({"Tags": tags(instance_types="ml.p3.huge")}, "'ml.p3.huge', which is no instance type"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            },
            (
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
                "MaxRuntimeInSeconds"
            ),
        ),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds. It must be present"),
    ],
)
def test_what_makes_no_sense_is_refused(shed: Shed, members: dict[str, Any], says: str) -> None:
    with pytest.raises(ClientError) as error:
        create(shed, **members)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert says in error.value.response["Error"]["Message"]


def test_whoever_signs_with_a_projects_key_works_for_that_project(shed: Shed) -> None:
    theirs = boto3.client(
        "sagemaker",
        endpoint_url=shed.server.url,
        region_name="us-east-1",
        aws_access_key_id="AKVISION",
        aws_secret_access_key=SECRET,
        config=NOBODY_ASKS_TWICE,
    )
    own, shed.sagemaker = shed.sagemaker, theirs
    try:
        huge = create(shed, ResourceConfig=resources("ml.p3.16xlarge", 2))
        assert "the backend 'place' has at most 1" in shed.failed(huge)
        wide = create(
            shed, ResourceConfig=resources("ml.p2.16xlarge", 1), Tags=tags(project="vision")
        )
        assert "the project 'vision' may use 8 GPUs at once, the job asks for 16 GPUs" in (
            shed.failed(wide)
        )
        same = create(shed, ResourceConfig=resources("ml.p2.16xlarge", 1))
        assert "the project 'vision' may use 8 GPUs at once" in shed.failed(same)
    finally:
        shed.sagemaker = own
    free = create(shed, ResourceConfig=resources("ml.p2.16xlarge", 1))
    assert shed.ended(free)["TrainingJobStatus"] == "Completed"


def test_a_wrong_secret_of_a_projects_key_is_refused(shed: Shed) -> None:
    wrong = boto3.client(
        "sagemaker",
        endpoint_url=shed.server.url,
        region_name="us-east-1",
        aws_access_key_id="AKVISION",
        aws_secret_access_key=SECRET + "x",
        config=NOBODY_ASKS_TWICE,
    )
    with pytest.raises(ClientError):
        wrong.list_training_jobs()


def test_jobs_beyond_a_quota_wait_and_say_so_and_start_when_one_has_ended(shed: Shed) -> None:
    first = shed.create(HyperParameters=LONG, Tags=tags(project="speech"))
    shed.until_status(first, "InProgress")
    second = create(shed, Tags=tags(project="speech"))
    told = _until_pending(shed, second)
    assert message(told) == (
        "Training job waiting for capacity: the project 'speech' may run 1 job at once, and does"
    )
    other = create(shed, Tags=tags(project="vision"))
    assert shed.ended(other)["TrainingJobStatus"] == "Completed"
    shed.sagemaker.stop_training_job(TrainingJobName=first)
    assert shed.ended(second)["TrainingJobStatus"] == "Completed"


def test_an_urgent_job_gets_the_nodes_of_a_preemptible_one_which_comes_back(shed: Shed) -> None:
    low = shed.create(
        nodes=2,
        HyperParameters=LONG,
        CheckpointConfig=KEPT,
        Tags=tags(priority="10", preemptible="true"),
    )
    _until(shed, low, "Training")
    urgent = create(shed, Tags=tags(priority="90"))
    assert shed.ended(urgent)["TrainingJobStatus"] == "Completed"
    told = _until(shed, low, "Training")
    walked = [each["Status"] for each in told["SecondaryStatusTransitions"]]
    assert walked[-4:] == ["Interrupted", "Starting", "Downloading", "Training"]
    shed.sagemaker.stop_training_job(TrainingJobName=low)
    shed.ended(low)


def test_a_job_of_preferred_types_tells_which_one_it_got(shed: Shed) -> None:
    busy = shed.create(HyperParameters=LONG, Tags=tags(), ResourceConfig=resources("ml.p3.2xlarge"))
    _until(shed, busy, "Training")
    preferences = [{"InstanceType": "ml.p3.2xlarge"}, {"InstanceType": "ml.g5.xlarge"}]
    asked = {"InstancePreferences": preferences, "InstanceCount": 1, "VolumeSizeInGB": 1}
    told = shed.ended(create(shed, ResourceConfig=asked))
    assert told["TrainingJobStatus"] == "Completed"
    assert told["ResourceConfig"]["SelectedInstanceType"] == "ml.g5.xlarge"
    shed.sagemaker.stop_training_job(TrainingJobName=busy)
    shed.ended(busy)


def test_spot_training_without_checkpoints_is_warned_of(shed: Shed) -> None:
    name = create(
        shed,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
    )
    first = shed.ended(name)["SecondaryStatusTransitions"][0]
    assert "Warning: managed spot training without a CheckpointConfig" in first["StatusMessage"]


def _until_pending(shed: Shed, name: str) -> dict[str, Any]:
    return _until(shed, name, "Pending")


def _until(shed: Shed, name: str, secondary: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def there() -> bool:
        found.update(shed.describe(name))
        return bool(found["SecondaryStatus"] == secondary)

    until(there, lambda: str(found))
    return found
