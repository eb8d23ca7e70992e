"""The line of jobs before real nodes of this machine: who goes first, who waits, who makes room."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.journeys.conftest import nothing_left, settings
from tests.journeys.shed import BUCKET, Shed, read_json, until

from trainshed.testing.server import Server

NODES = 2
SHARED = """
[projects.speech]
max_nodes = 1
[projects.vision]
[queue]
ageing_minutes = 0
"""
WAITS = """
import os, time
with open(os.environ["BOOK"], "a") as book:
    book.write(os.environ["TRAINING_JOB_NAME"] + "\\n")
while not os.path.exists(os.environ["GATE"]):
    time.sleep(0.02)
"""
"""Writes down that it runs, then waits for a file."""
COUNTS = """
import json, os, pathlib, signal, sys, time
kept = pathlib.Path("/opt/ml/checkpoints/state.json")
step = json.loads(kept.read_text())["step"] if kept.exists() else 0

def save(*stop):
    kept.with_name("new.tmp").write_text(json.dumps({"step": step}))
    kept.with_name("new.tmp").replace(kept)
    if stop:
        print("saved at", step, flush=True)
        sys.exit(0)

signal.signal(signal.SIGTERM, save)
print("began at", step, flush=True)
while not (os.path.exists(os.environ["GATE"]) and step >= 20):
    step += 1
    time.sleep(0.01)
