"""What is counted of jobs when they change."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from trainshed.domain.training import (
    Attempt,
    AttemptEnd,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.stores.figures import Histogram
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.tally import JobTally
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, job

_S = SecondaryStatus
ATTEMPT = Attempt(number=1, backend="local", started=NOON)


def noted(tally: JobTally, *states: TrainingJob) -> None:
    for old, new in pairwise(states):
        tally.note(old, new)


def running() -> TrainingJob:
    return replace(job(), attempt=ATTEMPT).moved_to(_S.TRAINING, at=NOON + timedelta(seconds=2))


def test_each_phase_that_a_job_leaves_is_counted_once_with_its_seconds() -> None:
    tally, new = JobTally(), replace(job(), attempt=ATTEMPT)
    training = running()
    said = training.noted(_S.TRAINING, "still at it", at=NOON + timedelta(seconds=3))
    uploading = said.moved_to(_S.UPLOADING, at=NOON + timedelta(seconds=62))
    done = uploading.moved_to(_S.COMPLETED, at=NOON + timedelta(seconds=70))
    noted(tally, new, training, said, uploading, done, replace(done, cleaned=True))
    assert {phase.value: (found.count, found.sum) for phase, found in tally.phases.items()} == {
        "Starting": (1, 2.0),
        "Training": (1, 60.0),
        "Uploading": (1, 8.0),
    }
    assert tally.attempts == {("local", "completed"): 1}


def test_phases_that_are_passed_in_one_write_are_counted_as_well() -> None:
    tally, old = JobTally(), running()
    done = old.moved_to(_S.UPLOADING, at=NOON + timedelta(seconds=5))
    done = done.moved_to(_S.COMPLETED, at=NOON + timedelta(seconds=6))
    tally.note(old, done)
    assert {phase.value: found.sum for phase, found in tally.phases.items()} == {
        "Training": 3.0,
        "Uploading": 1.0,
    }


def test_attempts_are_told_apart_by_how_they_ended() -> None:
    tally, old = JobTally(), running()
    for end in set(AttemptEnd) - {AttemptEnd.UNPLACED, AttemptEnd.REFUSED}:
        past = PastAttempt(number=1, backend="local", started=NOON, ended=NOON, end=end)
        tally.note(old, replace(old, attempt=None, past=(past,)))
    for reason in ("AlgorithmError: no", "InternalServerError: the node is gone"):
        failed = replace(old.moved_to(_S.FAILED, at=NOON), failure_reason=reason)
        tally.note(old, failed)
    stopping = old.moved_to(_S.STOPPING, at=NOON)
    tally.note(stopping, stopping.moved_to(_S.STOPPED, at=NOON))
    assert tally.attempts == {
        ("local", "interrupted"): 1,
        ("local", "preempted"): 1,
        ("local", "lost"): 2,
        ("local", "failed"): 1,
        ("local", "stopped"): 1,
    }


def test_a_job_that_never_had_nodes_has_no_attempt_to_count() -> None:
    tally, old = JobTally(), job()
    tally.note(old, old.moved_to(_S.FAILED, at=NOON))
    assert tally.attempts == {}


async def test_only_what_was_written_is_counted(tmp_path: Path) -> None:
    tally = JobTally()
    database = SqliteDatabase(tmp_path / "records.db")
    records = SqlTrainingRecords(database, InProcessChanges(), tally.note)
    old = running()
    await records.add(old, {})
    failed = old.moved_to(_S.FAILED, at=NOON + timedelta(seconds=9))
    assert await records.swap(old, failed)
    assert not await records.swap(old, failed)
    assert tally.attempts == {("local", "failed"): 1}
    database.close()


def test_a_histogram_counts_values_at_a_bound_below_it() -> None:
    found = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        found.note(value)
    assert list(found.buckets()) == [("1.0", 2), ("2.0", 3), ("+Inf", 4)]
    assert (found.count, found.sum) == (4, 12.0)
