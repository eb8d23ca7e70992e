"""How open jobs stand, over all of them: read in slices, so that nobody else waits for long.

Ten thousand open jobs are some 25 MB of rows. They are asked for when somebody wants metrics, a few
hundred at a time with others' turns in between, and of each only what is told is decoded.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from trainshed.domain.facts import Kind
from trainshed.domain.training import MOVES, SecondaryStatus

_ROWS: Final = 200
"""Rows of a slice: a millisecond or two."""
_SLICE: Final = (
    "SELECT created, name, arn, id, body FROM training_jobs "
    "WHERE open = 1 AND (created, name, arn) > (?, ?, ?) ORDER BY created, name, arn LIMIT ?"
)
_CHECKPOINTS: Final = (
    "SELECT job_id, attempt, host, detail FROM facts WHERE kind = ? AND job_id IN ({marks})"
)
_REASONS: Final = (
    ("in use or kept for jobs before it", "capacity"),
    ("starting at once", "launching"),
    ("to give just now", "refused"),
    ("project", "quota"),
    ("capacity", "capacity"),
)
"""What a waiting job's message has in it, and the class of reasons that this is; the first wins."""
REASONS: Final = (*dict.fromkeys(reason for _, reason in _REASONS), "new", "interrupted", "other")
"""Every class of reasons: ``new`` for who has not been told yet, ``other`` for none of these."""


class Rows(Protocol):
    """The slice of a database that is asked."""

    async def read(self, sql: str, parameters: "tuple[Any, ...]" = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


@dataclass(slots=True)
class Waiting:
    """Jobs that wait for the same, of one project, for one backend."""

    jobs: int = 0
    nodes: int = 0
    since: float = float("inf")
    """When the first of them began to wait; seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """How a node's checkpoints stand, as it told last."""

    job: str
    host: str
    since: float
    """When the oldest change was made that is late to be kept (epoch); 0 when none is."""
    size: int
    """Bytes that are kept."""


@dataclass(slots=True)
class Standing:
    """How all open jobs stand."""

    waiting: dict[tuple[str, str, str], Waiting] = field(default_factory=dict)
    """By backend, project ("" for the default one) and class of reasons."""
    nodes: Counter[str] = field(default_factory=Counter)
    """Nodes in use, by backend."""
    statuses: Counter[SecondaryStatus] = field(default_factory=Counter)
    pools: Counter[str] = field(default_factory=Counter)
    """Warm pools, by status."""
    checkpoints: list[Checkpoints] = field(default_factory=list)


class _Attempt(msgspec.Struct):
    number: int
    backend: str


class _Transition(msgspec.Struct):
    status: SecondaryStatus
    start: datetime
    message: str = ""


class _Pool(msgspec.Struct):
    status: str


class _Group(msgspec.Struct, rename="pascal"):
    instance_count: int = 1


class _Resources(msgspec.Struct, rename="pascal"):
    instance_count: int = 1
    instance_groups: list[_Group] = []


class _Request(msgspec.Struct, rename="pascal"):
    resource_config: _Resources = msgspec.field(default_factory=_Resources)


class _Job(msgspec.Struct):
    """What of a job's body is looked at."""

    secondary: SecondaryStatus
    backend: str = ""
    project: str = ""
    attempt: _Attempt | None = None
    transitions: list[_Transition] = []
    pool: _Pool | None = None
    cleaned: bool = False
    request: _Request = msgspec.field(default_factory=_Request)

    @property
    def nodes(self) -> int:
        """Nodes asked for."""
        resources = self.request.resource_config
        groups = resources.instance_groups
        if groups:
            return sum(group.instance_count for group in groups)
        return resources.instance_count


_JOB: Final = msgspec.json.Decoder(_Job)
_DETAIL: Final = msgspec.json.Decoder(dict[str, Any])


async def survey(database: Rows, default_backend: str) -> Standing:
    """Return how all open jobs stand; those without a backend count for ``default_backend``.

    Raises:
        StoreError: the rows could not be read.
    """
    found = Standing()
    last: tuple[Any, ...] = (-1.0, "", "")
    while True:
        rows = await database.read(_SLICE, (*last, _ROWS))
        running: dict[str, tuple[str, int]] = {}
        for created, name, _, job_id, body in rows:
            job = _JOB.decode(body)
            _count(found, job, created, default_backend)
            if job.attempt is not None and MOVES[job.secondary]:
                running[job_id] = name, job.attempt.number
        if running:
            marks = ", ".join("?" for _ in running)
            sql = _CHECKPOINTS.format(marks=marks)
            told = await database.read(sql, (Kind.CHECKPOINT.value, *running))
            found.checkpoints.extend(_checkpoints(told, running))
        if len(rows) < _ROWS:
            return found
        last = tuple(rows[-1][:3])
        await asyncio.sleep(0)


def _count(found: Standing, job: _Job, created: float, default_backend: str) -> None:
    found.statuses[job.secondary] += 1
    if job.pool is not None:
        found.pools[job.pool.status] += 1
    if job.attempt is not None:
        found.nodes[job.attempt.backend] += job.nodes
    elif MOVES[job.secondary]:
        key = job.backend or default_backend, job.project, _reason(job)
        waiting = found.waiting.setdefault(key, Waiting())
        waiting.jobs += 1
        waiting.nodes += job.nodes
        last = job.transitions[-1] if job.transitions else None
        told = last is not None and last.status is not SecondaryStatus.STARTING
        since = last.start.timestamp() if last is not None and told else created
        waiting.since = min(waiting.since, since)


def _reason(job: _Job) -> str:
    """Return the class of what a waiting job was told that it waits for, one of ``REASONS``."""
    last = job.transitions[-1] if job.transitions else None
    if last is None or last.status is SecondaryStatus.STARTING:
        return "new"
    found = class_of(last.message)
    interrupted = found == "other" and job.secondary is SecondaryStatus.INTERRUPTED
    return "interrupted" if interrupted else found


def class_of(message: str) -> str:
    """Return the class of a message that tells what a job waits for; ``other`` for none known."""
    return next((reason for words, reason in _REASONS if words in message), "other")


def _checkpoints(
    rows: Iterable[tuple[Any, ...]], running: dict[str, tuple[str, int]]
) -> Iterable[Checkpoints]:
    for job_id, attempt, host, detail in rows:
        name, present = running[job_id]
        if attempt == present:
            told = _DETAIL.decode(detail)
            since, size = float(told.get("since", 0.0)), int(told.get("bytes", 0))
            yield Checkpoints(job=name, host=host, since=since, size=size)
