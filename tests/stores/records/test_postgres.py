"""What goes with a database server: it goes away and comes back, and others write beside us."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from tests.stores.records.losing import Lost, losing
from tests.stores.records.test_database import keys, put

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import EVERYTHING, Connection, MaybeWritten
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.news import News
from trainshed.stores.records.postgres import PostgresDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.leases_suite import a_server
from trainshed.testing.postgres import Postgres
from trainshed.testing.records_suite import a_job


@contextmanager
def opened(url: str) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(url)
    try:
        yield database
    finally:
        database.close()


def ended(url: str, *, but: int = 0) -> int:
    """Throw out all sessions of our program but one; return how many there were."""
    with psycopg.connect(url, autocommit=True) as admin:
        question = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'trainshed' AND pid <> %s"
        )
        return len(admin.execute(question, (but,)).fetchall())


async def test_sessions_that_broke_while_idle_cost_nobody_an_error(url: str) -> None:
    with opened(url) as database:
        for n in range(3):
            await database.write(put(str(n)))
            assert len(await keys(database)) == n + 1
            assert ended(url) >= 2


async def test_work_that_was_cut_short_is_done_once_more(url: str) -> None:
    with opened(url) as database:
        runs: list[int] = []

        def work(connection: Connection) -> int:
            put("a")(connection)
            runs.append(1)
            if len(runs) == 1:
                assert ended(url) == 1
            return connection.execute("SELECT 1 FROM tags").rowcount

        assert await database.write(work) == 1
        assert len(runs) == 2
        assert await keys(database) == ["a"]


async def test_work_that_is_cut_short_each_time_is_told_so_and_nothing_of_it_stands(
    url: str,
) -> None:
    with opened(url) as database:

        def work(connection: Connection) -> None:
            put("a")(connection)
            ended(url)
            connection.execute("SELECT 1")

        with pytest.raises(StoreError, match="nothing was written"):
            await database.write(work)
        assert await keys(database) == []
        assert await database.write(put("b")) == "b"


LOSE_IN_COMMIT = """
    CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON tags DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION lose();
