"""drill, explain -f and gc against a server with memory, where drills go as the test says."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.cli.conftest import Shell
from tests.client.fake_server import EPOCH, FakeServer, Refusal, announce, serving

RESUMED = {
    "Status": "Resumed",
    "RestoredFiles": 3,
    "RestoredTime": EPOCH + 20,
    "LostSeconds": 2.5,
    "GapSeconds": 4.0,
}
STARTED_OVER = {"Status": "StartedOver", "LostSeconds": 30.0, "GapSeconds": 4.0}


@dataclass
class Drilled(FakeServer):
    """A server whose one job runs, and whose drills go on by a step at each look."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    """What follows ``Asked``, for each drill; the last is how it ends."""
    runs: bool = True
    drills: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    """What the next looks find; then the job is Training."""
    _left: list[dict[str, Any]] = field(default_factory=list)

    def _drill_training_job(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.runs:
            raise Refusal(400, "ValidationException", "the training job is in status Starting.")
        self.drills.append(params)
        self._left = [{"Status": "Asked"}, *self.steps]
        host = params.get("Host", "algo-1")
        return {"TrainingJobArn": "arn", "AttemptNumber": len(self.drills), "Host": host}

    def _explain_training_job(self, params: dict[str, Any]) -> dict[str, Any]:
        training = {"Phase": "Training", "StartTime": EPOCH, "Seconds": 60.0, "AttemptNumber": 1}
        told: dict[str, Any] = {
            "TrainingJobName": params["TrainingJobName"],
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Training",
            "CreationTime": EPOCH,
            "Priority": 50,
            "Preemptible": False,
            "Phases": [training],
            "Attempts": [],
        }
        if self.statuses:
            told["SecondaryStatus"] = told["TrainingJobStatus"] = self.statuses.pop(0)
            told["WaitsFor"] = {"Message": "a node", "SinceTime": EPOCH, "Seconds": 1.0}
        if self._left:
            step = self._left.pop(0) if len(self._left) > 1 else self._left[0]
            what = {"Kind": "Notice", "RequestTime": EPOCH, "Host": "algo-1"}
            told["Drill"] = what | {"AttemptNumber": len(self.drills)} | step
            if step["Status"] == "Missed":
                told["TrainingJobStatus"] = "Completed"
        return told

    def _collect_garbage(self, params: dict[str, Any]) -> dict[str, Any]:
        removed = not params["DryRun"]
        return {"Findings": [{**each, "Removed": removed} for each in self.findings]}


@pytest.fixture
def fake(shell: Shell) -> Iterator[Drilled]:
    with serving(Drilled()) as server:
        assert isinstance(server, Drilled)
        announce(server, shell.data_dir, os.getpid())
        server.add_job("digits", ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.m5.large"})
        yield server


def test_a_job_that_goes_on_from_its_checkpoint_passes(shell: Shell, fake: Drilled) -> None:
    fake.steps = [{"Status": "Interrupted"}, RESUMED]
    said = shell("drill", "dig", "--notice", "30", "--node", "2")
    assert fake.drills == [
        {
            "TrainingJobName": "digits",
            "Kind": "Notice",
            "NoticeInSeconds": 30,
            "Host": "algo-2",
        }
    ]
    assert said.lines == [
        "resumed      from its checkpoint of 2026-01-01T00:00:20.000+00:00 (3 files)",
        "work lost    2.5s",
        "gap          4.0s",
    ]
    assert "attempt 1, algo-2: a notice of 30 s" in said.err
    assert "interrupted; waiting for the next attempt" in said.err


def test_a_job_that_begins_from_nothing_fails_with_what_to_do(shell: Shell, fake: Drilled) -> None:
    fake.steps = [STARTED_OVER]
    said = shell("drill", "digits", "--sudden", code=1)
    assert fake.drills[0]["Kind"] == "SuddenLoss"
    assert "NoticeInSeconds" not in fake.drills[0]
    assert said.lines[0] == "NOT resumed  the next attempt began from nothing"
    assert "--checkpoints" in said.lines[1]
    assert "work lost    30.0s" in said.lines


def test_a_job_that_is_over_before_its_next_attempt_fails(shell: Shell, fake: Drilled) -> None:
    fake.steps = [{"Status": "Missed"}]
    assert shell("drill", "digits", code=1).lines == [
        "NOT resumed  the job ended before its next attempt trained"
    ]
    assert fake.drills[0]["NoticeInSeconds"] == 120


def test_a_drill_can_be_repeated_and_told_as_json(shell: Shell, fake: Drilled) -> None:
    fake.steps = [RESUMED]
    said = shell("drill", "digits", "--times", "3", "--json", "--every", "5s")
    told = [json.loads(line) for line in said.lines]
    assert [each["AttemptNumber"] for each in told] == [1, 2, 3]
    assert {each["Status"] for each in told} == {"Resumed"}
    assert told[0]["RestoredTime"] == "2026-01-01T00:00:20.000+00:00"
    assert told[0]["TrainingJobName"] == "digits"


def test_one_drill_of_several_that_does_not_resume_is_told_by_the_exit_code(
    shell: Shell, fake: Drilled
) -> None:
    fake.steps = [STARTED_OVER]
    shell("drill", "digits", "--times", "2", "--every", "1s", code=1)
    assert len(fake.drills) == 2


def test_what_cannot_be_drilled_says_why(shell: Shell, fake: Drilled) -> None:
    fake.runs = False
    said = shell("drill", "digits", code=1)
    assert "error: no node was taken away" in said.err
    assert "in status Starting" in said.err
    assert "no job is called 'x'" in shell("drill", "x", code=7).err
    assert "has no node '3'" in shell("drill", "digits", "--node", "3", code=1).err
    both = shell("drill", "digits", "--sudden", "--notice", "5", code=2)
    assert "--sudden or --notice" in both.err
    assert "more than 3600" in shell("drill", "digits", "--notice", "3601", code=2).err
    assert fake.drills == []


def test_a_job_is_followed_until_it_is_over(shell: Shell, fake: Drilled) -> None:
    fake.statuses = ["Pending", "Pending", "Completed"]
    said = shell("explain", "digits", "-f")
    assert said.lines[0] == "Pending      a node"
    assert said.lines[1].split() == ["name", "digits"]
    assert said.out.count("Pending") == 1


def test_what_is_left_is_told_and_removed(shell: Shell, fake: Drilled) -> None:
    assert shell("gc").lines == ["nothing is left of jobs that are over"]
    fake.findings = [
        {"Kind": "node", "Name": "a.1.algo-1", "Backend": "docker", "Reason": "over", "Bytes": 2048}
    ]
    dry = shell("gc", "--dry-run", code=1)
    assert dry.lines[1].split()[:3] == ["node", "docker:", "a.1.algo-1"]
    assert dry.lines[1].endswith("over  still there")
    assert shell("gc").lines[1].endswith("removed")
    assert json.loads(shell("gc", "--json").out)[0]["Removed"] is True
