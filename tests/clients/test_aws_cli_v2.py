"""The aws command, version 2 as Debian packages it; it needs --endpoint-url to find a server."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.shed import BUCKET, IMAGE, LOG_GROUP, ROLE, Shed
from tests.journeys.shell import Shell

from trainshed.testing.server import Server

pytestmark = pytest.mark.clients

AWS = "/usr/bin/aws"
PATIENT = """
import os, pathlib, time
print("first", flush=True)
gate = pathlib.Path(os.environ["GATE"])
while not gate.exists():
    time.sleep(0.02)
print("second")
pathlib.Path("/opt/ml/model/weights").write_text("trained")
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("aws-v2")
    with Server(folder / "data") as server:
        yield Shed(server, folder)


@pytest.fixture(scope="module")
def shell(shed: Shed) -> Shell:
    return Shell(shed.server, shed.folder / "terminal", AWS)


def here(shed: Shed) -> tuple[str, str]:
    return "--endpoint-url", shed.server.url


def test_it_is_version_2(shell: Shell) -> None:
    assert shell.aws("--version").startswith("aws-cli/2.")


def test_a_job_from_creation_to_its_model(shed: Shed, shell: Shell) -> None:
    script = shed.script("echo trained >/opt/ml/model/weights", "custom_entrypoint.sh")
    algorithm = {
        "TrainingInputMode": "File",
        "TrainingImage": IMAGE,
        "ContainerEntrypoint": ["/bin/sh"],
        "ContainerArguments": [script],
    }
    shell.aws(
        *(*here(shed), "sagemaker", "create-training-job", "--training-job-name", "v2-job"),
        *("--role-arn", ROLE, "--algorithm-specification", json.dumps(algorithm)),
        *("--output-data-config", json.dumps({"S3OutputPath": f"s3://{BUCKET}/v2"})),
        "--resource-config",
        '{"VolumeSizeInGB":10,"InstanceCount":1,"InstanceType":"ml.m5.2xlarge"}',
        *("--stopping-condition", '{"MaxRuntimeInSeconds": 180}'),
    )
    assert shed.ended("v2-job")["TrainingJobStatus"] == "Completed"
    wait = ("wait", "training-job-completed-or-stopped", "--training-job-name", "v2-job")
    shell.aws(*here(shed), "sagemaker", *wait)
    described = ("describe-training-job", "--training-job-name", "v2-job")
    told = shell.aws_json(*here(shed), "sagemaker", *described)
    model = told["ModelArtifacts"]["S3ModelArtifacts"]
    shell.aws(*here(shed), "s3", "cp", model, "model.tar.gz")
    assert shell.run("tar", "xzOf", "model.tar.gz", "weights") == "trained\n"
    listed = shell.aws(*here(shed), "s3", "ls", f"s3://{BUCKET}/v2/v2-job/output/")
    assert listed.split()[-1] == "model.tar.gz"


def test_logs_tail_shows_what_was_and_follows_what_comes(
    shed: Shed, shell: Shell, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    name = shed.create(PATIENT, Environment={"GATE": str(gate)})
    shed.until_line(name, "first")
    tail = ("logs", "tail", LOG_GROUP, "--log-stream-name-prefix", f"{name}/", "--format", "short")
    before = shell.aws(*here(shed), *tail)
    assert "first" in before
    assert "second" not in before
    # Into a pipe it writes only when its buffer is full, unless Python is told otherwise.
    # And whoever started these tests may have told them to ignore Ctrl-C.
    unbuffered = ("/usr/bin/env", "--default-signal=INT", "PYTHONUNBUFFERED=1", AWS)
    following = shell.begin(*unbuffered, *here(shed), *tail, "--follow")
    try:
        until_printed(following, "first")
        gate.touch()
        until_printed(following, "second")
        following.send_signal(signal.SIGINT)
        assert following.wait(30) in {0, 130}  # asleep between two looks, or not
    finally:
        following.kill()
        following.communicate()
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"


def until_printed(process: "subprocess.Popen[str]", word: str) -> None:
    """Return once the process has printed a line that ends with the word."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.rstrip().endswith(word):
            return
    raise AssertionError(f"{word} was never printed: {process.communicate()}")