"""


async def test_a_commit_that_breaks_its_session_each_time_is_told_to_have_written_nothing(
    url: str,
) -> None:
    with opened(url) as database:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(LOSE_IN_COMMIT)
        with pytest.raises(StoreError, match="nothing was written"):
            await database.write(put("a"))
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("DROP TRIGGER lose ON tags")
        assert await keys(database) == []
        assert await database.write(put("b")) == "b"


@pytest.mark.parametrize("lost", Lost)
async def test_a_commit_of_which_nothing_was_heard_is_answered_by_what_stands(
    postgres: Postgres, url: str, lost: Lost
) -> None:
    """Insert, which can be done once: a second time would be refused."""
    with (
        losing(postgres.port) as way,
        opened(url.replace(f":{postgres.port}/", f":{way.port}/")) as database,
    ):
        for n in range(3):
            await database.write(put(f"before {n}"))
            way.lose(lost)
            begun = [database.write(put(f"{n} {m}")) for m in range(3)]
            assert await asyncio.gather(*begun) == [f"{n} {m}" for m in range(3)]
            assert way.lost.wait(10)
            way.lost.clear()
        assert len(await keys(database)) == 12


async def test_a_commit_of_which_nobody_can_tell_any_more_is_told_as_such(
    postgres: Postgres, url: str
) -> None:
    with losing(postgres.port) as way:
        database = PostgresDatabase(url.replace(f":{postgres.port}/", f":{way.port}/"))
        way.lose(Lost.ANSWER, for_good=True)
        told: list[str] = []
        writing = asyncio.create_task(database.write(put("a"), told.append))
        assert await asyncio.to_thread(way.lost.wait, 10)
        await asyncio.to_thread(database.close)  # or else it would ask for ten seconds
        with pytest.raises(MaybeWritten, match="may have been written or not"):
            await writing
        assert told == []
    with opened(url) as again:
        assert await keys(again) == ["a"]


async def test_two_databases_never_lose_a_change_to_one_another(url: str) -> None:
    def add_one(connection: Connection) -> None:
        row = connection.execute("SELECT value FROM tags WHERE key = 'n'").fetchone()
        assert row is not None
        connection.execute("UPDATE tags SET value = ?", (str(int(row[0]) + 1),))

    with opened(url) as one, opened(url) as other:
        await one.write(
            lambda c: c.execute("INSERT INTO tags (arn, key, value) VALUES ('', 'n', '0')").rowcount
        )
        await asyncio.gather(*(each.write(add_one) for _ in range(100) for each in (one, other)))
        assert await other.read("SELECT value FROM tags") == [("200",)]


async def test_two_servers_that_claim_at_once_share_the_jobs(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        training = SqlTrainingRecords(one, InProcessChanges())
        await asyncio.gather(*(training.add(a_job(f"j{n}"), {}) for n in range(200)))
        leases = {"a": SqlLeases(one), "b": SqlLeases(other)}
        for id, its in leases.items():
            await its.register(a_server(id))
        claims = [its.claim(id, 10) for _ in range(15) for id, its in leases.items()]
        found = [arn for arns in await asyncio.gather(*claims) for arn in arns]
        assert len(found) == len(set(found)) == 200


async def heard(changes: InProcessChanges, wanted: Callable[[str], bool]) -> set[str]:
    """Return what is heard until something wanted is."""
    found: set[str] = set()
    async with asyncio.timeout(30):
        while not any(map(wanted, found)):
            found |= await changes.next(30)
    return found


async def test_a_change_by_another_server_is_heard_and_ones_own_only_once(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        here, there = InProcessChanges(), InProcessChanges()
        mine, theirs = SqlTrainingRecords(one, here), SqlTrainingRecords(other, there)
        async with asyncio.TaskGroup() as group:
            listening = [
                group.create_task(News(database, changes).run())
                for database, changes in ((one, here), (other, there))
            ]
            for changes in (here, there):
                assert await heard(changes, lambda arn: arn == EVERYTHING) == {EVERYTHING}
            job, last = a_job("j"), a_job("last")
            await mine.add(job, {})
            assert await here.next(0) == {job.arn}
            assert await heard(there, lambda arn: arn == job.arn) == {job.arn}
            await theirs.swap(job, replace(job, cleaned=True))
            assert await heard(here, lambda arn: arn == job.arn) == {job.arn}
            await theirs.swap(job, replace(job, cleaned=True))  # changes nothing
            await theirs.add(last, {})
            assert await heard(here, lambda arn: arn == last.arn) == {last.arn}
            for task in listening:
                task.cancel()


async def test_after_a_break_everything_may_have_changed(url: str) -> None:
    with opened(url) as database:
        changes = InProcessChanges()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(News(database, changes).run())
            for _ in range(2):
                await heard(changes, lambda arn: arn == EVERYTHING)
                ended(url, but=database.pid)
            await heard(changes, lambda arn: arn == EVERYTHING)
            listening.cancel()


async def test_a_name_of_any_length_is_told(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        changes = InProcessChanges()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(News(other, changes).run())
            await heard(changes, lambda arn: arn == EVERYTHING)
            for name in ("é" * 3000, "é" * 9000, "a' OR \"b\" \\ 'c"):
                await one.write(lambda c, name=name: c.tell(name))
                expected = name if len(name) < 4000 else EVERYTHING
                assert await heard(changes, bool if expected else lambda a: not a) == {expected}
            listening.cancel()


async def test_a_server_that_hangs_in_its_turn_loses_it_and_writes_when_it_goes_on(
    url: str,
) -> None:
    begun, released = threading.Event(), threading.Event()

    def hang(connection: Connection) -> str:
        begun.set()
        assert released.wait(60)
        return put("hung")(connection)

    with opened(url) as hanging, opened(url) as other:
        writing = asyncio.create_task(hanging.write(hang))
        await asyncio.to_thread(begun.wait)
        assert await other.write(put("a")) == "a"
        assert await keys(other) == ["a"]
        released.set()
        assert await writing == "hung"
        assert await keys(other) == ["a", "hung"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("postgresql://nobody-knows@127.0.0.1:{port}/postgres", "nobody-knows"),
        ("postgresql://trainshed:secret@127.0.0.1:1/postgres", "127.0.0.1:1 cannot be reached"),
        ("postgresql://trainshed@127.0.0.1:{port}/nowhere", "nowhere"),
        ("postgresql://trainshed@127.0.0.1:{port}/postgres?options=-csearch_path%3Dnone", "tables"),
        ("postgresql://trainshed@127.0.0.1:{port}/postgres?nonsense=1", "nonsense"),
        ("mysql://x", "mysql"),
    ],
)
def test_a_database_that_can_not_be_used_is_named_with_the_reason(
    postgres: Postgres, bad: str, said: str
) -> None:
    with pytest.raises(StoreError) as refused:
        PostgresDatabase(bad.format(port=postgres.port))
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_text_that_postgresql_can_not_hold_is_held_as_well_as_it_can(url: str) -> None:
    with opened(url) as database:
        await database.write(put("a\0b"))
        assert await keys(database) == ["a\ufffdb"]
