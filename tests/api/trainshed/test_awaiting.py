"""AwaitTrainingJobs tells of every change, at once, to whoever waits or asks later."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.trainshed.watcher import Yard, settled, told

from trainshed.api.sagemaker.paging import sealed
from trainshed.api.trainshed.awaiting import MOST_WAITING
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.stores.records import feed
from trainshed.stores.records.base import EVERYTHING
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.testing.records_suite import NOON, a_job, at_end


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with closing(SqliteDatabase(tmp_path / "records.db")) as database:
        yield Yard(database)


async def ended(yard: Yard, job: TrainingJob) -> TrainingJob:
    over = replace(at_end(job, SecondaryStatus.COMPLETED), cleaned=True)
    assert await yard.records.swap(job, over)
    return over


async def test_without_a_token_all_jobs_are_told_page_by_page(yard: Yard) -> None:
    for name in "abc":
        await yard.records.add(a_job(name), {})
    over = await ended(yard, a_job("a"))
    first = await yard.ask(MaxResults=2)
    assert (told(first), first["StartedOver"], first["HasMore"]) == (["b", "c"], True, True)
    rest = await yard.ask(first["Token"], MaxResults=2)
    assert (told(rest), rest["StartedOver"], rest["HasMore"]) == (["a"], False, False)
    assert rest["TrainingJobSummaries"] == [
        {
            "TrainingJobName": "a",
            "TrainingJobArn": over.arn,
            "CreationTime": NOON,
            "LastModifiedTime": over.modified,
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "Deleted": False,
        }
    ]


async def test_where_there_are_no_jobs_yet_the_first_answer_comes_at_once(yard: Yard) -> None:
    answer = await yard.ask()
    assert (told(answer), answer["StartedOver"], answer["HasMore"]) == ([], True, False)


async def test_a_change_is_told_to_all_who_wait_and_ends_their_waiting(yard: Yard) -> None:
    await yard.records.add(a_job("a"), {})
    token = await yard.token()
    waiting = [asyncio.create_task(yard.ask(token)) for _ in range(2)]
    await settled(*waiting)
    await yard.records.add(a_job("b"), {})
    for answer in await asyncio.gather(*waiting):
        assert (told(answer), answer["StartedOver"], answer["HasMore"]) == (["b"], False, False)
        assert answer["Token"] != token


async def test_a_change_that_nobody_waited_for_is_told_to_who_asks_next(yard: Yard) -> None:
    token = await yard.token()
    await yard.records.add(a_job("a"), {})
    yard.start()
    assert told(await yard.ask(token)) == ["a"]


async def test_who_asks_again_with_the_same_token_is_told_the_same_again(yard: Yard) -> None:
    token = await yard.token()
    await yard.records.add(a_job("a"), {})
    first, again = [await yard.ask(token) for _ in range(2)]
    assert first == again


async def test_a_deletion_is_told_whether_or_not_somebody_waits(yard: Yard) -> None:
    for name in "ab":
        await yard.records.add(a_job(name), {})
    a, b = [await ended(yard, a_job(name)) for name in "ab"]
    token = await yard.token()
    waiting = asyncio.create_task(yard.ask(token))
    await settled(waiting)
    await yard.records.remove(a)
    answer = await waiting
    assert answer["TrainingJobSummaries"] == [
        {"TrainingJobName": "a", "TrainingJobArn": a.arn, "Deleted": True}
    ]
    await yard.records.remove(b)
    assert told(await yard.ask(answer["Token"])) == ["b gone"]
    assert told(await yard.ask()) == []


async def test_where_nothing_changes_the_answer_is_empty_and_its_token_good(yard: Yard) -> None:
    await yard.records.add(a_job("a"), {})
    token = await yard.token()
    for seconds in (0, 1):
        answer = await yard.ask(token, WaitSeconds=seconds)
        assert (told(answer), answer["StartedOver"], answer["HasMore"]) == ([], False, False)
    await yard.records.add(a_job("b"), {})
    assert told(await yard.ask(answer["Token"])) == ["b"]


async def test_what_nodes_report_and_other_regions_do_ends_no_waiting(yard: Yard) -> None:
    token = await yard.token()
    waiting = asyncio.create_task(yard.ask(token))
    await settled(waiting)
    for told_of in ("arn:of-a-job", EVERYTHING):
        yard.changes.mark(told_of)
        await settled(waiting)
    await yard.records.add(a_job("far", region="us-east-1"), {})
    await settled(waiting)
    await yard.records.add(a_job("near"), {})
    assert told(await waiting) == ["near"]


async def test_a_token_that_means_nothing_here_has_all_jobs_told(
    yard: Yard, tmp_path: Path
) -> None:
    await yard.records.add(a_job("a"), {})
    await yard.records.add(a_job("far", region="us-east-1"), {})
    token = await yard.token()
    with closing(SqliteDatabase(tmp_path / "others.db")) as database:
        other = Yard(database)
        for name in "xyz":
            await other.records.add(a_job(name), {})
        foreign = await other.token()
    made_up = sealed('["x", "y"]'), sealed("{"), token[:-2] + "AA", "no token", "\u00e9", token[1:]
    for lost in (foreign, *made_up):
        answer = await yard.ask(lost)
        assert (told(answer), answer["StartedOver"]) == (["a"], True)
    answer = await yard.ask(token, region="us-east-1")
    assert (told(answer), answer["StartedOver"]) == (["far"], True)


async def test_a_token_that_is_too_old_has_all_jobs_told(yard: Yard) -> None:
    token = await yard.token()
    await yard.records.add(a_job("a"), {})
    (state,) = await yard.database.read("SELECT id FROM training_job_numbers")
    await yard.database.write(
        lambda c: (
            c.execute("UPDATE training_job_changes SET n = n + ?", (feed.REMEMBERED,)).rowcount
        )
    )
    answer = await yard.ask(token)
    assert (told(answer), answer["StartedOver"]) == (["a"], True)
    # All jobs are told from far back, though nothing that is gone could be.
    listed = sealed(f'["{state[0]}", "eu-west-1", 0, {feed.REMEMBERED + 1}]')
    answer = await yard.ask(listed)
    assert (told(answer), answer["StartedOver"]) == (["a"], False)


async def test_a_client_that_has_gone_leaves_its_place_to_others(yard: Yard) -> None:
    token = await yard.token()
    leaves = asyncio.Event()

    async def gone() -> None:
        await leaves.wait()

    one = asyncio.create_task(yard.ask(token, gone=gone))
    others = [asyncio.create_task(yard.ask(token)) for _ in range(MOST_WAITING - 1)]
    await settled(one, *others)
    with pytest.raises(RequestRejected, match="Rate exceeded") as refused:
        await yard.ask(token)
    assert refused.value.code == "ThrottlingException"
    assert told(await yard.ask(token, WaitSeconds=0)) == []
    leaves.set()
    assert told(await one) == []
    late = asyncio.create_task(yard.ask(token))
    await settled(late, *others)
    await yard.records.add(a_job("a"), {})
    for answer in await asyncio.gather(late, *others):
        assert told(answer) == ["a"]


async def test_one_that_is_cut_off_leaves_its_place_too(yard: Yard) -> None:
    token = await yard.token()
    for _ in range(2):
        waiting = [asyncio.create_task(yard.ask(token)) for _ in range(MOST_WAITING)]
        await settled(*waiting)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_server_that_stops_answers_at_once_and_has_nobody_wait(yard: Yard) -> None:
    token = await yard.token()
    waiting = asyncio.create_task(yard.ask(token))
    await settled(waiting)
    yard.stopping.set()
    answer = await waiting
    assert (told(answer), answer["headers"]) == ([], {"connection": "close"})
    with pytest.raises(RequestRejected) as refused:
        await yard.ask(answer["Token"])
    assert (refused.value.code, refused.value.status) == ("ServiceUnavailable", 503)
    await yard.records.add(a_job("a"), {})
    assert told(await yard.ask(answer["Token"])) == ["a"]
    yard.start()
    assert told(await yard.ask(answer["Token"])) == ["a"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "change", "remove", "ask", "lose", "forget"]), st.integers(0, 3)
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(steps=STEPS, page=st.integers(1, 3))
def test_who_does_as_told_knows_all_jobs_whatever_happened_and_was_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], page: int
) -> None:
    with closing(SqliteDatabase(tmp_path_factory.mktemp("yard") / "records.db")) as database:
        asyncio.run(_follow(Yard(database), steps, page))


async def _follow(yard: Yard, steps: list[tuple[str, int]], page: int) -> None:
    watcher = Watcher(yard, page)
    jobs: dict[str, TrainingJob] = {}
    for step, n in [*steps, ("ask", 0)]:
        job = jobs.get(f"j{n}")
        match step:
            case "add" if job is None:
                jobs[f"j{n}"] = a_job(f"j{n}")
                await yard.records.add(jobs[f"j{n}"], {})
            case "change" if job is not None:
                changed = replace(job, modified=job.modified.replace(microsecond=len(jobs)))
                changed = replace(changed, attempts=job.attempts + 1)
                assert await yard.records.swap(job, changed)
                jobs[job.name] = changed
            case "remove" if job is not None:
                assert await yard.records.remove(jobs.pop(job.name))
            case "ask":
                await watcher.ask()
            case "lose":  # the answer, on its way
                await yard.ask(watcher.token, WaitSeconds=0, MaxResults=page)
            case "forget":
                watcher.token = ""
    while await watcher.ask():
        pass
    assert watcher.known == {name: job.modified for name, job in jobs.items()}


class Watcher:
    """Does with the answers what the model says."""

    def __init__(self, yard: Yard, page: int) -> None:
        self.token = ""
        self.known: dict[str, Any] = {}
        self._yard = yard
        self._page = page
        self._named: set[str] | None = None

    async def ask(self) -> bool:
        """Ask once; tell whether there is more."""
        answer = await self._yard.ask(self.token, WaitSeconds=0, MaxResults=self._page)
        self.token = answer["Token"]
        if answer["StartedOver"]:
            self._named = set()
        for each in answer["TrainingJobSummaries"]:
            if each["Deleted"]:
                self.known.pop(each["TrainingJobName"], None)
            else:
                self.known[each["TrainingJobName"]] = each["LastModifiedTime"]
            if self._named is not None:
                self._named.add(each["TrainingJobName"])
        if not answer["HasMore"] and self._named is not None:
            self.known = {name: at for name, at in self.known.items() if name in self._named}
            self._named = None
        return bool(answer["HasMore"])
