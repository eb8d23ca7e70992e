"""All open jobs, slice by slice, on each database."""

from dataclasses import replace
from datetime import timedelta

from trainshed.domain.training import SecondaryStatus
from trainshed.stores.records.base import Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, job


async def test_every_open_job_is_told_once_the_oldest_first(database: Database) -> None:
    records = SqlTrainingRecords(database, InProcessChanges())
    for number in range(450):  # more than two slices, many of one moment
        created = NOON + timedelta(seconds=-(number % 7))
        new = replace(job(f"job-{number:03}"), created=created, id=f"{number:012x}")
        assert await records.add(new, {})
    over = job("over").moved_to(SecondaryStatus.FAILED, at=NOON)
    assert await records.add(replace(over, cleaned=True), {})
    uncleaned = replace(over, name="uncleaned", arn=over.arn + "2", id="f" * 12)
    assert await records.add(uncleaned, {})
    found = [each async for each in records.each_open()]
    assert len(found) == 451
    names = {f"job-{number:03}" for number in range(450)} | {"uncleaned"}
    assert {each.name for each in found} == names
    assert [each.created for each in found] == sorted(each.created for each in found)
