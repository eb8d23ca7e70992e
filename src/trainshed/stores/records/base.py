"""What every record store promises, whatever database it stands on.

Each write is on disk when its call returns. Each method is one transaction. Reads see every write
that has returned. A change of a job wakes those who wait in ``Changes``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trainshed.domain.facts import Fact
from trainshed.domain.training import TrainingJob, TrainingJobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs, in which order, from where. None asks for no restriction.

    *After* means later than, *before* earlier than: a job of exactly that moment is not found.
    """

    region: str
    name_contains: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    status: TrainingJobStatus | None = None
    sort_by: str = "CreationTime"
    """``Name``, ``CreationTime`` or ``Status``; equal ones by name, in the same direction."""
    descending: bool = False
    after: tuple[str | float, str] | None = None
    """(sort value, name) of the last job of the page before; None for the first page."""
    limit: int = 10


@dataclass(frozen=True, slots=True)
class MetricValue:
    """The last value of one metric."""

    name: str
    value: float
    at: datetime


class TrainingRecords(Protocol):
    """Rows of training jobs."""

    async def add(self, job: TrainingJob, tags: Mapping[str, str]) -> bool:
        """Keep a new job and its tags; return False, changing nothing, if its ARN is taken."""
        ...

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...

    async def by_id(self, job_id: str) -> TrainingJob | None:
        """Return the job whose ``id`` that is, or None."""
        ...

    async def swap(self, old: TrainingJob, new: TrainingJob) -> bool:
        """Write ``new`` only if the row still equals ``old``; tell whether it did."""
        ...

    async def remove(self, job: TrainingJob) -> bool:
        """Forget the job, its tags, facts and metrics, if the row still equals ``job``."""
        ...

    async def find(self, query: JobQuery) -> list[TrainingJob]:
        """Return one page of jobs."""
        ...

    async def open_jobs(self) -> list[str]:
        """Return the ARNs of all jobs that are not over or not cleaned, oldest first."""
        ...

    async def take(self, job_id: str, attempt: int, host: str, facts: Sequence[Fact]) -> int | None:
        """Take the facts whose turn it is, each number once, in order; return the last one taken.

        Facts already taken are passed over; a gap ends the taking before it. ``metrics`` facts
        update the job's final metrics, and of ``checkpoint`` facts a node's last one alone is kept.
        Returns None when no job has that id (nothing is kept).
        """
        ...

    async def facts(self, job_id: str, attempt: int) -> Mapping[str, tuple[Fact, ...]]:
        """Return what each node of an attempt reported (without metrics), in order, by host."""
        ...

    async def counts(self) -> Mapping[TrainingJobStatus, int]:
        """Return how many jobs have each status; none of a status that no job has."""
        ...

    async def checkpoints(self) -> Sequence[tuple[TrainingJob, str, Fact]]:
        """Return each open job's last ``checkpoint`` of each node: (job, host, fact)."""
        ...

    async def final_metrics(self, job_id: str) -> list[MetricValue]:
        """Return the last value of each metric, ordered by name."""
        ...


class TagRecords(Protocol):
    """Tags on anything that has an ARN."""

    async def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of one resource, ordered by key."""
        ...

    async def set_tags(self, arn: str, tags: Mapping[str, str], limit: int) -> bool:
        """Add or overwrite tags; return False, changing nothing, if more than ``limit`` result."""
        ...

    async def remove_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; keys that are not there are no error."""
        ...


class Changes(Protocol):
    """Wakes those who wait for a change of a job. A hint, never the truth: look at the store."""

    async def next(self, seconds: float) -> frozenset[str]:
        """Return the ARNs changed since the last call; wait up to ``seconds`` for the first."""
        ...
