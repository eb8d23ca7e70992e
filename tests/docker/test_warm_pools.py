"""What a container leaves in its warm pool's cache is there for the next one, and then gone."""

from pathlib import Path

import pytest
from tests.docker.shed import DockerShed
from tests.journeys.shed import until

pytestmark = pytest.mark.docker


def run(shed: DockerShed, keep: int = 600, code: int = 0) -> str:
    """Return the name of a job that is over and whose containers are gone."""
    resources: dict[str, object] = {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 1,
    }
    if keep:
        resources["KeepAlivePeriodInSeconds"] = keep
    name = shed.run("cached.py", str(code), ResourceConfig=resources)
    shed.over(name)
    shed.nothing_left()
    return name


def folders(shed: DockerShed) -> list[Path]:
    return [each for each in shed.server.data.glob("pools/*") if each.is_dir()]


def test_a_container_finds_what_those_before_it_kept_until_the_pool_is_let_go(
    shed: DockerShed,
) -> None:
    assert shed.lines(run(shed, keep=0))[-1] == "no cache"
    first = run(shed, code=3)
    assert shed.describe(first)["TrainingJobStatus"] == "Failed"
    place = "/opt/ml/sagemaker/warmpoolcache"
    assert shed.lines(first)[-1] == f"{place} holds"
    second = run(shed)
    assert shed.describe(first)["WarmPoolStatus"]["ReusedByJob"] == second
    assert shed.lines(second)[-1] == f"{place} holds {first}"
    assert len(folders(shed)) == 1
    shed.sagemaker.update_training_job(
        TrainingJobName=second, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
    )
    until(lambda: shed.describe(second)["WarmPoolStatus"]["Status"] == "Terminated")
    until(lambda: not folders(shed), lambda: str(folders(shed)))
