"""Both databases, for tests of what they have in common; a PostgreSQL server for all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each of the databases, empty."""
    if request.param == "sqlite":
        database: Database = SqliteDatabase(tmp_path / "records.db")
    else:
        database = PostgresDatabase(request.getfixturevalue("url"))
    yield database
    database.close()
