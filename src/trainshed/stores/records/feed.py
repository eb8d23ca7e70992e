"""What has changed since: training jobs in the order of their last changes.

Every change of a job has a number, told by the database itself. Whoever remembers up to which it
has seen all asks for what follows, of whatever server, however long ago that was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from trainshed.domain.training import SecondaryStatus

REMEMBERED: Final = 100_000
"""Changes after which a deletion may be forgotten: a job has some twelve, so these are the lives of
eight thousand jobs, and at most so many rows of some hundred bytes."""

FORGET: Final = (
    "DELETE FROM training_job_changes WHERE gone = 1 "  # noqa: S608 - ours
    f"AND n <= (SELECT max(n) FROM training_job_changes) - {REMEMBERED}"
)
_STATE: Final = (
    "SELECT id, coalesce((SELECT max(n) FROM training_job_changes), 0) FROM training_job_numbers"
)
_PAGE: Final = (
    "SELECT c.n, c.arn, c.name, j.body FROM training_job_changes AS c "
    "LEFT JOIN training_jobs AS j ON j.arn = c.arn "
    "WHERE c.n > ? AND c.n <= ? AND c.region = ? AND (c.gone = 0 OR c.n > ?) "
    "ORDER BY c.n LIMIT ?"
)


class Rows(Protocol):
    """The slice of a database that is asked."""

    async def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


class Standing(msgspec.Struct, frozen=True):
    """How a job stands: the few members of it that are told in long lists."""

    created: datetime
    modified: datetime
    secondary: SecondaryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The last change of a job."""

    n: int
    """Its number: of two changes the later one has the higher."""
    arn: str
    name: str
    standing: Standing | None
    """None for a job that is gone."""


@dataclass(frozen=True, slots=True)
class State:
    """Up to where changes are numbered."""

    id: str
    """Of these records: numbers of others mean nothing here."""
    newest: int
    """The number of the last change of any job; 0 before the first."""

    def reaches(self, n: int) -> bool:
        """Tell whether all that followed change ``n`` of these records can still be told."""
        return self.newest - REMEMBERED <= n <= self.newest


_STANDING: Final = msgspec.json.Decoder(Standing)


class JobFeed:
    """Asks a database for changes of training jobs."""

    def __init__(self, database: Rows) -> None:
        """Ask ``database``."""
        self._database = database

    async def state(self) -> State:
        """Return how far the numbers go.

        Raises:
            StoreError: it could not be read.
        """
        return State(*(await self._database.read(_STATE))[0])

    async def changes(
        self, region: str, *, after: int, until: int, gone_after: int, limit: int
    ) -> Sequence[Change]:
        """Return the last changes of a region's jobs, in order, each job once.

        Args:
            region: whose jobs.
            after: the change up to which all is known.
            until: the last one to tell.
            gone_after: deletions are told from that change on.
            limit: how many at most.

        Raises:
            StoreError: they could not be read.
        """
        rows = await self._database.read(_PAGE, (after, until, region, gone_after, limit))
        return [
            Change(
                n=n,
                arn=arn,
                name=name,
                standing=None if body is None else _STANDING.decode(body),
            )
            for n, arn, name, body in rows
        ]
