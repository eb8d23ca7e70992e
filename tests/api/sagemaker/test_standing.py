"""The tags by which a request says how its job stands among others, and where else it may run."""

from collections.abc import Collection
from typing import Any

import pytest
from tests.api.sagemaker.shed import Shed, asked

from trainshed.api.sagemaker.standing import standing
from trainshed.domain.errors import RequestRejected


def read(tags: dict[str, str], projects: Collection[str] = (), **members: Any) -> dict[str, Any]:
    whole = {f"trainshed:{key}": text for key, text in tags.items()}
    return standing(whole, asked(**members), projects)


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
    job = await shed.job(await shed.create(Tags=tags))
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
    assert read({"preemptible": "True"}) == {"preemptible": True}
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
