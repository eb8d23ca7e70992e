"""The records file: what goes with a file, beside what both databases promise."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import Connection
from trainshed.stores.records.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "records.db")
    yield database
    database.close()


def put(key: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute("INSERT INTO tags (arn, key, value) VALUES ('arn', ?, '')", (key,))
        return key

    return work


async def keys(database: SqliteDatabase) -> list[str]:
    return [key for (key,) in await database.read("SELECT key FROM tags ORDER BY key")]


async def test_a_write_that_was_answered_can_be_read_by_another_process(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "records.db")) as other:
        for key in "abc":
            await database.write(put(key))
            assert other.execute("SELECT max(key) FROM tags").fetchone() == (key,)


async def test_when_the_disk_refuses_everyone_in_the_batch_is_told(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")

    def fill(connection: Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute(
            "INSERT INTO tags (arn, key, value) VALUES ('arn', 'big', ?)", ("x" * 10**6,)
        )

    answers = await asyncio.gather(
        database.write(put("a")), database.write(fill), return_exceptions=True
    )
    written = [answer for answer in answers if not isinstance(answer, StoreError)]
    assert isinstance(answers[1], StoreError)
    assert await keys(database) == written
    database.close()


async def test_after_closing_a_write_is_refused_and_what_was_asked_before_stands(
    tmp_path: Path,
) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    writing = asyncio.create_task(database.write(put("a")))
    await asyncio.sleep(0)
    database.close()
    database.close()
    assert await writing == "a"
    with pytest.raises(StoreError, match="closed"):
        await database.write(put("b"))


async def test_the_file_opens_again_with_everything_in_it(tmp_path: Path) -> None:
    for key in "ab":
        database = SqliteDatabase(tmp_path / "deep" / "down" / "records.db")
        await database.write(put(key))
        database.close()
    again = SqliteDatabase(tmp_path / "deep" / "down" / "records.db")
    assert await keys(again) == ["a", "b"]
    again.close()


def test_a_file_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreError, match="version 999"):
        SqliteDatabase(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be used as the records file"):
        SqliteDatabase(path)
    assert path.read_bytes() == before


async def test_two_programs_that_open_a_new_file_at_once_both_can(tmp_path: Path) -> None:
    first, second = SqliteDatabase(tmp_path / "records.db"), SqliteDatabase(tmp_path / "records.db")
    assert await keys(first) == await keys(second) == []
    first.close()
    second.close()


_ENDLESS_WRITER = """
import asyncio, sys
from pathlib import Path
from trainshed.stores.records.sqlite import SqliteDatabase

async def write_for_ever():
    database = SqliteDatabase(Path(sys.argv[1]))
    async def put(n):
        while True:
            key = f"{n:09}"
            await database.write(
                lambda c: c.execute(
                    "INSERT INTO tags (arn, key, value) VALUES ('arn', ?, '')", (key,)
                ).rowcount
            )
            print(key, flush=True)
            n += 10
    await asyncio.gather(*(put(n) for n in range(10)))

asyncio.run(write_for_ever())
"""


def test_a_killed_writer_loses_no_write_that_it_answered(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    for _ in range(2):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", _ENDLESS_WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            answered = [process.stdout.readline().strip() for _ in range(137)]
            process.kill()
            # The last line may be torn.
            answered += [line.strip() for line in process.stdout if len(line) == 10]
        database = SqliteDatabase(path)
        assert set(answered) <= set(asyncio.run(keys(database)))
        assert asyncio.run(database.read("PRAGMA integrity_check")) == [("ok",)]
        database.close()
