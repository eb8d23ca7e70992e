"""A program that replaces an object and is killed at a point: ``dying_writer FOLDER WHAT POINT``.

``WHAT`` is put, copy, delete or complete. Points: ``os.rename`` and ``os.remove`` (just before
that system call), ``write`` (before the change reaches the database), ``commit`` (every statement
run, not committed), ``end``.
"""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.stores.objects.embedded_fixtures import TickingClock, chunks

from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Attributes
from trainshed.stores.records.sqlite import SqliteDatabase

armed = ""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch(event: str, _: object) -> None:
    if armed and event == armed:
        die()


class DyingDatabase(SqliteDatabase):
    """Dies on its way to a commit."""

    async def write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        if armed == "write":
            die()
        if armed != "commit":
            return await super().write(work)

        def work_and_die(connection: sqlite3.Connection) -> None:
            work(connection)
            die()

        return await super().write(work_and_die)


async def run(folder: Path, what: str, point: str) -> None:
    global armed
    store = EmbeddedObjects(
        DyingDatabase(folder / "records.db"), folder / "objects", TickingClock(), linger=0.0
    )
    await store.create_bucket("bkt", "us-east-1")
    await store.put("bkt", "k", chunks(b"old"))
    await store.put("bkt", "source", chunks(b"new"))
    upload = await store.uploads.create("bkt", "k", attributes=Attributes())
    parts = [
        await store.uploads.put_part(upload, n, chunks(data), checksums=lambda _: {})
        for n, data in ((1, b"n"), (2, b"ew"))
    ]
    armed = point
    if what == "put":
        await store.put("bkt", "k", chunks(b"new"))
    elif what == "copy":
        await store.copy(("bkt", "source"), ("bkt", "k"))
    elif what == "delete":
        await store.delete("bkt", "k")
    else:
        await store.uploads.complete(upload, parts, attributes=Attributes())
    await asyncio.sleep(0 if point == "end" else 30)  # the removal of the old file comes later
    die()


if __name__ == "__main__":
    sys.addaudithook(watch)
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
