"""``trainshed run`` against a server with memory, where jobs do as the test says."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.cli.conftest import Shell
from tests.client.fake_server import ACCOUNT, FakeServer, Job

BUCKET = f"trainshed-{ACCOUNT}-eu-test-1"


@pytest.fixture
def script(shell: Shell) -> Path:
    (shell.folder / "train.py").write_text("print('hello')\n")
    (shell.folder / "data").mkdir()
    (shell.folder / "data" / "a.csv").write_text("1,2\n")
    return shell.folder / "train.py"


def ends(fake: FakeServer, secondary: str = "Completed", **members: object) -> None:
    """Let every job that is created be over at once."""

    def over(job: Job) -> None:
        name = job["TrainingJobName"]
        fake.lines[f"{name}/algo-1-1"] = [(1, "epoch 1"), (2, "loss=0.5")]
        fake.move(job, "Starting")
        fake.move(job, "Training")
        status = "Stopped" if secondary == "MaxRuntimeExceeded" else secondary
        fake.move(job, secondary, status)
        job["ModelArtifacts"] = {"S3ModelArtifacts": f"s3://out/{name}/output/model.tar.gz"}
        job |= members

    fake.on_create = over


def test_a_script_becomes_a_job_with_its_code_and_data(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    ends(fake, FinalMetricDataList=[{"MetricName": "loss", "Value": 0.5, "Timestamp": 2.0}])
    fake.objects["out/j-1/output/model.tar.gz"] = b"x" * 1500
    words = ["--name", "j-1", "--data", "train=data", "--hp", "lr=0.1", "--", "--kind", "adam"]
    said = shell("run", "train.py", *words)
    job = fake.jobs["j-1"]
    assert job["HyperParameters"]["lr"] == "0.1"
    assert job["HyperParameters"]["kind"] == '"adam"'
    uri = job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri == f"s3://{BUCKET}/j-1/input/train/"
    assert fake.objects[f"{BUCKET}/j-1/input/train/a.csv"] == b"1,2\n"
    with tarfile.open(
        fileobj=io.BytesIO(fake.objects[f"{BUCKET}/j-1/source/sourcedir.tar.gz"])
    ) as tar:
        assert tar.getnames() == ["train.py"]
    assert {"epoch 1", "loss=0.5"} < set(said.lines)
    end = said.out.partition("✓ Completed in ")[2]
    assert "Starting 1.0s  Training 1.0s" in end
    assert "metrics  loss=0.5" in end
    assert "s3://out/j-1/output/model.tar.gz  (1.5 kB)" in end
    assert "trainshed pull j-1" in end


def test_the_keys_of_a_server_beside_the_script_stay_at_home(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    shell.data_dir.rename(shell.folder / "server")
    shell("run", "-d", "--name", "j-1", "train.py", "--data-dir", "server")
    code = fake.objects[f"{BUCKET}/j-1/source/sourcedir.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(code)) as tar:
        assert tar.getnames() == ["data/a.csv", "train.py"]


def test_a_job_is_named_after_its_script_when_nobody_names_it(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    said = shell("run", "-d", "train.py")
    assert re.fullmatch(r"train-\d{6}-\d{6}-[0-9a-f]{4}\n", said.out)
    assert f"trainshed logs -f {said.out.strip()}" in said.err
    assert set(fake.jobs) == {said.out.strip()}


@pytest.mark.parametrize(
    ("secondary", "code"),
    [("Completed", 0), ("Failed", 3), ("Stopped", 4), ("MaxRuntimeExceeded", 5)],
)
def test_the_exit_code_tells_how_the_job_ended(
    shell: Shell, fake: FakeServer, script: Path, secondary: str, code: int
) -> None:
    ends(fake, secondary)
    said = shell("run", "-q", "train.py", code=code)
    assert "epoch 1" not in said.out


def test_a_failure_says_why_and_what_to_do(shell: Shell, fake: FakeServer, script: Path) -> None:
    ends(fake, "Failed", FailureReason="AlgorithmError: No module named 'x', exit code: 1")
    said = shell("run", "--name", "j-1", "train.py", code=3)
    end = said.out.partition("✗ Failed")[2]
    assert "No module named 'x', exit code: 1" in end
    assert "requirements.txt" in end
    assert "trainshed logs j-1" in end


def test_a_job_that_saved_nothing_says_so(shell: Shell, fake: FakeServer, script: Path) -> None:
    ends(fake)
    assert "none: nothing was saved" in shell("run", "train.py").out


def test_a_dry_run_prints_the_request_and_sends_nothing(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    words = ["--nodes", "2", "--max-time", "2h", "--metric", "loss=loss=(.*)", "--tag", "a=b"]
    request = json.loads(shell("run", "--dry-run", "train.py", "--data", "data", *words).out)
    assert request["ResourceConfig"]["InstanceCount"] == 2
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
    assert request["InputDataConfig"][0]["ChannelName"] == "training"
    assert (fake.objects, fake.buckets, fake.jobs) == ({}, set(), {})


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["none.py"], 1, "no script is at"),
        (["train.py", "--data", "train=nowhere"], 1, "no file or folder"),
        (["train.py", "--name", "a_b"], 1, "no name for a job"),
        (["train.py", "--source", "data"], 1, "is not in"),
        (["train.py", "--hp", "lr"], 2, "hyperparameter"),
        (["train.py", "--max-time", "soon"], 2, "duration"),
        (["train.py", "stray"], 2, "--key value"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_before_anything_is_sent(
    shell: Shell, fake: FakeServer, script: Path, words: list[str], code: int, why: str
) -> None:
    said = shell("run", *words, code=code)
    assert why in " ".join(said.err.split())
    assert (fake.objects, fake.jobs) == ({}, {})


def interrupted(shell: Shell, fake: FakeServer, times: int) -> tuple[int, str]:
    """Run a job that never ends, press Ctrl-C so often, and return (exit code, stderr)."""
    with shell.begin("run", "--name", "j-1", "train.py") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "Starting" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        err = ""
        while "press Ctrl-C again" not in err:
            err += process.stderr.readline()
        if times == 2:
            process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        return process.returncode, err + rest


def test_ctrl_c_leaves_the_job_alone_and_a_second_one_stops_it(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    fake.on_create = lambda job: fake.move(job, "Starting")
    code, err = interrupted(shell, fake, 1)
    assert (code, fake.jobs["j-1"]["SecondaryStatus"]) == (130, "Starting")
    assert "trainshed logs -f j-1" in err
    fake.jobs.clear()
    code, err = interrupted(shell, fake, 2)
    assert (code, fake.jobs["j-1"]["SecondaryStatus"]) == (130, "Stopping")
    assert "asked j-1 to stop" in err


def test_in_a_terminal_lines_scroll_above_one_status_line(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    ends(fake)
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "trainshed.cli", "run", "train.py", "--data", "data"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shell.folder,
        env=shell.environment | {"TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(mine):
            said += chunk
        os.close(mine)
    text = said.decode()
    assert process.returncode == 0, text
    assert text.index("epoch 1") < text.index("loss=0.5") < text.index("Completed\x1b[0m in ")
    assert "elapsed" in text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says EIO when the other end is closed
        return b""


def test_input_modes_and_checkpoints_are_asked_for(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    words = ["--data", "train=s3://b/p/:mode=Pipe", "--input-mode", "fastfile"]
    words += ["--checkpoints", "s3://kept/here"]
    request = json.loads(shell("run", "--dry-run", "train.py", *words).out)
    assert request["InputDataConfig"][0]["InputMode"] == "Pipe"
    assert request["AlgorithmSpecification"]["TrainingInputMode"] == "FastFile"
    assert request["CheckpointConfig"] == {"S3Uri": "s3://kept/here"}
    assert (
        "none of File, FastFile, Pipe"
        in shell("run", "--dry-run", "train.py", "--input-mode", "Slow", code=2).err
    )


def test_how_a_job_stands_among_others_is_asked_for(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    words = ["--spot", "--max-time", "1h", "--max-wait", "3h", "--retries", "2"]
    words += ["--project", "vision", "--priority", "70", "--preemptible", "--keep-alive", "10m"]
    words += ["--instance", "g5.xlarge,ml.p3.2xlarge"]
    request = json.loads(shell("run", "--dry-run", "train.py", *words).out)
    assert request["EnableManagedSpotTraining"] is True
    limits = {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 10800}
    assert request["StoppingCondition"] == limits
    assert request["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert request["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert request["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert {tag["Key"]: tag["Value"] for tag in request["Tags"]} == {
        "trainshed:project": "vision",
        "trainshed:priority": "70",
        "trainshed:preemptible": "true",
        "trainshed:instance-types": "ml.g5.xlarge ml.p3.2xlarge",
    }


def test_what_says_nothing_asks_for_nothing(shell: Shell, fake: FakeServer, script: Path) -> None:
    request = json.loads(shell("run", "--dry-run", "train.py").out)
    assert not {"Tags", "RetryStrategy", "EnableManagedSpotTraining"} & set(request)
    spot = json.loads(shell("run", "--dry-run", "train.py", "--spot", "--max-time", "2h").out)
    assert spot["StoppingCondition"]["MaxWaitTimeInSeconds"] == 14400


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--priority", "100"], "more than 99"),
        (["--priority", "-1"], "less than 0"),
        (["--retries", "31"], "more than 30"),
        (["--max-wait", "2h"], "say --spot too"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(
    shell: Shell, fake: FakeServer, script: Path, words: list[str], why: str
) -> None:
    assert why in shell("run", "--dry-run", "train.py", *words, code=2).err
    assert fake.asked == []


def test_each_instance_type_of_several_must_exist(
    shell: Shell, fake: FakeServer, script: Path
) -> None:
    said = shell("run", "--dry-run", "train.py", "--instance", "g5.xlarge,g5.moon", code=1)
    assert "'g5.moon'" in said.err
