"""Schemas that change: while servers of the older one go on, and over files of any age."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import Connection
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.migrations import shipped, steps
from trainshed.stores.records.postgres import PostgresDatabase
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.tags import SqlTags
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.leases_suite import Time, a_server
from trainshed.testing.records_suite import a_job


def with_more(folder: Path, database: str, **scripts: str) -> Path:
    """Return a folder of the steps that there are, and of these after them."""
    folder.mkdir()
    known = list(steps(shipped(database)))
    for step in known:
        kind = "post" if step.removes else "pre"
        (folder / f"{step.name}.{kind}.sql").write_text(step.script)
    for n, (kind, script) in enumerate(scripts.items(), known[-1].number + 1):
        (folder / f"{n:04}_more.{kind}.sql").write_text(script)
    return folder


@contextmanager
def opened(url: str, migrations: Path | None = None) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(url, migrations)
    try:
        yield database
    finally:
        database.close()


PRE = """
    ALTER TABLE tags ADD COLUMN written_by TEXT NOT NULL DEFAULT 'an older server';
    CREATE TABLE notes (arn TEXT PRIMARY KEY, note TEXT NOT NULL);
"""
POST = "ALTER TABLE training_jobs DROP COLUMN project;"
"""What an older server can't do without."""


def noted(key: str) -> Callable[[Connection], int]:
    insert = "INSERT INTO tags (arn, key, value, written_by) VALUES ('arn', ?, '', 'a newer one')"
    return lambda connection: connection.execute(insert, (key,)).rowcount


async def test_servers_of_two_schemas_work_side_by_side_until_the_older_ones_have_gone(
    url: str, tmp_path: Path
) -> None:
    newer = with_more(tmp_path / "newer", "postgres", pre=PRE, post=POST)
    time = Time()
    with opened(url) as old:
        leases = SqlLeases(old, clock=time)
        await leases.register(a_server("old"))
        with opened(url, newer) as new:
            its_leases = SqlLeases(new, clock=time)
            await its_leases.register(a_server("new"))
            # Both do all that servers do, each on what the other wrote.
            records = {
                name: SqlTrainingRecords(db, InProcessChanges())
                for name, db in (("old", old), ("new", new))
            }
            await records["old"].add(a_job("by-old"), {"k": "v"})
            await new.write(noted("n"))
            await SqlTags(old).set_tags("arn", {"o": "1", "n": "2"}, limit=9)
            assert await SqlTags(new).tags("arn") == {"o": "1", "n": "2"}
            assert await new.read("SELECT written_by FROM tags WHERE arn = 'arn' ORDER BY key") == [
                ("a newer one",),
                ("an older server",),
            ]
            assert await its_leases.claim("new", 9) == [a_job("by-old").arn]
            # What the older needs is there for as long as it lives, and one can even be started.
            for _ in range(3):
                time.seconds += 2
                assert await leases.beat("old")
                assert await its_leases.beat("new")
                await its_leases.claim("new", 9)
                assert await records["old"].add(a_job(f"at-{time.seconds:.0f}"), {})
            with opened(url) as another:
                await SqlLeases(another, clock=time).register(a_server("old-2"))
            # The one ends cleanly, the other is killed.
            await leases.release("old")
            for _ in range(4):
                time.seconds += 2
                assert await its_leases.beat("new")
            await its_leases.claim("new", 9)
            await new.upgrade()
            with pytest.raises(StoreError, match="nothing was written"):
                await records["old"].add(a_job("too-late"), {})
            # One that had opened the database meanwhile can't begin to serve.
            with pytest.raises(StoreError, match=f"version {new.schema}, this program knows"):
                await leases.register(a_server("old-3"))
            with pytest.raises(StoreError, match="use the newer trainshed"):
                PostgresDatabase(url)
    with opened(url, newer) as again:
        assert await again.read("SELECT count(*) FROM notes") == [(0,)]


async def test_a_new_database_is_made_without_what_is_not_needed_any_more(
    url: str, tmp_path: Path
) -> None:
    newer = with_more(tmp_path / "newer", "postgres", pre=PRE, post=POST)
    for _ in range(2):
        with opened(url, newer) as database:
            found = await database.read(
                "SELECT 1 FROM information_schema.columns WHERE column_name = 'project' "
                "AND table_schema = current_schema()"
            )
            assert found == []


def test_a_step_that_fails_changes_nothing(url: str, tmp_path: Path) -> None:
    with opened(url):
        pass
    broken = with_more(tmp_path / "b", "postgres", pre="CREATE TABLE half (n INT); CREATE nonsense")
    with pytest.raises(StoreError, match="nonsense"):
        PostgresDatabase(url, broken)
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT to_regclass('half')").fetchone() == (None,)


async def test_several_servers_that_start_at_once_on_nothing_all_can(url: str) -> None:

    opening = [asyncio.to_thread(PostgresDatabase, url) for _ in range(4)]
    for database in await asyncio.gather(*opening):
        assert await database.read("SELECT count(*) FROM tags") == [(0,)]
        database.close()


@pytest.mark.parametrize("version", range(1, 6))
async def test_a_file_of_an_older_program_is_brought_up_with_all_that_is_in_it(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "records.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for step in steps(shipped("sqlite"))[:version]:
            connection.executescript(step.script)
        connection.execute(
            "INSERT INTO training_jobs (arn, id, region, name, created, modified, status, open, "
            "body) VALUES ('arn:j', 'id', 'r', 'j', 1.0, 1.0, 'InProgress', 1, ?)",
            (b'{"attempt": {"backend": "docker"}, "backend": "local"}',),
        )
        connection.execute(f"PRAGMA user_version = {version}")
    database = SqliteDatabase(path)
    assert await database.read("SELECT name, owner, backend, project FROM training_jobs") == [
        ("j", "", "docker", "")
    ]
    assert await database.read("SELECT n, arn, gone FROM training_job_changes") == [(1, "arn:j", 0)]
    assert await database.read("PRAGMA user_version") == [(database.schema,)]
    database.close()
