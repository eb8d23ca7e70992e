"""An embedded store in a folder of its own, with a clock that ticks a second per look."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.records.base import Database
from trainshed.stores.records.sqlite import SqliteDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class TickingClock:
    """Tells a later second each time."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@contextmanager
def opened(folder: Path, *, linger: float = 0.0) -> Iterator[EmbeddedObjects]:
    """Open the store of a data folder, and close it."""
    database = SqliteDatabase(folder / "records.db")
    with stored(database, folder, linger=linger) as store:
        yield store
    database.close()


@contextmanager
def stored(database: Database, folder: Path, *, linger: float = 0.0) -> Iterator[EmbeddedObjects]:
    """Open the store of a data folder with an index elsewhere, and close it."""
    store = EmbeddedObjects(database, folder / "objects", TickingClock(), linger=linger)
    try:
        yield store
    finally:
        store.close()


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    """Send bytes as a client would: piece by piece."""
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def content(store: EmbeddedObjects, bucket: str, key: str) -> bytes:
    """Return an object's bytes."""
    _, path = await store.open(bucket, key)
    return path.read_bytes()


def files(folder: Path) -> list[Path]:
    """Return every file of the store's folder."""
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


def copied(records: Path, bucket: str, original: str, keys: Iterable[str]) -> None:
    """Have copies of an object, of which a copy is a row, without a request for each."""
    with closing(sqlite3.connect(records, timeout=30)) as connection, connection:
        connection.executemany(
            "INSERT INTO objects SELECT bucket, ?, file, size, etag, modified, storage_class, "
            "attributes FROM objects WHERE bucket = ? AND key = ?",
            ((key.encode(), bucket, original.encode()) for key in keys),
        )


async def until_files(folder: Path, count: int) -> None:
    """Wait until the store's folder holds ``count`` files (they are removed by other threads)."""
    async with asyncio.timeout(60):
        while len(files(folder)) != count:
            await asyncio.sleep(0.01)
