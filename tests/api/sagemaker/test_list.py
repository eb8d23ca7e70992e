"""ListTrainingJobs: exact filters, a total order, and pages that lose and repeat nothing."""

import asyncio
import base64
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.sagemaker.shed import NOON, Shed

from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import SecondaryStatus, TrainingJob

S = SecondaryStatus
ENDS = {"InProgress": (), "Failed": (S.FAILED,), "Stopping": (S.STOPPING,)}


async def names(shed: Shed, **filters: Any) -> list[str]:
    answer = await shed.call("ListTrainingJobs", **filters)
    return [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]]


async def pages(shed: Shed, **filters: Any) -> list[list[str]]:
    """Return the names on all pages."""
    found: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        answer = await shed.call("ListTrainingJobs", **filters, **token)
        found.append([job["TrainingJobName"] for job in answer["TrainingJobSummaries"]])
        if "NextToken" not in answer:
            return found
        token = {"NextToken": answer["NextToken"]}


async def test_a_summary_says_how_a_job_stands(shed: Shed) -> None:
    arn = await shed.create()
    job = await shed.move(arn, S.FAILED)
    await shed.change(arn, training_end=shed.now)
    assert (await shed.call("ListTrainingJobs"))["TrainingJobSummaries"] == [
        {
            "TrainingJobName": "digits",
            "TrainingJobArn": arn,
            "CreationTime": NOON,
            "LastModifiedTime": job.modified,
            "TrainingEndTime": shed.now,
            "TrainingJobStatus": "Failed",
            "SecondaryStatus": "Failed",
        }
    ]


async def test_ten_jobs_a_page_oldest_first_unless_asked_otherwise(shed: Shed) -> None:
    made = []
    for number in range(12):
        shed.pass_time(1)
        made.append(f"job-{97 * number % 89}")
        await shed.create(made[-1])
    assert await pages(shed) == [made[:10], made[10:]]
    assert await pages(shed, SortOrder="Descending", MaxResults=12) == [made[::-1]]


async def test_jobs_of_another_region_are_not_listed(shed: Shed) -> None:
    await shed.create()
    answer = await shed.call("ListTrainingJobs", region="eu-west-1")
    assert answer == {"TrainingJobSummaries": []}


@pytest.mark.parametrize(
    "filters",
    [
        {"WarmPoolStatusEquals": "Available"},
        {"TrainingPlanArnEquals": "arn:aws:sagemaker:us-east-1:123456789012:training-plan/mine"},
        {"StatusEquals": "Deleting"},
    ],
)
async def test_filters_on_what_there_never_is_find_nothing(
    shed: Shed, filters: dict[str, str]
) -> None:
    await shed.create()
    assert await shed.call("ListTrainingJobs", **filters) == {"TrainingJobSummaries": []}


async def test_a_token_belongs_to_its_filters_and_order(shed: Shed) -> None:
    for number in range(3):
        await shed.create(f"job-{number}")
    first = await shed.call("ListTrainingJobs", MaxResults=1, NameContains="job")
    token = first["NextToken"]

    assert await names(shed, MaxResults=2, NameContains="job", NextToken=token) == [
        "job-1",
        "job-2",
    ]
    for other in ({}, {"NameContains": "jo"}, {"NameContains": "job", "SortOrder": "Ascending"}):
        with pytest.raises(RequestRejected, match="Invalid NextToken: it belongs to a request"):
            await shed.call("ListTrainingJobs", **other, NextToken=token)


@pytest.mark.parametrize(
    "token", ["x", "bm90IGpzb24=", "W10=", "é", "eyJhIjogMX0=", "WzEsMiwzXQ=="]
)
async def test_a_token_that_is_none_of_ours_is_refused(shed: Shed, token: str) -> None:
    with pytest.raises(RequestRejected, match="Invalid NextToken") as refused:
        await shed.call("ListTrainingJobs", NextToken=token)
    assert refused.value.code == "ValidationException"


