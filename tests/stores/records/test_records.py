"""Both databases keep the promises of every record store."""

import pytest

from trainshed.stores.records.base import Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.tags import SqlTags
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.leases_suite import LeasesSuite, LeaseStores, Time, a_server
from trainshed.testing.records_suite import RecordsSuite, RecordStores, a_job


class TestRecords(RecordsSuite):
    @pytest.fixture
    async def stores(self, database: Database) -> RecordStores:
        changes = InProcessChanges()
        return RecordStores(
            training=SqlTrainingRecords(database, changes), tags=SqlTags(database), changes=changes
        )


class TestLeases(LeasesSuite):
    @pytest.fixture
    async def shed(self, database: Database) -> LeaseStores:
        time = Time()
        return LeaseStores(
            leases=SqlLeases(database, clock=time),
            training=SqlTrainingRecords(database, InProcessChanges()),
            time=time,
        )


async def test_the_databases_own_clock_tells_the_time(database: Database) -> None:
    leases = SqlLeases(database)
    await leases.register(a_server("a"))
    assert await leases.beat("a")
    await leases.register(a_server("b"))
    assert [server.id for server in await leases.servers()] == ["a", "b"]
    (since, seen), (later, _) = await database.read("SELECT since, seen FROM servers ORDER BY id")
    assert 1.7e9 < since <= seen <= later < 4e9  # seconds since the epoch


async def test_a_server_that_is_alone_takes_over_at_once_and_needs_no_beat(
    database: Database,
) -> None:
    time = Time()
    leases = SqlLeases(database, alone=True, clock=time)
    training = SqlTrainingRecords(database, InProcessChanges())
    await leases.register(a_server("killed"))
    await training.add(a_job("j"), {}, owner="killed")
    await leases.register(a_server("next"))
    assert await leases.claim("next", 1) == [a_job("j").arn]
    time.seconds += 86400
    await training.add(a_job("k"), {})
    assert await leases.claim("next", 1) == [a_job("k").arn]
