"""Jobs that are killed at any moment go on from their last checkpoint, not from the beginning."""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, Shed, until

from trainshed.testing.server import Server

COUNTS = """
import json, os, pathlib, sys, time
steps, outside = int(os.environ["STEPS"]), os.environ["OUTSIDE"]
kept = pathlib.Path("/opt/ml/checkpoints/state.json")
state = json.loads(kept.read_text()) if kept.exists() else {"step": 0, "total": 0}
with open(outside, "a") as file:
    file.write(f"{state['step']}\\n")
print("began at", state["step"], flush=True)
while state["step"] < steps:
    while state["step"] == steps - 10 and not os.path.exists(outside + "-on"):
        time.sleep(0.01)
    state["step"] += 1
    state["total"] += state["step"]
    state["filling"] = "x" * 20_000
    unfinished = kept.with_name("state.json.tmp")
    unfinished.write_text(json.dumps(state))
    unfinished.replace(kept)
    time.sleep(0.05)
pathlib.Path("/opt/ml/model/total").write_text(str(state["total"]))
"""
STEPS = 90


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("checkpoints")
    with Server(folder / "data", settings(folder)) as server:
        yield Shed(server, folder)


class Life:
    """One job that counts, and what is in the store of it."""

    def __init__(self, shed: Shed, seed: int, **changes: object) -> None:
        self.shed = shed
        self.dice = random.Random(seed)
        self.outside = shed.folder / f"began-{seed}"
        self.key = f"kept-{seed}"
        self.name = self.create(**changes)

    def create(self, steps: int = STEPS, **changes: object) -> str:
        return self.shed.create(
            COUNTS,
            Environment={"STEPS": str(steps), "OUTSIDE": str(self.outside)},
            CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{self.key}/"},
            **changes,
        )

    def kept_step(self) -> int:
        """Return the step of the checkpoint in the store; 0 while there is none."""
        try:
            found = self.shed.s3.get_object(Bucket=BUCKET, Key=f"{self.key}/state.json")
        except self.shed.s3.exceptions.NoSuchKey:
            return 0
        return int(json.loads(found["Body"].read())["step"])

    def began_at(self) -> list[int]:
        return [int(line) for line in self.outside.read_text().split()]

    def wait_a_while(self) -> int:
        """Wait until something is kept, and a moment longer; return the step that surely is."""
        until(lambda: self.kept_step() > 0)
        threading.Event().wait(self.dice.uniform(0.0, 1.5))
        return self.kept_step()

    def go_on(self) -> None:
        """Let it count to the end: until then it waits, however late we come."""
        Path(f"{self.outside}-on").touch()

    def agent(self) -> int:
        """Return the process of the job's agent."""
        for folder in self.shed.server.data.glob("nodes/*"):
            with suppress(FileNotFoundError):  # another job's node that is being removed
                if json.loads((folder / "plan.json").read_text())["job_name"] == self.name:
                    return int((folder / "agent.lock").read_text().split()[0])
        raise AssertionError("no agent has the job")

    def program(self) -> int:
        """Return the process that counts: the one that has its script open by name."""
        text = f"OUTSIDE={self.outside}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "environ").read_bytes().split(b"\0")
                    program = (entry / "comm").read_text()
                except OSError:
                    continue
                if text in words and not program.startswith("bwrap"):
                    found.append(int(entry.name))
        return max(found)

    def total(self, name: str) -> int:
        return int(self.shed.archive(name)["total"])


def whole(steps: int) -> int:
    return steps * (steps + 1) // 2


def test_a_job_whose_node_is_lost_goes_on_from_its_checkpoint(shed: Shed) -> None:
    jobs = [Life(shed, seed, RetryStrategy={"MaximumRetryAttempts": 3}) for seed in (1, 2)]
    kept = []
    for job in jobs:
        kept.append(job.wait_a_while())
        os.kill(job.agent(), signal.SIGKILL)
        job.go_on()
    for job, least in zip(jobs, kept, strict=True):
        told = shed.ended(job.name)
        assert told["TrainingJobStatus"] == "Completed", told
        first, second = job.began_at()
        assert first == 0
        assert 0 < least <= second <= STEPS
        assert job.total(job.name) == whole(STEPS)
        statuses = [each["Status"] for each in told["SecondaryStatusTransitions"]]
        assert "Interrupted" in statuses
        brought = "[trainshed] checkpoints: 1 file ("
        assert any(line.startswith(brought) for line in shed.lines(job.name))


