"""``trainshed run --image``: what is asked of the server for images, and where they run."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Shell
from tests.client.fake_server import FakeServer

BOTH = {"local": "process", "docker": "docker"}


@pytest.fixture
def script(shell: Shell) -> Path:
    (shell.folder / "train.py").write_text("print('hello')\n")
    return shell.folder / "train.py"


def asked(shell: Shell, *words: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(shell("run", "--dry-run", *words).out)
    return request


def tags(shell: Shell, *words: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in asked(shell, *words).get("Tags", ())}


def test_an_image_runs_its_own_program_and_reads_plain_hyperparameters(
    shell: Shell, fake: FakeServer
) -> None:
    hyperparameters = ["--hp", "lr=0.10", "--hp", "kind=adam", "--hp", "on=true"]
    request = asked(shell, "--image", "host:5000/team/xgb:1.7", *hyperparameters)
    assert request["AlgorithmSpecification"] == {
        "TrainingImage": "host:5000/team/xgb:1.7",
        "TrainingInputMode": "File",
    }
    assert request["HyperParameters"] == {"lr": "0.10", "kind": "adam", "on": "true"}
    assert request["TrainingJobName"].startswith("xgb-")


def test_a_job_of_an_image_sends_its_data_and_no_code(shell: Shell, fake: FakeServer) -> None:
    (shell.folder / "a.csv").write_text("1,2")
    shell("run", "-d", "--name", "j", "--image", "my/image", "--data", "train=a.csv")
    assert [path.partition("/")[2] for path in fake.objects] == ["j/input/train/a.csv"]
    assert fake.jobs["j"]["HyperParameters"] == {}


@pytest.mark.parametrize(
    ("words", "entrypoint", "arguments"),
    [
        (
            ["--entrypoint", "python", "--", "/app/train.py", "--x", "1"],
            ["python"],
            ["/app/train.py", "--x", "1"],
        ),
        (["--", "fit", "--", "./x/", ""], None, ["fit", "--", "./x/", ""]),
        (["--entrypoint", "/bin/true"], ["/bin/true"], None),
        ([], None, None),
    ],
)
def test_entrypoint_and_arguments_are_those_of_docker_run(
    shell: Shell,
    fake: FakeServer,
    words: list[str],
    entrypoint: list[str] | None,
    arguments: list[str] | None,
) -> None:
    algorithm = asked(shell, "--image", "i", *words)["AlgorithmSpecification"]
    assert algorithm.get("ContainerEntrypoint") == entrypoint
    assert algorithm.get("ContainerArguments") == arguments


def test_a_script_in_an_image_is_script_mode_with_its_arguments(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    request = asked(shell, "train.py", "--image", "python:3.12-slim", "--", "--lr", "0.1")
    assert request["AlgorithmSpecification"]["TrainingImage"] == "python:3.12-slim"
    assert request["HyperParameters"]["sagemaker_program"] == '"train.py"'
    assert request["HyperParameters"]["lr"] == "0.1"
    assert "ContainerArguments" not in request["AlgorithmSpecification"]


def test_an_image_goes_where_images_run(shell: Shell, fake: FakeServer, script: Path) -> None:
    image = ["--image", "python:3.12-slim"]
    fake.backends = dict(BOTH)
    assert tags(shell, *image) == {"trainshed:backend": "docker"}
    assert tags(shell, "train.py", *image) == {"trainshed:backend": "docker"}
    assert tags(shell, "train.py") == {}
    assert tags(shell, *image, "--on", "local") == {"trainshed:backend": "local"}
    fake.backends = {"local": "process"}
    assert tags(shell, *image) == {}
    fake.backends = dict(reversed(BOTH.items()))
    assert tags(shell, *image) == {}
    assert tags(shell, "train.py", "--on", "local") == {"trainshed:backend": "local"}


def test_where_a_job_goes_is_said(shell: Shell, fake: FakeServer) -> None:
    fake.backends = dict(BOTH)
    said = shell("run", "-d", "--name", "j", "--image", "i", "--shm", "4g")
    assert "job j  on docker, submitted in" in said.err
    (found,) = fake.tags.values()
    assert found == {"trainshed:backend": "docker", "trainshed:shm-size": "4g"}


@pytest.mark.parametrize("instance", ["g5.xlarge", "ml.g5.xlarge"])
def test_an_instance_type_may_be_called_as_ec2_calls_it(
    shell: Shell, fake: FakeServer, instance: str
) -> None:
    resources = asked(shell, "--image", "i", "--instance", instance)["ResourceConfig"]
    assert resources["InstanceType"] == "ml.g5.xlarge"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--image", "i", "--instance", "g5.xlrage"], 1, "did you mean ml.g5.xlarge"),
        (["--image", "i", "--instance", "huge"], 1, "no instance type is called 'huge'"),
        (["--image", "i", "--on", "dokcer"], 1, "no backend called 'dokcer'"),
        (["--image", "i", "--shm", "much"], 2, "such as 512m or 4g"),
        (["--image", "i", "--shm", "0g"], 2, "such as 512m or 4g"),
        (["--image", "i", "--shm", "-1g"], 2, "such as 512m or 4g"),
        (["--image", "i", "--hp", "lr"], 2, "hyperparameter like"),
        (["--image", "i", "--source", "."], 2, "the folder of a SCRIPT"),
        (["--image", "i", "none.py"], 1, "no script is at none.py"),
        (["--image", "i", "--entrypoint", "python", "train.py"], 2, "python -- train.py"),
        ([], 2, "name a SCRIPT to run, or an image"),
        (["--", "fit"], 2, "name a SCRIPT to run, or an image"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    shell: Shell, fake: FakeServer, script: Path, words: list[str], code: int, why: str
) -> None:
    said = shell("run", *words, code=code)
    assert why in " ".join(said.err.replace("│", " ").split())
    assert (fake.objects, fake.buckets, fake.jobs) == ({}, set(), {})
