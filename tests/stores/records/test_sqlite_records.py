"""SQLite keeps the promises of every record store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.tags import SqlTags
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.records_suite import RecordsSuite, RecordStores


class TestSqliteRecords(RecordsSuite):
    @pytest.fixture
    async def stores(self, tmp_path: Path) -> AsyncIterator[RecordStores]:
        database = SqliteDatabase(tmp_path / "records.db")
        changes = InProcessChanges()
        yield RecordStores(
            training=SqlTrainingRecords(database, changes),
            tags=SqlTags(database),
            changes=changes,
        )
        database.close()