def test_a_new_job_goes_on_where_a_killed_one_was(shed: Shed) -> None:
    jobs = [Life(shed, seed) for seed in (3, 4)]
    kept, left, again = [], [], []
    for job in jobs:
        kept.append(job.wait_a_while())
        os.kill(job.program(), signal.SIGKILL)
        job.go_on()
    for job in jobs:
        assert "exit code: 137" in shed.failed(job.name)
        left.append(job.kept_step())
        again.append(job.create())
    for job, least, last, name in zip(jobs, kept, left, again, strict=True):
        told = shed.ended(name)
        assert told["TrainingJobStatus"] == "Completed", told
        assert 0 < least <= last
        assert job.began_at() == [0, last]
        assert job.total(name) == whole(STEPS)


def test_a_job_that_is_stopped_has_its_last_words_kept(shed: Shed) -> None:
    name = shed.create(
        "import pathlib, signal, sys, time\n"
        "kept = pathlib.Path('/opt/ml/checkpoints')\n"
        "def stop(*_):\n"
        "    (kept / 'last').write_text('3')\n"
        "    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "(kept / 'first').write_text('1')\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n",
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/stopped"},
    )
    shed.until_line(name, "up")
    shed.sagemaker.stop_training_job(TrainingJobName=name)
    assert shed.ended(name)["TrainingJobStatus"] == "Stopped"
    assert [key for key in shed.keys("stopped/") if "/." not in key] == [
        "stopped/first",
        "stopped/last",
    ]


def test_how_keeping_goes_can_be_seen_from_outside(shed: Shed) -> None:
    gate = shed.folder / "gate"
    name = shed.create(
        "import os, pathlib, time\n"
        "pathlib.Path('/opt/ml/checkpoints/x').write_text('12345')\n"
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.02)\n",
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/seen"},
    )

    def message() -> str:
        return str(shed.describe(name)["SecondaryStatusTransitions"][-1]["StatusMessage"])

    began = time.time()
    until(lambda: "Checkpoints: 1 file (5 B) kept at " in message(), message)
    text = requests.get(f"{shed.server.url}/metrics", timeout=60).text
    assert f'trainshed_checkpoint_bytes{{host="algo-1",job="{name}"}} 5.0' in text
    assert f'trainshed_checkpoint_lag_seconds{{host="algo-1",job="{name}"}} 0.0' in text
    assert 'trainshed_training_jobs{status="InProgress"} 1.0' in text
    manifest = shed.s3.get_object(Bucket=BUCKET, Key="seen/.trainshed/algo-1.json")
    assert json.loads(manifest["Body"].read())["at"] >= began
    gate.touch()
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"


def test_a_bucket_may_be_called_like_the_page_for_prometheus(shed: Shed) -> None:
    shed.s3.create_bucket(Bucket="metrics")
    shed.s3.put_object(Bucket="metrics", Key="x", Body=b"1")
    assert shed.s3.list_objects_v2(Bucket="metrics")["KeyCount"] == 1
    assert (
        requests.get(f"{shed.server.url}/metrics", timeout=60)
        .headers["content-type"]
        .startswith("text/plain; version=")
    )


