"""A spot job whose node is taken away again and again ends as if nothing had happened."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, Shed, until

from trainshed.testing.server import TRAINSHED, Server

DRILLS = 20
SAVED_EVERY = 50
"""Steps."""
LEARNS = """
import json, os, pathlib, random, signal, sys, time
outside, disturbed = pathlib.Path(os.environ["OUTSIDE"]), "DISTURBED" in os.environ
kept = pathlib.Path("/opt/ml/checkpoints/state.json")
state = json.loads(kept.read_text()) if kept.exists() else {"step": 0, "weights": [0.0] * 4}

def save():
    unfinished = kept.with_name("state.json.tmp")
    unfinished.write_text(json.dumps(state))
    unfinished.replace(kept)

def stop(*_):
    save()
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
reached = int(outside.read_text()) if outside.exists() else 0
with open(f"{outside}-began", "a") as file:
    file.write(f"{state['step']} {reached}\\n")
print("began at", state["step"], flush=True)
while state["step"] < 5000:
    dice = random.Random(state["step"])
    x = [dice.uniform(-1, 1) for _ in state["weights"]]
    error = sum(w * v for w, v in zip(state["weights"], x)) - (2 * x[0] - x[1] + 0.5 * x[2])
    state["weights"] = [w - 0.05 * error * v for w, v in zip(state["weights"], x)]
    state["step"] += 1
    if state["step"] % 50 == 0:
        save()
    if disturbed:
        unfinished = outside.with_name(f"{outside.name}.tmp")
        unfinished.write_text(str(state["step"]))
        unfinished.replace(outside)  # it may be killed between any two of its lines
        # It takes its time while somebody still means to disturb it.
        time.sleep(0.02 if not os.path.exists(f"{outside}-on") else 0)
pathlib.Path("/opt/ml/model/weights.json").write_text(json.dumps(state["weights"]))
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("drills")
    with Server(folder / "data", settings(folder)) as server:
        yield Shed(server, folder)


def learns(shed: Shed, outside: Path, **environment: str) -> str:
    return shed.create(
        LEARNS,
        Environment={"OUTSIDE": str(outside), **environment},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{outside.name}/"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    )


def drill(shed: Shed, name: str, *options: str) -> dict[str, Any]:
    """Have a node of the job taken away by the command; return what it tells of it."""
    told = subprocess.run(
        [TRAINSHED, "drill", name, "--json", "--data-dir", shed.server.data, *options],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def reached(outside: Path) -> int:
    """Return the step that the job told last; 0 before its first word."""
    return int(outside.read_text() or 0) if outside.exists() else 0


@pytest.mark.timeout(400)
def test_twenty_drills_change_nothing_of_the_model(
    shed: Shed, record_property: Callable[[str, object], None]
) -> None:
    calm = learns(shed, shed.folder / "calm")
    outside = shed.folder / "disturbed"
    name = learns(shed, outside, DISTURBED="1")
    began = Path(f"{outside}-began")
    drills = []
    for number in range(DRILLS):
        # So far that there is something to lose, whatever this machine is doing besides.
        until(
            lambda number=number: began.exists() and len(began.read_text().split("\n")) > number + 1
        )  # type: ignore[misc]
        goal = int(began.read_text().split()[-2]) + SAVED_EVERY + 10
        until(lambda goal=goal: reached(outside) >= goal)  # type: ignore[misc]
        drills.append(drill(shed, name, *(("--sudden",) if number % 2 else ("--notice", "30"))))
    Path(f"{outside}-on").touch()
    told = shed.ended(name)
    assert told["TrainingJobStatus"] == "Completed", told
    shed.ended(calm)
    assert shed.archive(name) == shed.archive(calm)

    assert [each["Status"] for each in drills] == ["Resumed"] * DRILLS
    starts = [tuple(map(int, line.split())) for line in began.read_text().splitlines()]
    assert len(starts) == DRILLS + 1
    lost = sum(reached - start for start, reached in starts[1:])
    assert lost <= DRILLS * SAVED_EVERY
    # A notice leaves the time to save: nothing is done twice but the step it came in.
    assert all(reached - start <= 1 for start, reached in starts[1::2])
    record_property(
        "figure",
        f"{DRILLS} drills lost {lost} steps of 5000 ({lost / SAVED_EVERY:.1f} intervals of "
        f"checkpoints), at most {max(each['GapSeconds'] for each in drills)} s between attempts",
    )


def test_each_attempt_has_a_log_stream_and_the_gaps_are_not_billed(shed: Shed) -> None:
    outside = shed.folder / "streams"
    name = learns(shed, outside, DISTURBED="1")
    until(lambda: outside.exists() and int(outside.read_text() or 0) > SAVED_EVERY)
    drill(shed, name, "--notice", "30")
    Path(f"{outside}-on").touch()
    told = shed.until_status(name, "Completed", "Failed")
    assert told["TrainingJobStatus"] == "Completed", (told, shed.lines(name))
    streams = shed.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
    )["logStreams"]
    assert len(streams) == 2
    assert told["BillableTimeInSeconds"] <= told["TrainingTimeInSeconds"]
    statuses = [each["Status"] for each in told["SecondaryStatusTransitions"]]
    assert statuses == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]


def test_a_job_that_nothing_would_start_again_is_not_drilled(shed: Shed) -> None:
    gate = shed.folder / "gate"
    name = shed.create(
        f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    )
    shed.until_status(name, "InProgress")
    until(lambda: shed.describe(name)["SecondaryStatus"] == "Training")
    asked = [TRAINSHED, "drill", name, "--data-dir", shed.server.data]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert told.returncode != 0
    assert "EnableManagedSpotTraining" in told.stderr
    assert os.listdir(shed.server.data / "nodes")  # noqa: PTH208
    gate.touch()
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"
