"""A program that fills the disk under a store: ``full_disk FOLDER``; it says ``well`` at the end.

To be run in a sandbox whose FOLDER is a small disk of its own.
"""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.stores.objects.embedded_fixtures import TickingClock, chunks, content, files

from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import NoSpace
from trainshed.stores.objects.space import make_room_to_start
from trainshed.stores.records.sqlite import SqliteDatabase

MIB = 1 << 20


def fill(folder: Path) -> None:
    """Leave not one byte."""
    with (folder / "junk").open("ab", buffering=0) as junk:
        size = MIB
        while size:
            try:
                junk.write(bytes(size))
            except OSError:
                size //= 2


async def filling(folder: Path) -> AsyncIterator[bytes]:
    """Send what was announced, while somebody else fills the disk."""
    yield bytes(2 * MIB)
    fill(folder)
    for _ in range(4):
        yield bytes(2 * MIB)


async def refuses(store: EmbeddedObjects, data: AsyncIterator[bytes], length: int | None) -> str:
    try:
        await store.put("bkt", "k", data, length=length)
    except NoSpace as error:
        return str(error)
    raise AssertionError("it was written")


async def run(folder: Path) -> None:
    database = SqliteDatabase(folder / "records.db")
    store = EmbeddedObjects(database, folder / "objects", TickingClock(), linger=0.0)
    await store.create_bucket("bkt", "us-east-1")
    names = [f"{number}-{'x' * 900}" for number in range(400)]
    for name in names:
        await store.put("bkt", name, chunks(b"kept"))
    await store.put("bkt", "k", chunks(b"old"))
    # The log of the records must grow for all that comes now.
    with sqlite3.connect(folder / "records.db") as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    before = len(files(folder))

    assert "is full" in await refuses(store, filling(folder), 10 * MIB)
    while len(files(folder)) != before:  # threads remove what was begun
        await asyncio.sleep(0.01)
    fill(folder)
    assert "objects.reserve" in await refuses(store, chunks(bytes(MIB)), MIB)
    assert "There is no room" in await refuses(store, chunks(bytes(2 * MIB)), None)
    assert await content(store, "bkt", "k") == b"old"
    assert len(files(folder)) == before

    fill(folder)
    assert (folder / "objects.ballast").exists()
    await store.delete_all("bkt", names)
    assert not (await store.list("bkt", "1")).objects
    assert await content(store, "bkt", "k") == b"old"
    (folder / "junk").unlink()
    await store.put("bkt", "k", chunks(b"new"))
    assert await content(store, "bkt", "k") == b"new"
    async with asyncio.timeout(60):
        while not (folder / "objects.ballast").exists():
            await store.put("bkt", "k", chunks(b"newer"))
            await asyncio.sleep(0.01)
    store.close()
    database.close()

    assert (folder / "objects.ballast").stat().st_size >= 16 * MIB
    (folder / "objects.ballast.new").touch()  # as a server leaves it that is killed meanwhile
    fill(folder)
    make_room_to_start(folder / "objects")
    assert not list(folder.glob("objects.ballast*"))
    SqliteDatabase(folder / "records.db").close()
    print("well")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
