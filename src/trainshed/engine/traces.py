"""What became of a job, as a tree of spans: the job, its attempts, and the phases of each. Pure.

Phases in which the job had no nodes (Pending, the gap after an interruption) lie below the job
itself. Everything is told from the transitions and attempts that the job's record has, so a trace
costs nothing before the job is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainshed.domain.training import MOVES, AttemptEnd, SecondaryStatus, TrainingJob, Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time in which something was done."""

    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    error: str = ""
    """Why it failed; "" when it did not."""
    children: tuple["Span", ...] = ()


def trace(job: TrainingJob) -> Span:
    """Return the spans of a job that is over."""
    end = job.transitions[-1].start if job.transitions else job.modified
    attempts = _attempts(job, end)
    below: list[list[Span]] = [[] for _ in attempts]
    beside: list[Span] = []
    for entry in job.transitions:
        if not MOVES[entry.status]:
            continue
        phase = _phase(entry, end)
        overlaps = [_overlap(phase, attempt) for attempt in attempts]
        best = max(range(len(attempts)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] * 2 >= max(_seconds(phase), 1e-9):
            below[best].append(phase)
        else:
            beside.append(phase)
    whole = [replace(a, children=tuple(p)) for a, p in zip(attempts, below, strict=True)]
    return Span(
        name="training job",
        start=min(job.created, end),
        end=end,
        attributes=_traits(job),
        error=_error(job),
        children=tuple(sorted((*beside, *whole), key=lambda span: span.start)),
    )


def _traits(job: TrainingJob) -> dict[str, str | int | float]:
    return {
        "trainshed.job": job.name,
        "trainshed.arn": job.arn,
        "trainshed.id": job.id,
        "trainshed.project": job.project,
        "trainshed.status": job.status.value,
        "trainshed.secondary_status": job.secondary.value,
        "trainshed.nodes": job.instance_count,
        "trainshed.attempts": len(job.past) + (job.attempt is not None),
    }


def _attempts(job: TrainingJob, end: datetime) -> list[Span]:
    found = []
    for each in job.past:
        outcome = each.end.value
        error = each.reason or outcome if each.end is AttemptEnd.LOST else ""
        traits = _of_attempt(each.number, each.backend, each.instance_type, outcome)
        if each.reason:
            traits["trainshed.reason"] = each.reason
        found.append(_attempt(each.number, each.started, each.ended, traits, error))
    if job.attempt is not None:
        last = job.attempt
        traits = _of_attempt(last.number, last.backend, last.instance_type, job.status.value)
        found.append(_attempt(last.number, last.started, end, traits, _error(job)))
    return found


def _of_attempt(
    number: int, backend: str, instance_type: str, outcome: str
) -> dict[str, str | int | float]:
    traits: dict[str, str | int | float] = {
        "trainshed.attempt": number,
        "trainshed.backend": backend,
        "trainshed.outcome": outcome,
    }
    return traits | ({"trainshed.instance_type": instance_type} if instance_type else {})


def _attempt(
    number: int,
    start: datetime,
    end: datetime,
    traits: dict[str, str | int | float],
    error: str,
) -> Span:
    end = max(start, end)
    return Span(name=f"attempt {number}", start=start, end=end, attributes=traits, error=error)


def _phase(entry: Transition, end: datetime) -> Span:
    ended = entry.end or end
    return Span(
        name=entry.status.value,
        start=entry.start,
        end=max(entry.start, ended),
        attributes={
            "trainshed.seconds": (ended - entry.start).total_seconds(),
            "trainshed.message": entry.message,
        },
    )


def _error(job: TrainingJob) -> str:
    if job.secondary is SecondaryStatus.FAILED:
        return job.failure_reason or "Failed"
    return ""


def _seconds(span: Span) -> float:
    return (span.end - span.start).total_seconds()


def _overlap(one: Span, other: Span) -> float:
    """Return for how many seconds both went on; a moment within the other counts as a little."""
    seconds = (min(one.end, other.end) - max(one.start, other.start)).total_seconds()
    if seconds == 0.0 and one.start == one.end:
        return 1e-9
    return seconds
