"""Training jobs that ended long ago, found page by page from an index."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from trainshed.domain.training import TrainingJob

_ROWS: Final = 50
_NEXT_REGION: Final = "SELECT min(region) FROM training_jobs WHERE region > ?"
# Created before it ended: so the index of creation times leads to all of them.
_PAGE: Final = (
    "SELECT created, name, body FROM training_jobs "
    "WHERE region = ? AND (created, name) > (?, ?) AND created < ? AND open = 0 "
    "ORDER BY created, name LIMIT ?"
)
_JOB: Final = msgspec.json.Decoder(TrainingJob)


class Rows(Protocol):
    """The slice of a database that is asked."""

    async def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


class AgedJobs:
    """Finds jobs by when they ended."""

    def __init__(self, database: Rows) -> None:
        """Ask ``database``."""
        self._database = database

    async def ended_before(self, moment: datetime) -> AsyncIterator[TrainingJob]:
        """Yield the jobs that were over before then and of which nothing is left to be done.

        Whoever goes through them may remove each.

        Raises:
            StoreError: the rows could not be read.
        """
        region = ""
        while (rows := await self._database.read(_NEXT_REGION, (region,)))[0][0] is not None:
            region = rows[0][0]
            async for job in self._of(region, moment):
                if job.over and job.transitions[-1].start < moment:
                    yield job

    async def _of(self, region: str, moment: datetime) -> AsyncIterator[TrainingJob]:
        after: tuple[Any, ...] = (-1.0, "")
        while True:
            asked = (region, *after, moment.timestamp(), _ROWS)
            rows = await self._database.read(_PAGE, asked)
            for _, _, body in rows:
                yield _JOB.decode(body)
            if len(rows) < _ROWS:
                return
            after = tuple(rows[-1][:2])
