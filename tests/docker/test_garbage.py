"""What agents that died left in an engine is found by whose it is, and removed."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docker.engine import containers, docker
from tests.docker.shed import PYTHON, DockerShed
from tests.journeys.shed import until

from trainshed.testing.server import TRAINSHED

pytestmark = pytest.mark.docker

NODE = "eeeeeeeeeeee.1.algo-1"


def gc(data: Path, *options: str) -> list[dict[str, Any]]:
    command = [str(TRAINSHED), "gc", "--json", *options, "--data-dir", str(data)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in {0, 1}, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


class Made:
    """A container, a network and a volume, labelled as agents do it."""

    def __init__(self, data: str, name: str) -> None:
        labels = [f"--label=trainshed.data={data}", f"--label=trainshed.node={NODE}"]
        of_attempt = [labels[0], "--label=trainshed.attempt=eeeeeeeeeeee.1"]
        made = docker("create", f"--name={name}", *labels, PYTHON, "python3").strip()
        network = docker("network", "create", *of_attempt, name).strip()
        docker("volume", "create", *labels, name)
        self.all = {("container", made), ("network", network), ("volume", name)}

    def remove(self) -> None:
        for kind, name in self.all:
            words = ["rm", "-f"] if kind == "container" else [kind, "rm"]
            subprocess.run(["docker", *words, name], capture_output=True, check=False)


@pytest.fixture
def ours(shed: DockerShed) -> Iterator[Made]:
    made = Made(str(shed.server.data), "trainshed-test-left")
    yield made
    made.remove()


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Made]:
    made = Made(str(tmp_path), "trainshed-test-theirs")
    yield made
    made.remove()


def test_what_is_nobody_s_goes_and_what_runs_or_is_another_server_s_stays(
    shed: DockerShed, ours: Made, theirs: Made
) -> None:
    data = shed.server.data
    living = shed.run("mixed.py", "sleep", nodes=2)
    until(lambda: len(containers(data, job=living)) == 2, lambda: f"{shed.describe(living)}")
    for each in containers(data, job=living):
        assert each["Config"]["Labels"]["trainshed.data"] == str(data)
    found = gc(data, "--dry-run")
    assert {(each["Kind"], each["Name"]) for each in found} == ours.all
    assert {each["Backend"] for each in found} == {"docker"}
    found = gc(data)
    assert all(each["Removed"] for each in found)
    assert gc(data) == []
    assert len(containers(data, job=living)) == 2
    kept = docker("ps", "--all", "--quiet", "--filter=name=trainshed-test-theirs").split()
    assert len(kept) == 1
    assert "trainshed-test-theirs" in docker("network", "ls") + docker("volume", "ls")
    shed.sagemaker.stop_training_job(TrainingJobName=living)
    shed.over(living)


def test_an_engine_that_is_away_is_told(tmp_path: Path, shed: DockerShed) -> None:
    program = "trainshed.agent.runtimes.docker.leftovers"
    command = [str(TRAINSHED.with_name("python")), "-I", "-m", program]
    asked = ["find", f"unix://{tmp_path}/none.sock", str(shed.server.data)]
    ran = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "none.sock" in ran.stderr
