"""Both databases, for tests of what they have in common; a PostgreSQL server for all."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from trainshed.stores.records.base import Database
from trainshed.stores.records.postgres import PostgresDatabase
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.testing.postgres import Postgres, private_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with private_postgres() as server:
        yield server


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """An empty place of the server."""
    with postgres.schema() as it:
        yield it


@pytest.fixture(scope="session")
def filled(postgres: Postgres) -> Iterator[str]:
    """A place of the server that has its tables, for all tests one after the other."""
    with postgres.schema() as it:
        yield it


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each of the databases, empty."""
    if request.param == "sqlite":
        database: Database = SqliteDatabase(tmp_path / "records.db")
        yield database
        database.close()
    else:
        url = request.getfixturevalue("filled")
        database = PostgresDatabase(url)
        yield database
        database.close()
        empty(url)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def one_for_all(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Each of the databases, the same one for all tests of a module and all their examples."""
    if request.param == "sqlite":
        database: Database = SqliteDatabase(tmp_path_factory.mktemp("rows") / "records.db")
        yield database
        database.close()
    else:
        server: Postgres = request.getfixturevalue("postgres")
        with server.schema() as url:
            database = PostgresDatabase(url)
            yield database
            database.close()


def empty(url: str) -> None:
    """Remove all rows but those of the schema's own, much sooner than tables are made anew."""
    with psycopg.connect(url) as admin:
        tables = admin.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        )
        # Whatever is removed from the others is noted in this one.
        for (table,) in sorted(tables.fetchall(), key=lambda row: row == ("training_job_changes",)):
            if table not in {"schema_steps", "object_space", "training_job_numbers"}:
                admin.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        admin.execute("UPDATE object_space SET bytes = 0")
