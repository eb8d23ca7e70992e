"""Which files hold which objects, for readers on the same machine."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from trainshed.stores.objects.index import find_bucket, key_of, stored
from trainshed.stores.objects.names import successor
from trainshed.stores.records.base import Database, Row

PAGE: Final = 2000
"""Objects told at once."""
_COLUMNS: Final = "SELECT key, size, etag, modified, file FROM objects WHERE bucket = ?"


class Whereabouts(NamedTuple):
    """One object, and the file of the store's folder that holds its bytes."""

    key: str
    size: int
    """Bytes."""
    etag: str
    modified: float
    """Seconds since the epoch."""
    file: str
    """Its bytes lie in ``<folder>/<first two letters>/<file>``."""


class StoredFiles:
    """Tells of the embedded store's files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def below(self, bucket: str, prefix: str, after: str) -> tuple[list[Whereabouts], bool]:
        """Return a page of objects behind the key ``after``, and whether more follow.

        Raises:
            BucketMissing: there is no such bucket.
        """
        await find_bucket(self._database, bucket)
        start = max(stored(prefix), stored(after) + b"\0" if after else b"")
        values: list[str | bytes] = [bucket, start]
        question = f"{_COLUMNS} AND key >= ?"
        if (end := successor(stored(prefix))) is not None:
            question += " AND key < ?"
            values.append(end)
        rows = await self._database.read(f"{question} ORDER BY key LIMIT {PAGE + 1}", values)
        return [_told(row) for row in rows[:PAGE]], len(rows) > PAGE

    async def named(self, bucket: str, keys: Sequence[str]) -> list[Whereabouts]:
        """Return those of up to ``PAGE`` objects that are there.

        Raises:
            BucketMissing: there is no such bucket.
        """
        await find_bucket(self._database, bucket)
        marks = ", ".join("?" * len(keys))
        values = (bucket, *map(stored, keys))
        rows = await self._database.read(f"{_COLUMNS} AND key IN ({marks}) ORDER BY key", values)
        return [_told(row) for row in rows]


def _told(row: Row) -> Whereabouts:
    key, size, etag, modified, file = row
    return Whereabouts(key_of(key), size, etag, modified, file)
