"""Changes in the order in which they were made, on both databases."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob
from trainshed.stores.records import feed
from trainshed.stores.records.base import Connection, Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.feed import Change, JobFeed, State
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.migrations import shipped, steps
from trainshed.stores.records.postgres import PostgresDatabase
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.leases_suite import Time, a_server
from trainshed.testing.records_suite import NOON, REGION, a_job, at_end


@pytest.fixture
def records(database: Database) -> SqlTrainingRecords:
    return SqlTrainingRecords(database, InProcessChanges())


@pytest.fixture
def jobs(database: Database) -> JobFeed:
    return JobFeed(database)


async def told(jobs: JobFeed, after: int, gone_after: int = 0, limit: int = 99) -> list[Change]:
    newest = (await jobs.state()).newest
    found = await jobs.changes(
        REGION, after=after, until=newest, gone_after=gone_after, limit=limit
    )
    return list(found)


async def names(jobs: JobFeed, after: int, gone_after: int = 0, limit: int = 99) -> list[str]:
    found = await told(jobs, after, gone_after, limit)
    assert [each.n for each in found] == sorted({each.n for each in found})
    return [each.name + ("" if each.standing else " gone") for each in found]


async def changed(records: SqlTrainingRecords, job: TrainingJob) -> TrainingJob:
    new = replace(job, stop_wish=NOON)
    assert await records.swap(job, new)
    return new


async def ended(records: SqlTrainingRecords, job: TrainingJob) -> TrainingJob:
    new = replace(at_end(job, SecondaryStatus.FAILED), cleaned=True)
    assert await records.swap(job, new)
    return new


async def test_each_job_is_told_once_under_its_last_change(
    records: SqlTrainingRecords, jobs: JobFeed
) -> None:
    begin = (await jobs.state()).newest
    for name in "abc":
        await records.add(a_job(name), {})
    await records.add(a_job("elsewhere", region="us-east-1"), {})
    assert await names(jobs, begin) == ["a", "b", "c"]
    seen = (await jobs.state()).newest
    assert await names(jobs, seen) == []
    await changed(records, a_job("a"))
    assert await names(jobs, seen) == ["a"]
    assert await names(jobs, begin) == ["b", "c", "a"]
    assert await names(jobs, begin, limit=2) == ["b", "c"]


async def test_it_tells_how_the_job_stands(records: SqlTrainingRecords, jobs: JobFeed) -> None:
    begin = (await jobs.state()).newest
    await records.add(a_job("a"), {})
    over = await ended(records, a_job("a"))
    (change,) = await told(jobs, begin)
    assert change.standing is not None
    assert change.arn == over.arn
    assert change.standing.secondary is over.secondary
    assert change.standing.created == over.created
    assert change.standing.modified == over.modified


async def test_what_was_not_written_is_no_change(
    records: SqlTrainingRecords, jobs: JobFeed, database: Database
) -> None:
    await records.add(a_job("a"), {})
    state = await jobs.state()
    assert not await records.add(a_job("a", minutes=5), {})
    stale = replace(a_job("a"), modified=NOON - timedelta(days=1))
    assert not await records.swap(stale, replace(stale, backend="docker"))
    assert not await records.remove(stale)

    def failing(connection: Connection) -> None:
        connection.execute("UPDATE training_jobs SET body = body")
        raise ValueError("undo this")

    with pytest.raises(ValueError, match="undo this"):
        await database.write(failing)
    assert await names(jobs, state.newest) == []


async def test_another_owner_is_no_change(
    records: SqlTrainingRecords, jobs: JobFeed, database: Database
) -> None:
    job = replace(a_job("a"), attempt=Attempt(number=1, backend="local", started=NOON))
    await records.add(job, {})
    state = await jobs.state()
    leases = SqlLeases(database, clock=Time())
    await leases.register(a_server("s"))
    assert await leases.claim("s", 9) == [job.arn]
    assert await jobs.state() == state


async def test_a_job_that_is_deleted_is_told_as_gone(
    records: SqlTrainingRecords, jobs: JobFeed
) -> None:
    begin = (await jobs.state()).newest
    for name in "ab":
        await records.add(a_job(name), {})
    over = await ended(records, a_job("a"))
    seen = (await jobs.state()).newest
    assert await records.remove(over)
    assert await names(jobs, seen) == ["a gone"]
    assert await names(jobs, begin) == ["b", "a gone"]
    # Whoever has not been told of it does not have to be told that it has gone.
    newest = (await jobs.state()).newest
    assert await names(jobs, 0, gone_after=newest) == ["b"]
    # Its name is given anew.
    await records.add(a_job("a", minutes=9), {})
    assert await names(jobs, seen) == ["a"]


async def test_deletions_are_forgotten_once_nobody_is_told_what_followed_them(
    records: SqlTrainingRecords, jobs: JobFeed, database: Database
) -> None:
    for name in ("old", "young"):
        await records.add(a_job(name), {})
    old, young = [await ended(records, a_job(name)) for name in ("old", "young")]
    before = (await jobs.state()).newest
    assert await records.remove(old)
    # As if so many others had followed but one.
    last = before + feed.REMEMBERED
    await database.write(
        lambda c: c.execute(
            "INSERT INTO training_job_changes (n, arn, region, name, gone) "
            "VALUES (?, 'arn', 'none', 'none', 0)",
            (last,),
        )
    )
    assert (await jobs.state()).reaches(before)
    assert await names(jobs, before) == ["old gone"]
    await database.write(
        lambda c: c.execute("UPDATE training_job_changes SET n = n + 1 WHERE n = ?", (last,))
    )
    assert not (await jobs.state()).reaches(before)
    assert await names(jobs, before) == ["old gone"]
    assert await records.remove(young)
    assert "old gone" not in await names(jobs, before)


async def test_changes_by_a_server_that_knows_no_numbers_have_them_too(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "older").mkdir()
    first = steps(shipped("postgres"))[0]
    (tmp_path / "older" / f"{first.name}.pre.sql").write_text(first.script)
    with closing(PostgresDatabase(url, tmp_path / "older")) as older:
        its_records = SqlTrainingRecords(older, InProcessChanges())
        await its_records.add(a_job("before"), {})
        with closing(PostgresDatabase(url)) as newer:
            jobs = JobFeed(newer)
            assert await names(jobs, 0) == ["before"]
            await its_records.add(a_job("meanwhile"), {})
            await changed(its_records, a_job("before"))
            assert await names(jobs, 0) == ["meanwhile", "before"]


async def test_no_question_goes_through_a_table(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "records.db")) as database:
        page: tuple[Any, ...] = (1, 9, REGION, 0, 9)
        for question, values in ((feed._STATE, ()), (feed._PAGE, page)):
            plan = await database.read(f"EXPLAIN QUERY PLAN {question}", values)
            steps_of_it = [step for *_, step in plan]
            assert [s for s in steps_of_it if "SCAN" in s] in ([], ["SCAN training_job_numbers"])
            assert not any("TEMP B-TREE" in step for step in steps_of_it)


async def test_numbers_of_other_records_are_told_apart(jobs: JobFeed) -> None:
    state = await jobs.state()
    assert len(state.id) == 16
    assert await jobs.state() == state
    assert state.reaches(state.newest)
    assert not state.reaches(state.newest + 1)
    assert State(state.id, 7) != State("another", 7)
