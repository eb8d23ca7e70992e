"""What SQLite adds to the suite's promises: exact bodies, exact pages, indexes."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.domain.training import SecondaryStatus, TrainingJob, TrainingJobStatus, Transition
from trainshed.stores.records.base import JobQuery
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import _OPEN, SqlTrainingRecords, _page
from trainshed.testing.records_suite import a_job

MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - the zone is added by the strategy
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
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
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path_factory.mktemp("rows") / "records.db")
    yield database
    database.close()


async def emptied(database: SqliteDatabase) -> SqlTrainingRecords:
    await database.write(lambda connection: connection.execute("DELETE FROM training_jobs"))
    return SqlTrainingRecords(database, InProcessChanges())


@settings(deadline=None)
@given(job=jobs())
async def test_any_job_comes_back_and_can_be_swapped(
    database: SqliteDatabase, job: TrainingJob
) -> None:
    records = await emptied(database)
    assert await records.add(job, {})
    found = await records.get(job.arn)
    assert found == job
    assert msgspec.json.encode(found) == msgspec.json.encode(job)
    assert await records.swap(job, replace(job, cleaned=True))


@settings(deadline=None)
@given(
    kept=st.lists(jobs(), max_size=12, unique_by=lambda job: job.name),
    coarse=st.booleans(),
    sort_by=st.sampled_from(["Name", "CreationTime", "Status"]),
    descending=st.booleans(),
    limit=st.integers(1, 5),
    part=st.sampled_from([None, "a", "0", "-"]),
)
async def test_pages_equal_sorting_in_python(
    database: SqliteDatabase,
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


async def test_a_row_of_an_older_program_can_be_swapped(database: SqliteDatabase) -> None:
    records, job = await emptied(database), a_job("old")
    await records.add(job, {})
    body = msgspec.json.decode(msgspec.json.encode(job))
    del body["cleaned"]  # as if the member had been added since
    older = msgspec.json.encode(body)
    await database.write(lambda c: c.execute("UPDATE training_jobs SET body = ?", (older,)))
    found = await records.get(job.arn)
    assert found == job
    assert await records.swap(found, replace(found, cleaned=True))


AFTER: dict[str, tuple[str | float, str]] = {
    "Name": ("j", "j"),
    "CreationTime": (1.0, "j"),
    "Status": ("Failed", "j"),
}


DAY = datetime(2026, 1, 1, tzinfo=UTC)


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
    database: SqliteDatabase, sort_by: str, index: str, filters: dict[str, Any], descending: bool
) -> None:
    query = JobQuery(
        region="r", sort_by=sort_by, descending=descending, after=AFTER[sort_by], **filters
    )
    plan = await plan_of(database, *_page(query))
    assert f"USING COVERING INDEX training_jobs{index}" in plan
    assert "USING PRIMARY KEY (arn=?)" in plan
    assert plan.count("TEMP B-TREE") <= 1  # the bodies of the page are put in order, no others


async def test_open_jobs_are_read_from_their_own_index(database: SqliteDatabase) -> None:
    plan = await plan_of(database, _OPEN, [])
    assert "COVERING INDEX training_jobs_open" in plan
    assert "TEMP B-TREE" not in plan


async def plan_of(database: SqliteDatabase, sql: str, parameters: list[Any]) -> str:
    return " ".join(row[-1] for row in await database.read("EXPLAIN QUERY PLAN " + sql, parameters))
