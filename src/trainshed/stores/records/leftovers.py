"""Rows that tell of jobs which are not there any more, and the jobs of given names."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from trainshed.domain.garbage import Item
from trainshed.domain.training import TrainingJob
from trainshed.stores.records.base import Connection, Database

_NAMES: Final = 100
_NEXT_REGION: Final = "SELECT min(region) FROM training_jobs WHERE region > ?"
_JOB: Final = msgspec.json.Decoder(TrainingJob)
_TABLES: Final = ("facts", "taken", "final_metrics")
_STRAY: Final = " UNION ".join(
    f"SELECT job_id FROM {table} WHERE NOT EXISTS "  # noqa: S608 - constants
    f"(SELECT 1 FROM training_jobs WHERE training_jobs.id = {table}.job_id)"
    for table in _TABLES
)
_STILL: Final = "SELECT 1 FROM training_jobs WHERE id = ?"


class RowLeftovers:
    """What a database has of jobs that it does not have."""

    name = "records"

    def __init__(self, database: Database) -> None:
        """Look into ``database``."""
        self._database = database

    async def find(self) -> list[Item]:
        """Return the rows, those of one job as one; see ``Finder``."""

        def work(connection: Connection) -> list[str]:
            return [job_id for (job_id,) in connection.execute(_STRAY)]

        # On the writer's thread: it goes through whole tables.
        found = await self._database.write(work)
        return [Item(kind="rows", name=each, reason="the job is not there") for each in found]

    async def remove(self, item: Item) -> None:
        """Remove the rows of one job that is not there."""

        def work(connection: Connection) -> None:
            if connection.execute(_STILL, (item.name,)).fetchone() is None:
                for table in _TABLES:
                    connection.execute(
                        f"DELETE FROM {table} WHERE job_id = ?",  # noqa: S608 - constants
                        (item.name,),
                    )

        await self._database.write(work)


class NamedJobs:
    """Jobs by their names, in whatever region."""

    def __init__(self, database: Database) -> None:
        """Ask ``database``."""
        self._database = database

    async def named(self, names: Iterable[str]) -> Sequence[TrainingJob]:
        """Return all jobs that are called so.

        Raises:
            StoreError: the rows could not be read.
        """
        wanted, found = sorted(set(names)), []
        region = ""
        while (rows := await self._database.read(_NEXT_REGION, (region,)))[0][0] is not None:
            region = rows[0][0]
            for first in range(0, len(wanted), _NAMES):
                some = wanted[first : first + _NAMES]
                marks = ", ".join("?" for _ in some)
                rows = await self._database.read(
                    f"SELECT body FROM training_jobs WHERE region = ? AND name IN ({marks})",  # noqa: S608
                    (region, *some),
                )
                found += [_JOB.decode(body) for (body,) in rows]
        return found
