"""Rows of jobs in memory, as far as the operations of our own read and write them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from trainshed.domain.facts import Fact
from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob
from trainshed.testing.jobs import NOON, job

S = SecondaryStatus


class Rows:
    """Jobs by ARN, and what their nodes reported."""

    def __init__(self) -> None:
        self.jobs: dict[str, TrainingJob] = {}
        self.journals: dict[tuple[str, int], dict[str, tuple[Fact, ...]]] = {}
        self.beaten = 0
        """How many of the next writes find that the row has moved."""
        self._ids = count(1)

    def put(self, what: TrainingJob) -> TrainingJob:
        self.jobs[what.arn] = what
        return what

    async def get(self, arn: str) -> TrainingJob | None:
        return self.jobs.get(arn)

    async def swap(self, old: TrainingJob, new: TrainingJob) -> bool:
        if self.beaten:
            self.beaten -= 1
            return False
        if self.jobs[old.arn] != old:
            return False
        self.jobs[old.arn] = new
        return True

    async def remove(self, job: TrainingJob) -> bool:
        return self.jobs.pop(job.arn, None) is not None

    async def each_open(self) -> AsyncIterator[TrainingJob]:
        for each in list(self.jobs.values()):
            if not (each.over and each.cleaned):
                yield each

    async def facts(self, job_id: str, attempt: int) -> Mapping[str, tuple[Fact, ...]]:
        return self.journals.get((job_id, attempt), {})

    def waits(self, name: str, seconds: float = 0, **members: object) -> TrainingJob:
        """Keep a job that stands in line since so many seconds after noon."""
        nodes, spot = members.pop("nodes", 1), members.pop("spot", False)
        assert isinstance(nodes, int)
        asked = {"EnableManagedSpotTraining": True} if spot else {}
        new = replace(job(name, nodes=nodes, **asked), created=at(seconds), **members)  # type: ignore[arg-type]
        text = "Training job waiting for capacity: 4 of 4 nodes are in use"
        return self.put(new.moved_to(S.PENDING, at=at(seconds), message=text))

    def trains(self, name: str, **members: object) -> TrainingJob:
        """Keep a job whose program runs."""
        new = self.waits(name, **members)
        for status in (S.STARTING, S.DOWNLOADING, S.TRAINING):
            new = new.moved_to(status, at=at(1))
        attempt = Attempt(number=1, backend=new.backend or "local", started=at(1))
        return self.put(replace(new, attempt=attempt))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)
