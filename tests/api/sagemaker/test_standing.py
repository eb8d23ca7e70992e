"""The tags by which a request says how its job stands among others, and where else it may run."""

from collections.abc import Collection
from typing import Any

import pytest
from tests.api.sagemaker.shed import Shed, asked

from trainshed.api.sagemaker.standing import Rules, standing
from trainshed.domain.errors import RequestRejected

KEPT = {"S3Uri": "s3://out/checkpoints"}


def read(tags: dict[str, str], projects: Collection[str] = (), **members: Any) -> dict[str, Any]:
    whole = {f"trainshed:{key}": text for key, text in tags.items()}
    return standing(whole, asked(**members), Rules(projects=projects))


def refused(tags: dict[str, str], projects: Collection[str] = (), **members: Any) -> str:
    with pytest.raises(RequestRejected) as error:
        read(tags, projects, **members)
    assert error.value.code == "ValidationException"
    return error.value.message


def test_without_tags_nothing_is_said() -> None:
    assert read({}) == {}


async def test_what_the_tags_say_is_kept_with_the_job(shed: Shed) -> None:
    said = {
        "project": "vision",
        "priority": "70",
        "preemptible": "true",
        "instance-types": "ml.m5.large ml.g5.xlarge",
    }
    tags = [{"Key": f"trainshed:{key}", "Value": text} for key, text in said.items()]
    job = await shed.job(await shed.create(Tags=tags, CheckpointConfig=KEPT))
    assert (job.project, job.priority, job.preemptible) == ("vision", 70, True)
    assert job.instance_types == ("ml.m5.large", "ml.g5.xlarge")


async def test_a_job_that_says_nothing_has_the_middle_priority(shed: Shed) -> None:
    job = await shed.job(await shed.create())
    assert (job.project, job.priority, job.preemptible, job.instance_types) == ("", 50, False, ())


@pytest.mark.parametrize("text", ["0", "99", "07"])
def test_priorities_reach_from_0_to_99(text: str) -> None:
    assert read({"priority": text}) == {"priority": int(text)}


@pytest.mark.parametrize("text", ["100", "-1", "1.5", "", "high", "²", "9" * 200])
def test_a_priority_out_of_range_is_refused(text: str) -> None:
    assert f"is {text!r}; a priority is a whole number from 0 to 99" in refused({"priority": text})


def test_preemptible_is_true_or_false() -> None:
    assert read({"preemptible": "True"}, CheckpointConfig=KEPT) == {"preemptible": True}
    assert read({"preemptible": "false"}) == {"preemptible": False}
    assert "it is true or false" in refused({"preemptible": "yes"})


def test_a_project_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert read({"project": "a"}, ["a", "b"]) == {"project": "a"}
    assert read({"project": "anything"}) == {"project": "anything"}
    assert "it has: a, b." in refused({"project": "c"}, ["b", "a"])


def test_what_the_request_names_is_tried_first() -> None:
    assert read({"instance-types": "ml.g5.xlarge ml.g5.xlarge"}) == {
        "instance_types": ("ml.m5.large", "ml.g5.xlarge")
    }


def test_a_type_that_does_not_exist_is_refused_with_those_written_alike() -> None:
    told = refused({"instance-types": "ml.g5.xlarg"})
    assert "'ml.g5.xlarg', which is no instance type; did you mean ml.g5.xlarge" in told
    assert "names no instance type" in refused({"instance-types": " "})


def test_types_are_not_for_jobs_with_groups_of_instances() -> None:
    groups = {
        "InstanceGroups": [
            {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1}
        ],
        "VolumeSizeInGB": 1,
    }
    told = refused({"instance-types": "ml.g5.xlarge"}, ResourceConfig=groups)
    assert "is not for jobs with InstanceGroups" in told


def test_a_preemptible_job_must_keep_checkpoints() -> None:
    told = refused({"preemptible": "true"})
    assert "there is no CheckpointConfig" in told
    assert read({"preemptible": "false"}) == {"preemptible": False}


def test_whoever_signs_with_a_projects_key_works_for_it_unless_a_tag_names_another() -> None:
    rules = Rules(projects=["vision", "speech"], keys={"AKVISION": "vision"})
    assert standing({}, asked(), rules, "AKVISION") == {"project": "vision"}
    assert standing({}, asked(), rules, "AKOTHER") == {}
    other = {"trainshed:project": "speech"}
    assert standing(other, asked(), rules, "AKVISION") == {"project": "speech"}
    none = {"trainshed:project": "default"}
    assert standing(none, asked(), rules, "AKVISION") == {}


def test_a_backend_may_know_instance_types_that_amazon_does_not() -> None:
    rules = Rules(types={"docker": ["ml.own.*"]}, backend="docker")
    tags = {"trainshed:instance-types": "ml.own.big"}
    assert standing(tags, asked(), rules)["instance_types"] == ("ml.m5.large", "ml.own.big")
    with pytest.raises(RequestRejected, match="which is no instance type"):
        standing({**tags, "trainshed:backend": "local"}, asked(), rules)


SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
}


async def test_spot_without_checkpoints_is_accepted_with_a_warning(shed: Shed) -> None:
    plain = await shed.job(await shed.create("plain"))
    warned = await shed.job(await shed.create("spot", **SPOT))
    kept = await shed.job(await shed.create("kept", **SPOT, CheckpointConfig=KEPT))
    assert "Warning: managed spot training without a CheckpointConfig" in (
        warned.transitions[0].message
    )
    assert (
        plain.transitions[0].message == kept.transitions[0].message == "Starting the training job"
    )


def test_spot_without_checkpoints_is_refused_where_the_settings_say_so() -> None:
    rules = Rules(spot_needs_checkpoints=True)
    with pytest.raises(RequestRejected, match="only with checkpoints"):
        standing({}, asked(**SPOT), rules)
    assert standing({}, asked(**SPOT, CheckpointConfig=KEPT), rules) == {}
    assert standing({}, asked(), rules) == {}


async def test_the_longest_time_to_be_pending_is_kept(shed: Shed) -> None:
    limits = {"MaxRuntimeInSeconds": 60, "MaxPendingTimeInSeconds": 7200}
    arn = await shed.create(StoppingCondition=limits)
    assert (await shed.job(arn)).request["StoppingCondition"] == limits
