"""An engine that may have missed changes, because the way by which it hears of them was broken."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engine.test_loop import WHOLE_RUN, House, launched

from trainshed.stores.records.base import EVERYTHING
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import job

_NO_LOOK = 3600.0
"""Seconds between looks at what nothing was heard of."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = SqliteDatabase(tmp_path / "records.db")
    changes = InProcessChanges()
    yield House(database, SqlTrainingRecords(database, changes), changes)
    database.close()


async def test_what_was_not_heard_is_found_when_the_way_is_whole_again(house: House) -> None:
    heard = house.records
    unheard = SqlTrainingRecords(house.database, InProcessChanges())
    one, two = job("one"), job("two")
    async with house.engine(look_seconds=_NO_LOOK):
        await heard.add(one, {})
        await house.until(one.arn, launched)
        house.records = unheard
        await house.report(f"{one.id}.1.algo-1", *WHOLE_RUN)
        await unheard.add(two, {})
        house.changes.mark(EVERYTHING)
        await house.until(one.arn, lambda found: found.cleaned)
        await house.until(two.arn, launched)