def test_each_host_is_brought_everything_and_keeps_its_own(shed: Shed) -> None:
    shed.put({"shared/of-before": "0"})
    name = shed.create(
        "import os, pathlib, socket\n"
        "kept = pathlib.Path('/opt/ml/checkpoints')\n"
        "print('found', sorted(os.listdir(kept)), flush=True)\n"
        "(kept / socket.gethostname()).write_text('1')\n"
        "(kept / 'clash').write_text(socket.gethostname())\n",
        nodes=2,
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/shared"},
    )
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"
    keys = {key.removeprefix("shared/") for key in shed.keys("shared/")}
    of_jobs = {key for key in keys if not key.startswith(".trainshed/")}
    assert of_jobs == {"of-before", "algo-1", "algo-2", "clash"}
    assert keys >= {f".trainshed/{host}.json" for host in ("algo-1", "algo-2")}
    said = shed.lines(name, "algo-1") + shed.lines(name, "algo-2")
    assert sum(line.startswith("found") and "of-before" in line for line in said) == 2
    assert any("clash was saved by algo-" in line for line in said)


def test_a_local_path_on_the_machine_hides_what_is_there_from_the_program_alone(
    shed: Shed, tmp_path: Path
) -> None:
    there = tmp_path / "checkpoints"
    there.mkdir()
    (there / "of-somebody").write_text("1")
    for folder in (there, tmp_path / "new" / "deep"):
        name = shed.create(
            f"import os; print(os.listdir({str(folder)!r}), flush=True)\n"
            f"open({str(folder / 'w')!r}, 'w').write('2')\n",
            CheckpointConfig={
                "S3Uri": f"s3://{BUCKET}/local-{folder.name}",
                "LocalPath": f"{folder}/",
            },
        )
        assert shed.ended(name)["TrainingJobStatus"] == "Completed"
        assert "[]" in shed.lines(name)
        assert f"local-{folder.name}/w" in shed.keys(f"local-{folder.name}/")
    assert [path.name for path in there.iterdir()] == ["of-somebody"]
    assert list((tmp_path / "new" / "deep").iterdir()) == []
    assert any("was made on this machine" in line for line in shed.lines(name))


def test_a_local_path_that_would_hide_the_interpreter_is_refused(shed: Shed) -> None:
    config = {"S3Uri": f"s3://{BUCKET}/bad", "LocalPath": sys.prefix}
    reason = shed.failed(shed.create("pass", CheckpointConfig=config))
    assert "without which the job cannot run" in reason


def test_a_damaged_checkpoint_is_not_trained_on(shed: Shed) -> None:
    config = {"S3Uri": f"s3://{BUCKET}/damaged"}
    saves = "import pathlib; pathlib.Path('/opt/ml/checkpoints/w').write_text('weights')"
    shed.ended(shed.create(saves, CheckpointConfig=config))
    files = [path for path in (shed.server.data / "objects").rglob("*") if path.is_file()]
    held = next(path for path in files if path.read_bytes() == b"weights")
    held.chmod(0o600)
    held.write_bytes(b"wEights")
    reason = shed.failed(shed.create(saves, CheckpointConfig=config))
    assert reason.startswith(f"ClientError: Checkpoint download failed: s3://{BUCKET}/damaged/w ")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"S3Uri": f"s3://{BUCKET}/a//b"}, "has '//' in its key, which no folder can have"),
        ({"LocalPath": "checkpoints"}, "'checkpoints' is no absolute path of a folder"),
        ({"LocalPath": "/usr/lib"}, "belongs to the system or the platform"),
        ({"LocalPath": "/opt/ml/model"}, "belongs to the system or the platform"),
    ],
)
def test_a_place_that_cannot_be_is_refused(shed: Shed, config: dict[str, str], reason: str) -> None:
    whole = {"S3Uri": f"s3://{BUCKET}/bad", **config}
    assert reason in shed.failed(shed.create("pass", CheckpointConfig=whole))


def test_an_object_that_fits_in_no_folder_is_named(shed: Shed) -> None:
    shed.put({"odd/a//b": "1"})
    reason = shed.failed(shed.create("pass", CheckpointConfig={"S3Uri": f"s3://{BUCKET}/odd"}))
    assert reason.startswith(
        f"ClientError: Checkpoint download failed: the object s3://{BUCKET}/odd/a//b cannot be a "
        "file below a folder"
    )
