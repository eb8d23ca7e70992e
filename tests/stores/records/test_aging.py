"""Jobs that ended long ago, and rows of jobs that are not there, in either database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.stores.records.aging import AgedJobs
from trainshed.stores.records.base import Connection, Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leftovers import NamedJobs, RowLeftovers
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, job

_S = SecondaryStatus


@pytest.fixture
def records(database: Database) -> SqlTrainingRecords:
    return SqlTrainingRecords(database, InProcessChanges())


def ended(number: int, hours: float, region: str = "us-east-1") -> TrainingJob:
    new = replace(
        job(f"job-{number}"),
        arn=job(f"job-{number}").arn.replace("us-east-1", region),
        region=region,
        id=f"{number:012}",
    )
    return replace(new.moved_to(_S.FAILED, at=NOON + timedelta(hours=hours)), cleaned=True)


async def test_jobs_are_found_by_when_they_ended_in_every_region_over_the_pages(
    database: Database, records: SqlTrainingRecords
) -> None:
    for number in range(60):
        assert await records.add(ended(number, 1, "eu-west-1" if number % 2 else "us-east-1"), {})
    assert await records.add(ended(60, 3), {})
    assert await records.add(replace(ended(61, 1), cleaned=False), {})
    found = [each.id async for each in AgedJobs(database).ended_before(NOON + timedelta(hours=2))]
    assert sorted(found) == [f"{number:012}" for number in range(60)]
    assert [each async for each in AgedJobs(database).ended_before(NOON)] == []


async def test_each_may_be_removed_while_the_others_are_gone_through(
    database: Database, records: SqlTrainingRecords
) -> None:
    for number in range(55):
        assert await records.add(ended(number, 1), {})
    aged = AgedJobs(database).ended_before(NOON + timedelta(hours=2))
    assert [await records.remove(each) async for each in aged] == [True] * 55
    assert await database.read("SELECT arn FROM training_jobs") == []


async def test_jobs_are_found_by_their_names(
    database: Database, records: SqlTrainingRecords
) -> None:
    for number in (1, 2, 3):
        assert await records.add(ended(number, 1), {})
    assert await records.add(replace(ended(2, 1, "eu-west-1"), id="000000000009"), {})
    named = await NamedJobs(database).named(["job-2", "job-3", "none", *map(str, range(150))])
    assert sorted(each.id for each in named) == ["000000000002", "000000000003", "000000000009"]
    assert await NamedJobs(database).named([]) == []


async def test_rows_of_jobs_that_are_not_there_are_found_and_removed(
    database: Database, records: SqlTrainingRecords
) -> None:
    kept = ended(1, 1)
    assert await records.add(kept, {})
    facts = [Fact(1, 1.0, Kind.STARTED), Fact(2, 2.0, Kind.METRICS, {"points": [["a", 1.0, 2.0]]})]
    assert await records.take(kept.id, 1, "algo-1", facts) == 2

    def work(connection: Connection) -> None:
        for table in ("facts", "taken"):
            columns = "job_id, attempt, host, n" + (", at, kind, detail" * (table == "facts"))
            values = "'stray', 1, 'algo-1', 1" + (", 1.0, 'started', ?" * (table == "facts"))
            sql = f"INSERT INTO {table} ({columns}) VALUES ({values})"
            connection.execute(sql, (b"{}",) if table == "facts" else ())

    await database.write(work)
    leftovers = RowLeftovers(database)
    (found,) = await leftovers.find()
    assert (found.kind, found.name) == ("rows", "stray")
    await leftovers.remove(replace(found, name=kept.id))
    await leftovers.remove(found)
    assert await leftovers.find() == []
    assert len((await records.facts(kept.id, 1))["algo-1"]) == 1
    assert len(await records.final_metrics(kept.id)) == 1
