"""All open jobs, read in slices, so that nobody else waits for long.

Ten thousand of them are some 25 MB of rows, and more as values: whoever goes through them keeps
what it needs of each, and no more than a slice is there at a time.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

import msgspec

from trainshed.domain.training import TrainingJob

_ROWS: Final = 200
"""Rows of a slice: a few milliseconds."""
_SLICE: Final = (
    "SELECT created, name, arn, body FROM training_jobs "
    "WHERE open = 1 AND (created, name, arn) > (?, ?, ?) ORDER BY created, name, arn LIMIT ?"
)
_JOB: Final = msgspec.json.Decoder(TrainingJob)


class Rows(Protocol):
    """The slice of a database that is asked."""

    async def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


async def each_open(database: Rows) -> AsyncIterator[TrainingJob]:
    """Yield the jobs that are not over or not cleaned, oldest first.

    A job that changes meanwhile is told as it was or as it is; none is told twice.

    Raises:
        StoreError: the rows could not be read.
    """
    last: tuple[Any, ...] = (-1.0, "", "")
    while True:
        rows = await database.read(_SLICE, (*last, _ROWS))
        for *_, body in rows:
            yield _JOB.decode(body)
        if len(rows) < _ROWS:
            return
        last = tuple(rows[-1][:3])
        await asyncio.sleep(0)
