"""What every record store promises, whatever database it stands on.

Each write is on disk when its call returns. Each method is one transaction, and all transactions
of all servers stand in one line: each sees what those before it wrote, and nothing of those after.
Reads see every write that has returned. A change of a job wakes those who wait in ``Changes``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Fact
from trainshed.domain.training import TrainingJob, TrainingJobStatus, WarmPoolStatus
from trainshed.stores.figures import WriteTally

T = TypeVar("T")
Row = tuple[Any, ...]

SERVER_TTL: Final = 4.0
"""Seconds without a beat after which a server is dead: four beats, so that one that is late for a
moment keeps its work, and the work of one that died is taken over soon."""


EVERYTHING: Final = ""
"""Heard in place of an ARN where nobody knows which: all jobs may have changed."""


SCHEDULER: Final = "scheduler"
"""The lease of the one server that lets jobs in."""


class DatabaseFull(StoreError):
    """Nothing was written: the database's disk has no room."""


class MaybeWritten(StoreError):
    """The database was lost while it kept the changes: they may stand, all of them, or not.

    Whoever gets this looks before doing anything that only one of the two allows.
    """


class Cursor(Protocol):
    """What a statement found."""

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""
        ...

    def fetchone(self) -> Row | None:
        """Return the next row, None after the last."""
        ...

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows that are left."""
        ...


class Connection(Protocol):
    """A transaction, as the work within it sees it.

    SQL is of the subset that all databases know: ``?`` for parameters, columns named in every
    INSERT, names qualified in every upsert, ``ON CONFLICT`` for replacing, no empty ``IN ()``.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> Cursor:
        """Run one statement with each of these parameters; none at all are no error."""
        ...

    def tell(self, arn: str) -> None:
        """Have other servers told that a job (or what else has a name) changes.

        They are told once this is on disk.
        """
        ...


class Database(Protocol):
    """Rows in tables. Used on one event loop, but for the work that it is given."""

    clock: str
    """An SQL expression: the database's own time, in seconds since the epoch."""

    schema: int
    """The number of the last migration that this program knows."""

    writes: WriteTally
    """How its writes went so far."""

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one query.

        Raises:
            StoreError: the database could not be read.
        """
        ...

    async def write(
        self, work: Callable[[Connection], T], after: Callable[[T], None] | None = None
    ) -> T:
        """Run ``work`` in a transaction and return its result once that is on disk.

        ``work`` runs on another thread: it may only use the connection and what it closes over,
        must be quick, and must not commit. It may be run again, when the database was lost before
        anything was kept. If it raises, its changes alone are undone. ``after`` gets the result on
        the event loop once it is on disk, also when the caller was cancelled meanwhile; it must
        not raise.

        Raises:
            MaybeWritten: it may have been written, or not.
            StoreError: nothing was written.
        """
        ...

    def check_schema(self, connection: Connection) -> None:
        """See that the schema is not too new for this program.

        Raises:
            StoreError: servers of this program can't go on.
        """
        ...

    async def upgrade(self) -> None:
        """Remove what only servers of an older schema needed, once none of them lives.

        Costs nothing when there is nothing to remove.
        """
        ...

    def close(self) -> None:
        """Finish the writes already asked for, then close. Closing twice is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One process that serves, as all others know it."""

    id: str
    """Never used again: a server that was declared dead comes back under another."""
    url: str
    """Where it answers."""
    machine: str
    """The name of the machine it runs on."""
    version: str
    """The program's."""
    reaches: tuple[str, ...]
    """Names of the backends whose nodes it can launch, see and stop."""
    bound: tuple[str, ...] = ()
    """Those of ``reaches`` that are of its machine alone: all servers there reach them, and no
    server elsewhere reaches a backend of that name while the records name this machine."""


class Leases(Protocol):
    """Which server does which work, told by rows; time is the database's own.

    An open job has one owner or none. A server that beats keeps what it owns; one that is silent
    for ``SERVER_TTL`` seconds loses all at the moment when another claims that was heard all the
    while: when nobody could be heard, nobody is dead.
    """

    async def register(self, server: Server) -> frozenset[str]:
        """Let a server live; return which of ``server.reaches`` it does reach.

        These are all but those that belong to another machine. A backend of a machine changes
        hands when no server there lives and no open job is on it.

        Raises:
            StoreError: its id was used before; or its schema is too old for the database by now.
        """
        ...

    async def beat(self, id: str) -> bool:
        """Say that a server lives. False: it was declared dead meanwhile, and owns nothing."""
        ...

    async def claim(self, id: str, limit: int) -> list[str]:
        """Give a server up to ``limit`` open jobs that no living server owns; return their ARNs.

        Oldest first, of those whose backend it reaches and those that have none yet; none when
        the server was declared dead. Declares servers dead that were silent for too long while
        this one was heard; so it has to beat for ``SERVER_TTL`` seconds before it ever does.
        """
        ...

    async def release(self, id: str) -> None:
        """Let a server end: what it owns and holds is anybody's at once."""
        ...

    async def hold(self, name: str, id: str) -> bool:
        """Take or renew a named lease; tell whether the server has it.

        It has it for another ``SERVER_TTL`` seconds; never when it was declared dead.
        """
        ...

    async def owned(self, id: str) -> list[str]:
        """Return the ARNs of the open jobs that a server owns, oldest first."""
        ...

    async def owner(self, arn: str) -> str:
        """Return the id of the server that owns a job; "" for nobody, or no such job."""
        ...

    async def servers(self) -> list[Server]:
        """Return the servers that live, in order of their ids."""
        ...


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
    warm_pool: WarmPoolStatus | None = None
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

    async def add(self, job: TrainingJob, tags: Mapping[str, str], owner: str = "") -> bool:
        """Keep a new job and its tags; return False, changing nothing, if its ARN is taken.

        ``owner`` is the server that is to step it; "" for whoever claims it first.
        """
        ...

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...

    async def by_id(self, job_id: str) -> TrainingJob | None:
        """Return the job whose ``id`` that is, or None."""
        ...

    async def swap(
        self,
        old: TrainingJob,
        new: TrainingJob,
        owner: str | None = None,
        leader: str | None = None,
    ) -> bool:
        """Write ``new`` only if the row still equals ``old``; tell whether it did.

        With an ``owner`` it is written only if the row's owner is that server: one that was
        paused, and whose jobs were taken over meanwhile, changes nothing any more. With a
        ``leader`` only if that server has the lease ``SCHEDULER``: else two would give the same
        nodes away.
        """
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
        """Return the ARNs changed since the last call; wait up to ``seconds`` for the first.

        ``EVERYTHING`` is among them where changes by other servers may have gone unheard.
        """
        ...