pathlib.Path("/opt/ml/model/steps.json").write_text(json.dumps(step))
"""
"""Counts, and saves only when it is told to end."""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("queue")
    with Server(folder / "data", settings(folder, max_nodes=NODES) + SHARED) as server:
        yield Shed(server, folder)
        assert nothing_left(server) == []


class Line:
    """Jobs that wait for one gate, and the book in which they say that they run."""

    def __init__(self, shed: Shed, folder: Path) -> None:
        self.shed = shed
        self.gate, self.book = folder / "gate", folder / "book"
        self.book.touch()

    def come(self, nodes: int = NODES, runtime: int = 600, **tags: str) -> str:
        return self.shed.create(
            WAITS,
            nodes=nodes,
            Environment={"GATE": str(self.gate), "BOOK": str(self.book)},
            StoppingCondition={"MaxRuntimeInSeconds": runtime},
            Tags=said(**tags),
        )

    def until_running(self, name: str) -> None:
        until(lambda: name in self.names(), lambda: str(self.shed.describe(name)))

    def until_pending(self, name: str) -> str:
        """Return what a job says that it waits for."""
        until(lambda: self.shed.describe(name)["SecondaryStatus"] == "Pending")
        return message(self.shed, name)

    def names(self) -> list[str]:
        """Return the jobs in the order in which they began, each once."""
        return list(dict.fromkeys(self.book.read_text().split()))

    def let_all_end(self, *names: str) -> None:
        self.gate.touch()
        for name in names:
            assert self.shed.ended(name)["TrainingJobStatus"] == "Completed"


@pytest.fixture
def line(shed: Shed, tmp_path: Path) -> Line:
    return Line(shed, tmp_path)


def said(**tags: str) -> list[dict[str, str]]:
    return [{"Key": f"trainshed:{key}", "Value": text} for key, text in tags.items()]


def message(shed: Shed, name: str) -> str:
    return str(shed.describe(name)["SecondaryStatusTransitions"][-1]["StatusMessage"])


def test_the_highest_priority_goes_first_and_equals_in_the_order_in_which_they_came(
    shed: Shed, line: Line
) -> None:
    running = line.come()
    line.until_running(running)
    low = line.come(priority="10")
    first, second = line.come(), line.come()
    high = line.come(priority="80")
    waiting = [low, first, second, high]
    for name in waiting:
        assert "it needs 2 of 2 nodes of the backend 'local'" in line.until_pending(name)
    line.let_all_end(running, *waiting)
    assert line.names() == [running, high, first, second, low]


def test_a_project_waits_for_its_quota_and_nobody_else_does(shed: Shed, line: Line) -> None:
    first = line.come(nodes=1, project="speech")
    line.until_running(first)
    second = line.come(nodes=1, project="speech", priority="99")
    assert line.until_pending(second) == (
        "Training job waiting for capacity: the project 'speech' may use 1 node at once, and does"
    )
    other = line.come(nodes=1, project="vision")
    line.until_running(other)
    huge = line.come(nodes=2, project="speech")
    assert "the project 'speech' may use 1 node at once" in shed.failed(huge)
    line.let_all_end(first, second, other)


def test_a_short_job_passes_one_that_must_wait_and_a_long_one_does_not(
    shed: Shed, line: Line
) -> None:
    running = line.come(nodes=1, runtime=300)
    line.until_running(running)
    wide = line.come(nodes=2)
    line.until_pending(wide)
    long = line.come(nodes=1, runtime=3600)
    line.until_pending(long)
    # Twice: the second shows that a node was free again, and the long one still not let in.
    for _ in range(2):
        short = shed.create("", StoppingCondition={"MaxRuntimeInSeconds": 30})
        assert shed.ended(short)["TrainingJobStatus"] == "Completed"
    assert shed.describe(long)["SecondaryStatus"] == "Pending"
    assert shed.describe(wide)["SecondaryStatus"] == "Pending"
    line.let_all_end(running, wide, long)
    assert line.names() == [running, wide, long]


def test_a_preemptible_job_saves_makes_room_and_goes_on_where_it_was(
    shed: Shed, line: Line
) -> None:
    low = shed.create(
        COUNTS,
        Environment={"GATE": str(line.gate)},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/preempted/"},
        Tags=said(priority="10", preemptible="true"),
    )
    until(lambda: "began at 0" in lines(shed, low))
    urgent = shed.create("", nodes=NODES, Tags=said(priority="90"))
    assert shed.ended(urgent)["TrainingJobStatus"] == "Completed"
    until(lambda: len(began(shed, low)) == 2, lambda: str(lines(shed, low)))
    told = shed.describe(low)
    (interrupted,) = [
        each for each in told["SecondaryStatusTransitions"] if each["Status"] == "Interrupted"
    ]
    assert f"the nodes are given to the job {urgent}" in interrupted["StatusMessage"]
    # No step was lost: what was saved at the end of the first attempt, the second began with.
    (saved,) = [line for line in lines(shed, low) if line.startswith("saved at ")]
    assert began(shed, low) == [0, int(saved.split()[-1])]
    line.gate.touch()
    assert shed.ended(low)["TrainingJobStatus"] == "Completed"
    assert read_json(shed.archive(low)["steps.json"]) >= int(saved.split()[-1])


def test_an_urgent_job_does_not_disturb_those_that_are_not_preemptible(
    shed: Shed, line: Line
) -> None:
    running = line.come(priority="0")
    line.until_running(running)
    urgent = line.come(priority="99")
    line.until_pending(urgent)
    line.let_all_end(running, urgent)
    told = shed.describe(running)["SecondaryStatusTransitions"]
    assert "Interrupted" not in [each["Status"] for each in told]


def test_a_spot_job_that_waits_for_too_long_is_over_without_having_run(
    shed: Shed, line: Line
) -> None:
    running = line.come()
    line.until_running(running)
    name = shed.create(
        "",
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1},
    )
    told = shed.until_status(name, "Stopped", "Completed", "Failed")
    assert told["SecondaryStatus"] == "MaxWaitTimeExceeded"
    assert "TrainingTimeInSeconds" not in told
    assert "MaxWaitTimeInSeconds" in message(shed, name)
    line.let_all_end(running)


def test_a_job_in_line_can_be_stopped_and_those_behind_it_move_up(shed: Shed, line: Line) -> None:
    running = line.come(nodes=1)
    line.until_running(running)
    wide = line.come(nodes=2, runtime=3600)
    line.until_pending(wide)
    behind = line.come(nodes=1, runtime=3600)
    line.until_pending(behind)
    shed.sagemaker.stop_training_job(TrainingJobName=wide)
    told = shed.until_status(wide, "Stopped")
    assert "TrainingTimeInSeconds" not in told
    line.until_running(behind)
    line.let_all_end(running, behind)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxPendingTimeInSeconds": 60}},
            "'stoppingCondition.maxPendingTimeInSeconds' failed to satisfy constraint",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
            "It is only supported when EnableManagedSpotTraining is set to true",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                    "KeepAlivePeriodInSeconds": 21601,
                }
            },
            "Member must have value less than or equal to 21600",
        ),
        ({"Tags": said(project="nobodys")}, "it has: default, speech, vision."),
        ({"Tags": said(priority="high")}, "a priority is a whole number from 0 to 99"),
    ],
    ids=["pending", "wait", "period", "project", "priority"],
)
def test_what_makes_no_sense_is_refused(shed: Shed, members: dict[str, Any], says: str) -> None:
    own = shed.sagemaker
    unchecked = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    shed.sagemaker = shed.client("sagemaker", config=unchecked)
    try:
        with pytest.raises(ClientError) as error:
            shed.create("", **members)
    finally:
        shed.sagemaker = own
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert says in error.value.response["Error"]["Message"]


def lines(shed: Shed, name: str) -> list[str]:
    """Return what a job has logged; nothing before it has begun to."""
    try:
        return shed.lines(name)
    except shed.logs.exceptions.ResourceNotFoundException:
        return []


def began(shed: Shed, name: str) -> list[int]:
    """Return at which step each attempt began."""
    return [int(line.split()[-1]) for line in lines(shed, name) if line.startswith("began at ")]
