"""What Describe tells of a job's checkpoints."""

from datetime import timedelta
from typing import Any

import pytest

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob
from trainshed.engine.checkpoints import message
from trainshed.engine.training import Seen, decide
from trainshed.testing.jobs import NOON, facts, job

AT = NOON.timestamp()
TRAINING = "Training image download completed. Training in progress."


def kept(**changes: Any) -> tuple[Kind, dict[str, Any]]:
    detail = {"files": 3, "bytes": 12_000_000, "kept_at": AT + 200, "since": 0.0, "trouble": ""}
    return Kind.CHECKPOINT, {**detail, **changes}


def running(**changes: Any) -> TrainingJob:
    attempt = Attempt(number=1, backend="local", started=NOON, handles={"algo-1": "h"})
    asked = job(**changes)
    return TrainingJob(**{**{f: getattr(asked, f) for f in asked.__slots__}, "attempt": attempt})


def told(job: TrainingJob) -> list[str]:
    return [each.message for each in job.transitions if each.status is SecondaryStatus.TRAINING]


def test_nothing_is_said_before_something_is_kept() -> None:
    assert message({"algo-1": facts(Kind.TRAINING)}) == ""


def test_how_much_was_kept_and_when() -> None:
    said = message({"algo-1": facts(Kind.TRAINING, kept(files=1), kept())})
    assert said == "Checkpoints: 3 files (12.0 MB) kept at 12:03:20 UTC"


def test_hosts_are_added_up() -> None:
    said = message({host: facts(kept()) for host in ("algo-1", "algo-2")})
    assert said.startswith("Checkpoints: 6 files (24.0 MB) kept")


def test_what_is_stuck_is_a_warning() -> None:
    stuck = facts(kept(since=AT - 149, trouble="the store is away"))
    said = message({"algo-1": facts(kept()), "algo-2": stuck})
    assert said.endswith(". WARNING: NOT being kept for 2 min: the store is away")


@pytest.mark.parametrize(
    ("lag", "interval", "stuck"), [(60, 30.0, False), (61, 30.0, True), (199, 100.0, False)]
)
def test_what_lags_by_more_than_two_sync_intervals_is_stuck(
    lag: float, interval: float, stuck: bool
) -> None:
    (fact,) = facts(kept(interval=interval))
    late = facts(kept(since=fact.at - lag, interval=interval))
    assert ("WARNING" in message({"algo-1": late})) is stuck


@pytest.mark.parametrize("last", [(), (Kind.STOPPING,), (Kind.EXITED,)])
def test_it_stands_with_the_training_status(last: tuple[Kind, ...]) -> None:
    known = {"algo-1": facts(Kind.DOWNLOADING, Kind.TRAINING, kept(), *last)}
    now = NOON + timedelta(minutes=5)
    seen = Seen(now=now, backend="local", facts=known)
    after = decide(running(), seen).job
    assert told(after) == [f"{TRAINING} Checkpoints: 3 files (12.0 MB) kept at 12:03:20 UTC"]
    again = decide(after, seen).job
    assert again == after


def test_a_job_that_never_trained_has_no_place_for_it() -> None:
    assert running().noted(SecondaryStatus.TRAINING, "x", at=NOON) == running()


def test_another_message_is_a_change_and_the_same_is_none() -> None:
    before = running().moved_to(SecondaryStatus.TRAINING, at=NOON)
    later = NOON + timedelta(seconds=9)
    after = before.noted(SecondaryStatus.TRAINING, "x", at=later)
    assert (after.modified, told(after)) == (later, ["x"])
    assert after.noted(SecondaryStatus.TRAINING, "x", at=later + timedelta(1)) is after


def test_a_fact_of_an_older_agent_is_understood() -> None:
    assert (
        message({"algo-1": (Fact(1, AT, Kind.CHECKPOINT, {}),)})
        == "Checkpoints: 0 files (0 B) kept"
    )
