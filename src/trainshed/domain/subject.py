"""What the present task works on, so that whatever it logs can be found by that.

A record then is a sentence for people, and beside it the machine's words: job, ARN, attempt,
backend. Nothing is computed until something is logged.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from trainshed.domain.training import TrainingJob

subject: Final[ContextVar[TrainingJob | None]] = ContextVar("subject", default=None)
"""The job that this task works on. Set it once per task: tasks that are started from it have it
too, and it goes with the task."""


def words() -> Mapping[str, str | int]:
    """Return the present subject as a log record bears it; nothing when there is none."""
    job = subject.get()
    return {} if job is None else words_of(job)


def words_of(job: TrainingJob) -> Mapping[str, str | int]:
    """Return by what records about a job are found."""
    found: dict[str, str | int] = {"job": job.name, "arn": job.arn}
    if job.attempt is not None:
        found |= {"attempt": job.attempt.number, "backend": job.attempt.backend}
    elif job.backend:
        found["backend"] = job.backend
    return found
