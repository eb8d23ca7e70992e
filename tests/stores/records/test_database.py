"""What a write promises, and when; on both databases."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import Connection, Database
from trainshed.stores.records.postgres import PostgresDatabase

Holding = Callable[[], AbstractContextManager[None]]


def put(key: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute("INSERT INTO tags (arn, key, value) VALUES ('arn', ?, '')", (key,))
        return key

    return work


async def keys(database: Database) -> list[str]:
    return [key for (key,) in await database.read("SELECT key FROM tags ORDER BY key")]


@pytest.fixture
def held(database: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Holding:
    """What has another process write for so long as the block runs."""

    @contextmanager
    def by_file() -> Iterator[None]:
        with closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    @contextmanager
    def by_lock() -> Iterator[None]:
        assert isinstance(database, PostgresDatabase)
        with psycopg.connect(request.getfixturevalue("filled")) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", (database.place.lock,))
            yield

    return by_lock if isinstance(database, PostgresDatabase) else by_file


async def test_writes_that_wait_together_are_all_answered_with_their_own_result(
    database: Database,
) -> None:
    wanted = [f"{n:04}" for n in range(1200)]  # more than one batch
    assert await asyncio.gather(*(database.write(put(key)) for key in wanted)) == wanted
    assert await keys(database) == wanted


async def test_an_error_in_one_work_undoes_that_work_alone(
    database: Database, held: Holding
) -> None:
    def fail(connection: Connection) -> None:
        put("half")(connection)
        raise ValueError("changed my mind")

    def clash(connection: Connection) -> None:
        put("clash")(connection)
        put("a")(connection)

    works = [put("a"), fail, clash, put("b"), fail]
    with held():  # so that they share a transaction
        begun = [asyncio.create_task(database.write(work)) for work in works]
        await asyncio.sleep(0)
    first, second, third, last, fifth = await asyncio.gather(*begun, return_exceptions=True)
    assert (first, last) == ("a", "b")
    assert isinstance(second, ValueError)
    assert isinstance(third, StoreError)
    assert isinstance(fifth, ValueError)
    assert await keys(database) == ["a", "b"]
    with pytest.raises(ValueError, match="changed my mind"):
        await database.write(fail)
    assert await database.write(put("c")) == "c"
    assert await keys(database) == ["a", "b", "c"]


async def test_a_work_sees_what_those_before_it_wrote_and_counts_what_it_writes(
    database: Database,
) -> None:
    change = "UPDATE tags SET value = 'x' WHERE key >= ?"
    rows = [(str(n),) for n in range(3)]

    def work(connection: Connection) -> tuple[int, int, list[str]]:
        insert = "INSERT INTO tags (arn, key, value) VALUES ('arn', ?, '')"
        connection.executemany(insert, rows)
        connection.executemany(insert, [])
        found = connection.execute("SELECT key FROM tags ORDER BY key DESC")
        assert found.fetchone() == ("2",)
        rest = [key for (key,) in found]
        assert connection.execute("SELECT 1 FROM tags WHERE key = ?", ("9",)).fetchone() is None
        changed = connection.execute(change, ("1",)).rowcount
        return changed, connection.execute(change, ("9",)).rowcount, rest

    assert await database.write(work) == (2, 0, ["1", "0"])


async def test_nothing_is_answered_before_the_commit(database: Database, held: Holding) -> None:
    told = asyncio.Event()
    with held():
        writing = asyncio.create_task(database.write(put("a"), lambda _: told.set()))
        done, _ = await asyncio.wait([writing], timeout=0.05)
        assert not done
        assert not told.is_set()
        assert await keys(database) == []
    assert await writing == "a"
    assert told.is_set()


async def test_what_follows_a_write_happens_though_its_caller_has_gone(
    database: Database, held: Holding
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    with held():
        writing = asyncio.create_task(database.write(put("a"), told.put_nowait))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await told.get() == "a"
    assert await keys(database) == ["a"]


async def test_what_was_asked_for_before_closing_is_written_and_nothing_after(
    database: Database,
) -> None:
    writing = asyncio.create_task(database.write(put("a")))
    await asyncio.sleep(0)
    database.close()
    database.close()
    assert await writing == "a"
    with pytest.raises(StoreError, match="closed"):
        await database.write(put("b"))


async def test_a_question_that_makes_no_sense_is_an_error_and_breaks_nothing(
    database: Database,
) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        await database.read("SELECT nothing FROM nowhere")
    with pytest.raises(StoreError, match="cannot be read"):
        await database.read("DELETE FROM tags WHERE arn = ?", ("arn",))
    with pytest.raises(StoreError, match="nothing was written"):
        await database.write(lambda c: c.execute("SELECT nothing FROM nowhere").fetchall())
    await database.write(put("a"))
    assert await keys(database) == ["a"]


async def test_many_readers_are_all_answered_while_others_write(database: Database) -> None:
    async def read(n: int) -> None:
        assert await database.read("SELECT key FROM tags WHERE key = ?", (str(n),)) == [(str(n),)]

    await asyncio.gather(*(database.write(put(str(n))) for n in range(50)))
    await asyncio.gather(
        *(read(n) for n in range(50)), *(database.write(put(str(n))) for n in range(50, 100))
    )


async def test_a_reader_who_gives_up_leaves_the_others_their_turn(database: Database) -> None:
    readers = [asyncio.create_task(keys(database)) for _ in range(20)]
    await asyncio.sleep(0)
    for reader in readers[::2]:
        reader.cancel()
    assert await asyncio.gather(*readers[1::2]) == [[]] * 10
    assert await keys(database) == []
