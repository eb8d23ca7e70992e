"""What the databases add to the suite's promises: exact bodies, exact pages, indexes."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.training import (
    Attempt,
    SecondaryStatus,
    TrainingJob,
    TrainingJobStatus,
    Transition,
)
from trainshed.stores.records.base import Database, JobQuery
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import _CLAIMABLE, _NEXT_OWNER, _OWNED
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import _CHECKPOINTS, _OPEN, SqlTrainingRecords, _page
from trainshed.testing.records_suite import a_job

MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - the zone is added by the strategy
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
DAY = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def jobs(draw: st.DrawFn) -> TrainingJob:
    transitions = st.builds(
        Transition,
        status=st.sampled_from(SecondaryStatus),
        start=MOMENTS,
        end=st.none() | MOMENTS,
        message=TEXTS,
    )
    return replace(
        a_job(draw(st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,9}", fullmatch=True))),
        request=draw(st.dictionaries(TEXTS, JSON, max_size=4)),
        created=draw(MOMENTS),
        modified=draw(MOMENTS),
        secondary=draw(st.sampled_from(SecondaryStatus)),
        transitions=tuple(draw(st.lists(transitions, max_size=2))),
        failure_reason=draw(st.none() | TEXTS),
        stop_wish=draw(st.none() | MOMENTS),
    )


@pytest.fixture(scope="module")
def database(one_for_all: Database) -> Database:
    """Each of the databases, the same one for all tests and examples."""
    return one_for_all


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "records.db")
    yield database
    database.close()


async def emptied(database: Database) -> SqlTrainingRecords:
    await database.write(lambda connection: connection.execute("DELETE FROM training_jobs"))
    return SqlTrainingRecords(database, InProcessChanges())


@given(job=jobs())
async def test_any_job_comes_back_and_can_be_swapped(database: Database, job: TrainingJob) -> None:
    records = await emptied(database)
    assert await records.add(job, {})
    found = await records.get(job.arn)
    assert found == job
    assert msgspec.json.encode(found) == msgspec.json.encode(job)
    assert await records.swap(job, replace(job, cleaned=True))


@given(
    kept=st.lists(jobs(), max_size=12, unique_by=lambda job: job.name),
    coarse=st.booleans(),
    sort_by=st.sampled_from(["Name", "CreationTime", "Status"]),
    descending=st.booleans(),
    limit=st.integers(1, 5),
    part=st.sampled_from([None, "a", "0", "-"]),
)
async def test_pages_equal_sorting_in_python(
    database: Database,
    kept: list[TrainingJob],
    coarse: bool,
    sort_by: str,
    descending: bool,
    limit: int,
    part: str | None,
) -> None:
    records = await emptied(database)
    if coarse:  # many of the same moment
        noon = datetime(2026, 1, 1, tzinfo=UTC)
        kept = [
            replace(job, created=noon + timedelta(microseconds=n % 2)) for n, job in enumerate(kept)
        ]
    await asyncio.gather(*(records.add(job, {}) for job in kept))

    def key(job: TrainingJob) -> tuple[str | float, str]:
        if sort_by == "CreationTime":
            return job.created.timestamp(), job.name
        return job.name if sort_by == "Name" else job.status.value, job.name

    query = JobQuery(
        region=a_job("x").region,
        sort_by=sort_by,
        descending=descending,
        limit=limit,
        name_contains=part,
    )
    found: list[TrainingJob] = []
    while page := await records.find(query):
        found += page
        query = replace(query, after=key(page[-1]))
    wanted = [job for job in kept if (part or "") in job.name]
    assert found == sorted(wanted, key=key, reverse=descending)


async def test_a_row_of_an_older_program_can_be_swapped(database: Database) -> None:
    records, job = await emptied(database), a_job("old")
    await records.add(job, {})
    body = msgspec.json.decode(msgspec.json.encode(job))
    del body["cleaned"]  # as if the member had been added since
    older = msgspec.json.encode(body)
    await database.write(lambda c: c.execute("UPDATE training_jobs SET body = ?", (older,)))
    found = await records.get(job.arn)
    assert found == job
    assert await records.swap(found, replace(found, cleaned=True))


async def test_members_that_only_a_newer_program_knows_outlive_a_swap(database: Database) -> None:
    records, job = await emptied(database), a_job("new")
    await records.add(job, {})
    body = {**msgspec.json.decode(msgspec.json.encode(job)), "to_come": {"a": [1.5, None]}}
    newer = msgspec.json.encode(body)
    await database.write(lambda c: c.execute("UPDATE training_jobs SET body = ?", (newer,)))
    found = await records.get(job.arn)
    assert found == job
    for reason in ("one", "two"):
        changed = replace(found, failure_reason=reason)
        assert await records.swap(found, changed)
        found = changed
    [(kept,)] = await database.read("SELECT body FROM training_jobs")
    assert msgspec.json.decode(kept) == {**body, "failure_reason": "two"}


async def test_what_jobs_are_sorted_by_stands_beside_their_bodies(database: Database) -> None:
    records, job = await emptied(database), replace(a_job("j"), project="p")
    question = "SELECT owner, backend, project FROM training_jobs"
    await records.add(job, {}, owner="s")
    assert await database.read(question) == [("s", "", "p")]
    asked = replace(job, backend="asked for", project="q")
    assert await records.swap(job, asked)
    assert await database.read(question) == [("s", "asked for", "q")]
    launched = replace(asked, attempt=Attempt(number=1, backend="taken", started=DAY))
    assert await records.swap(asked, launched)
    assert await database.read(question) == [("s", "taken", "q")]


AFTER: dict[str, tuple[str | float, str]] = {
    "Name": ("j", "j"),
    "CreationTime": (1.0, "j"),
    "Status": ("Failed", "j"),
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("sort_by", "index", "filters"),
    [
        ("Name", "_by_name", {}),
        ("Status", "_by_status", {}),
        ("CreationTime", "_by_created", {}),
        ("CreationTime", "_by_created", {"name_contains": "a"}),
        ("CreationTime", "_by_created", {"created_after": DAY, "created_before": DAY}),
        ("CreationTime", "_by_created", {"status": TrainingJobStatus.FAILED}),
    ],
)
async def test_an_index_alone_tells_in_order_which_jobs_are_on_a_page(
    file: SqliteDatabase, sort_by: str, index: str, filters: dict[str, Any], descending: bool
) -> None:
    query = JobQuery(
        region="r", sort_by=sort_by, descending=descending, after=AFTER[sort_by], **filters
    )
    plan = await plan_of(file, *_page(query))
    assert f"USING COVERING INDEX training_jobs{index}" in plan
    assert "USING PRIMARY KEY (arn=?)" in plan
    assert plan.count("TEMP B-TREE") <= 1  # the bodies of the page are put in order, no others


async def test_open_jobs_are_read_from_their_own_index(file: SqliteDatabase) -> None:
    plan = await plan_of(file, _OPEN, [])
    assert "COVERING INDEX training_jobs_open" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    "question",
    [
        f"{_NEXT_OWNER} >= ''",
        f"{_NEXT_OWNER} > ''",
        _OWNED,
        _CLAIMABLE.format("AND backend IN (?, ?)"),
    ],
)
async def test_the_jobs_of_an_owner_are_found_without_looking_at_those_of_others(
    file: SqliteDatabase, question: str
) -> None:
    plan = await plan_of(file, question, ["x"] * question.count("?"))
    assert "COVERING INDEX training_jobs_by_owner (open=? AND owner" in plan
    assert "TEMP B-TREE" not in plan


async def test_checkpoints_are_looked_for_in_open_jobs_alone(file: SqliteDatabase) -> None:
    plan = await plan_of(file, _CHECKPOINTS, [])
    assert plan.index("training_jobs_open (open=?)") < plan.index("f USING PRIMARY KEY (job_id=?)")


async def plan_of(file: SqliteDatabase, sql: str, parameters: list[Any]) -> str:
    return " ".join(row[-1] for row in await file.read("EXPLAIN QUERY PLAN " + sql, parameters))
