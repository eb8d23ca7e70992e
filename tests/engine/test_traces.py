"""The tree of spans that is told of a job."""

from dataclasses import replace
from datetime import datetime, timedelta

from trainshed.domain.training import (
    Attempt,
    AttemptEnd,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.engine.traces import Span, trace
from trainshed.testing.jobs import NOON, job

_S = SecondaryStatus


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def drawn(span: Span) -> list[str]:
    """Return a tree as lines: name, start and end in seconds after noon."""
    times = [(moment - NOON).total_seconds() for moment in (span.start, span.end)]
    lines = [f"{span.name} {times[0]:g}-{times[1]:g}"]
    return lines + [f"  {line}" for child in span.children for line in drawn(child)]


def walked(job: TrainingJob, *steps: tuple[SecondaryStatus, float]) -> TrainingJob:
    for status, seconds in steps:
        job = job.moved_to(status, at=at(seconds))
    return job


def test_a_job_that_ran_once_has_one_attempt_with_its_phases() -> None:
    asked = replace(job(), attempt=Attempt(number=1, backend="local", started=at(0.01)))
    done = walked(
        asked, (_S.DOWNLOADING, 1), (_S.TRAINING, 2), (_S.UPLOADING, 12), (_S.COMPLETED, 13)
    )
    found = trace(done)
    assert drawn(found) == [
        "training job 0-13",
        "  attempt 1 0.01-13",
        "    Starting 0-1",
        "    Downloading 1-2",
        "    Training 2-12",
        "    Uploading 12-13",
    ]
    assert found.attributes["trainshed.job"] == "digits"
    assert found.attributes["trainshed.status"] == "Completed"
    assert found.children[0].attributes["trainshed.outcome"] == "Completed"
    assert found.error == ""


def test_waiting_and_the_gaps_between_attempts_lie_below_the_job() -> None:
    past = PastAttempt(
        number=1, backend="spot", instance_type="ml.g5.xlarge", started=at(10), ended=at(30),
        end=AttemptEnd.INTERRUPTED, reason="the place takes the node",
    )  # fmt: skip
    went = walked(
        job(), (_S.PENDING, 0), (_S.STARTING, 10), (_S.TRAINING, 12), (_S.INTERRUPTED, 30),
        (_S.STARTING, 90), (_S.TRAINING, 92), (_S.UPLOADING, 99), (_S.COMPLETED, 100),
    )  # fmt: skip
    again = Attempt(number=2, backend="spot", started=at(90))
    found = trace(replace(went, past=(past,), attempt=again))
    assert drawn(found) == [
        "training job 0-100",
        "  Starting 0-0",
        "  Pending 0-10",
        "  attempt 1 10-30",
        "    Starting 10-12",
        "    Training 12-30",
        "  Interrupted 30-90",
        "  attempt 2 90-100",
        "    Starting 90-92",
        "    Training 92-99",
        "    Uploading 99-100",
    ]
    first = found.children[2]
    assert first.attributes["trainshed.outcome"] == "Interrupted"
    assert first.attributes["trainshed.reason"] == "the place takes the node"
    assert first.attributes["trainshed.instance_type"] == "ml.g5.xlarge"
    assert first.error == ""
    assert found.attributes["trainshed.attempts"] == 2


def test_what_failed_says_why_and_what_went_before_does_not() -> None:
    past = PastAttempt(
        number=1, backend="local", started=at(0), ended=at(5), end=AttemptEnd.LOST, reason="gone"
    )
    went = walked(job(), (_S.TRAINING, 1), (_S.INTERRUPTED, 5), (_S.STARTING, 6), (_S.FAILED, 8))
    last = Attempt(number=2, backend="local", started=at(6))
    failed = replace(went, past=(past,), attempt=last, failure_reason="AlgorithmError: no")
    found = trace(failed)
    assert found.error == "AlgorithmError: no"
    errors = {each.name: each.error for each in found.children}
    assert errors == {"attempt 1": "gone", "Interrupted": "", "attempt 2": "AlgorithmError: no"}


def test_a_job_that_never_had_nodes_has_phases_alone() -> None:
    found = trace(walked(job(), (_S.PENDING, 1), (_S.STOPPING, 5), (_S.STOPPED, 5)))
    assert drawn(found) == [
        "training job 0-5",
        "  Starting 0-1",
        "  Pending 1-5",
        "  Stopping 5-5",
    ]
