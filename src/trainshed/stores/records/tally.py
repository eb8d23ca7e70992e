"""Counts what was written of training jobs: how attempts end, and how long each phase takes.

Each change is counted by the process that wrote it, once it is on disk. So over several servers the
sums are right, and a change whose writer died in that very moment is in no count. How many jobs
there are of each status is never counted here: the store is asked for it.
"""

from collections import Counter
from typing import Final

from trainshed.domain.training import MOVES, SecondaryStatus, TrainingJob
from trainshed.stores.figures import LONG, Histogram

_LOST: Final = "InternalServerError"
"""How the FailureReason of a job begins whose last attempt the platform lost."""


class JobTally:
    """What became of jobs since this process began."""

    def __init__(self) -> None:
        self.attempts: Counter[tuple[str, str]] = Counter()
        """By backend and outcome: completed, failed, stopped, interrupted, preempted, lost."""
        self.phases: dict[SecondaryStatus, Histogram] = {}
        """Seconds that jobs stood in each status that they have left."""

    def note(self, old: TrainingJob, new: TrainingJob) -> None:
        """Count what a write changed."""
        for ended in new.past[len(old.past) :]:
            self.attempts[ended.backend, ended.end.value.lower()] += 1
        if new.over and not old.over and new.attempt is not None:
            self.attempts[new.attempt.backend, _outcome(new)] += 1
        left = sum(1 for entry in old.transitions if entry.end is not None)
        for entry in new.transitions[left:]:
            if entry.end is not None and MOVES[entry.status]:
                histogram = self.phases.setdefault(entry.status, Histogram(LONG))
                histogram.note((entry.end - entry.start).total_seconds())


def _outcome(job: TrainingJob) -> str:
    """Return how the last attempt of a job that is over ended."""
    if job.secondary is SecondaryStatus.FAILED and (job.failure_reason or "").startswith(_LOST):
        return "lost"
    return job.status.value.lower()
