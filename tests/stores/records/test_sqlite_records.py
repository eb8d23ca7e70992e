"""SQLite keeps the promises of every record store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.database import Database
from trainshed.stores.records.tags import SqliteTags
from trainshed.stores.records.training import SqliteTrainingRecords
from trainshed.testing.records_suite import RecordsSuite, RecordStores


class TestSqliteRecords(RecordsSuite):
    @pytest.fixture
    async def stores(self, tmp_path: Path) -> AsyncIterator[RecordStores]:
        database = Database(tmp_path / "records.db")
        changes = InProcessChanges()
        yield RecordStores(
            training=SqliteTrainingRecords(database, changes),
            tags=SqliteTags(database),
            changes=changes,
        )
        database.close()