async def test_a_damaged_token_is_refused(shed: Shed) -> None:
    for number in range(3):
        await shed.create(f"job-{number}")
    token = (await shed.call("ListTrainingJobs", MaxResults=1))["NextToken"]
    raw = bytearray(base64.urlsafe_b64decode(token))
    for place in range(len(raw)):
        raw[place] ^= 1
        damaged = base64.urlsafe_b64encode(raw).decode()
        raw[place] ^= 1
        with pytest.raises(RequestRejected, match="Invalid NextToken"):
            await shed.call("ListTrainingJobs", MaxResults=1, NextToken=damaged)


async def test_jobs_that_come_and_go_between_pages_move_no_other(shed: Shed) -> None:
    for name in ("b", "d", "f"):
        await shed.create(name)
    first = await shed.call("ListTrainingJobs", SortBy="Name", MaxResults=2)
    arn = await shed.create("a")
    assert arn.endswith("/a")
    token = first["NextToken"]
    assert await names(shed, SortBy="Name", MaxResults=2, NextToken=token) == ["f"]


made_jobs = st.lists(
    st.tuples(
        st.from_regex(r"[ab](-?[ab]){0,3}", fullmatch=True),
        st.integers(0, 3),
        st.sampled_from(sorted(ENDS)),
    ),
    max_size=9,
    unique_by=lambda made: made[0],
)
moments = st.none() | st.integers(-1, 4)
questions = st.fixed_dictionaries(
    {
        "NameContains": st.none() | st.text("ab-", min_size=1, max_size=2),
        "StatusEquals": st.none() | st.sampled_from(sorted(ENDS)),
        "CreationTimeAfter": moments,
        "CreationTimeBefore": moments,
        "LastModifiedTimeAfter": moments,
        "LastModifiedTimeBefore": moments,
        "SortBy": st.none() | st.sampled_from(["Name", "CreationTime", "Status"]),
        "SortOrder": st.none() | st.sampled_from(["Ascending", "Descending"]),
        "MaxResults": st.none() | st.integers(1, 4),
    }
)


def expected(jobs: list[TrainingJob], question: dict[str, Any]) -> list[str]:
    """Return what one list of all answers would be, by the plainest means."""

    def passes(job: TrainingJob) -> bool:
        times = {"CreationTime": job.created, "LastModifiedTime": job.modified}
        return (
            question.get("NameContains", "") in job.name
            and question.get("StatusEquals", job.status) == job.status
            and all(
                time > question.get(f"{name}After", NOON - timedelta(9))
                for name, time in times.items()
            )
            and all(
                time < question.get(f"{name}Before", NOON + timedelta(9))
                for name, time in times.items()
            )
        )

    def order(job: TrainingJob) -> tuple[Any, str]:
        keys = {"Name": job.name, "Status": job.status.value}
        return keys.get(question.get("SortBy", ""), job.created), job.name

    found = sorted(filter(passes, jobs), key=order)
    return [
        job.name for job in (found[::-1] if question.get("SortOrder") == "Descending" else found)
    ]


@settings(max_examples=60)
@given(made=made_jobs, question=questions)
def test_all_pages_together_are_what_was_asked_for_in_order(
    made: list[tuple[str, int, str]], question: dict[str, Any]
) -> None:
    question = {
        key: NOON + timedelta(seconds=value) if "Time" in key and key != "SortBy" else value
        for key, value in question.items()
        if value is not None
    }

    async def ask(shed: Shed) -> None:
        jobs = []
        for name, second, end in made:
            shed.now = NOON + timedelta(seconds=second)
            arn = await shed.create(name)
            jobs.append(await shed.move(arn, *ENDS[end], seconds=1))
        found = await pages(shed, **question)
        size = question.get("MaxResults", 10)
        assert [name for page in found for name in page] == expected(jobs, question)
        assert all(len(page) == size for page in found[:-1])
        assert len(found[-1]) > 0 or len(found) == 1

    with tempfile.TemporaryDirectory() as folder:
        shed = Shed(Path(folder))
        try:
            asyncio.run(ask(shed))
        finally:
            shed.close()
