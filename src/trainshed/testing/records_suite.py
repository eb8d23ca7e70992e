"""What every record store must do, as tests to inherit.

A store's writer makes a class from ``RecordsSuite`` and gives it one fixture::

    class TestMyRecords(RecordsSuite):
        @pytest.fixture
        async def stores(self, tmp_path):
            ...
            yield RecordStores(training=..., tags=..., changes=...)

The fixture yields empty stores; ``changes`` hears what ``training`` writes.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.training import (
    Attempt,
    SecondaryStatus,
    TrainingJob,
    TrainingJobStatus,
)
from trainshed.stores.records.base import (
    Changes,
    JobQuery,
    MetricValue,
    TagRecords,
    TrainingRecords,
)

NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
REGION = "eu-west-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStores:
    """The stores under test, over the same rows."""

    training: TrainingRecords
    tags: TagRecords
    changes: Changes


def a_job(name: str, *, minutes: int = 0, region: str = REGION) -> TrainingJob:
    """Return a job as the API makes it, created ``minutes`` after noon."""
    at = NOON + timedelta(minutes=minutes)
    return TrainingJob(
        arn=f"arn:aws:sagemaker:{region}:123456789012:training-job/{name}",
        name=name,
        region=region,
        account="123456789012",
        id=f"{region}/{name}",
        request={
            "TrainingJobName": name,
            "HyperParameters": {"z": "é\u2028\U0001f40d", "a": '"quoted\\"'},
            "Numbers": [1, 1.5, 1e-7, 2**53, None, True, {}, []],
        },
        created=at,
        modified=at,
    ).moved_to(SecondaryStatus.STARTING, at=at)


def at_end(job: TrainingJob, status: SecondaryStatus) -> TrainingJob:
    """Return the job moved by the shortest way to ``Completed`` or ``Failed``."""
    at = job.modified + timedelta(seconds=1)
    if status is SecondaryStatus.COMPLETED:
        for step in (SecondaryStatus.TRAINING, SecondaryStatus.UPLOADING):
            job = job.moved_to(step, at=at)
    return job.moved_to(status, at=at)


def metrics(n: int, *points: tuple[str, float, float]) -> Fact:
    """Return a ``metrics`` fact."""
    return Fact(n, 1000.0 + n, Kind.METRICS, {"points": [list(point) for point in points]})


class RecordsSuite:
    """Holds a record store to the promises of ``stores.records.base``."""

    @pytest.fixture
    def stores(self) -> RecordStores:
        """Return (or yield) empty stores; to be overridden."""
        raise NotImplementedError("give the suite a fixture named stores")

    async def test_a_job_comes_back_member_for_member(self, stores: RecordStores) -> None:
        job = replace(
            at_end(a_job("j"), SecondaryStatus.FAILED),
            attempt=Attempt(number=2, backend="b", started=NOON, handles={"algo-1": "x"}),
            stop_wish=NOON + timedelta(microseconds=1),
            failure_reason="AlgorithmError: ✗",
        )
        assert await stores.training.add(job, {})
        found = await stores.training.get(job.arn)
        assert found == job
        assert found is not None
        assert list(found.request["HyperParameters"]) == ["z", "a"]

    async def test_a_missing_job_is_none(self, stores: RecordStores) -> None:
        assert await stores.training.get(a_job("j").arn) is None
        assert await stores.training.by_id(a_job("j").id) is None

    async def test_a_job_is_found_by_its_id(self, stores: RecordStores) -> None:
        job, other = a_job("j"), a_job("other")
        for each in (job, other):
            await stores.training.add(each, {})
        assert await stores.training.by_id(job.id) == job

    async def test_a_second_job_of_the_same_arn_is_refused_and_changes_nothing(
        self, stores: RecordStores
    ) -> None:
        first = a_job("j")
        assert await stores.training.add(first, {"owner": "a"})
        assert not await stores.training.add(replace(first, id="other"), {"owner": "b"})
        assert await stores.training.get(first.arn) == first
        assert await stores.tags.tags(first.arn) == {"owner": "a"}

    async def test_of_many_who_add_the_same_job_one_succeeds(self, stores: RecordStores) -> None:
        jobs = [replace(a_job("j"), id=str(n)) for n in range(20)]
        added = await asyncio.gather(*(stores.training.add(job, {}) for job in jobs))
        assert added.count(True) == 1

    async def test_a_swap_of_what_was_read_succeeds_once(self, stores: RecordStores) -> None:
        await stores.training.add(a_job("j"), {})
        old = await stores.training.get(a_job("j").arn)
        assert old is not None
        new = old.moved_to(SecondaryStatus.DOWNLOADING, at=NOON)
        assert await stores.training.swap(old, new)
        assert not await stores.training.swap(old, old.moved_to(SecondaryStatus.FAILED, at=NOON))
        assert await stores.training.get(old.arn) == new

    async def test_of_many_swaps_of_the_same_row_one_succeeds(self, stores: RecordStores) -> None:
        old = a_job("j")
        await stores.training.add(old, {})
        news = [replace(old, failure_reason=str(n)) for n in range(20)]
        swapped = await asyncio.gather(*(stores.training.swap(old, new) for new in news))
        assert swapped.count(True) == 1
        assert await stores.training.get(old.arn) == news[swapped.index(True)]

    async def test_what_is_not_there_cannot_be_swapped_or_removed(
        self, stores: RecordStores
    ) -> None:
        job = a_job("j")
        assert not await stores.training.swap(job, replace(job, cleaned=True))
        assert not await stores.training.remove(job)
        assert await stores.training.get(job.arn) is None

    async def test_removing_forgets_all_that_belongs_to_the_job(self, stores: RecordStores) -> None:
        job, other = a_job("j"), a_job("other")
        for each in (job, other):
            await stores.training.add(each, {"k": "v"})
            facts = [Fact(1, 1.0, Kind.STARTED), metrics(2, ("loss", 0.5, 10.0))]
            await stores.training.take(each.id, 1, "algo-1", facts)
        assert not await stores.training.remove(replace(job, cleaned=True))
        assert await stores.training.remove(job)
        assert await stores.training.get(job.arn) is None
        assert await stores.tags.tags(job.arn) == {}
        assert await stores.training.facts(job.id, 1) == {}
        assert await stores.training.final_metrics(job.id) == []
        assert await stores.training.take(job.id, 1, "algo-1", []) is None
        assert await stores.training.get(other.arn) == other
        assert await stores.tags.tags(other.arn) == {"k": "v"}
        assert len(await stores.training.facts(other.id, 1)) == 1
        assert len(await stores.training.final_metrics(other.id)) == 1

    @pytest.mark.parametrize(
        ("sort_by", "descending", "size"),
        list(product(["Name", "CreationTime", "Status"], [False, True], [1, 3, 100])),
    )
    async def test_pages_laid_end_to_end_are_the_sorted_list(
        self, stores: RecordStores, sort_by: str, descending: bool, size: int
    ) -> None:
        jobs = [
            a_job(name, minutes=n % 3) for n, name in enumerate(["b", "a-1", "B", "c", "a", "Z9"])
        ]
        jobs[1] = at_end(jobs[1], SecondaryStatus.FAILED)
        jobs[4] = at_end(jobs[4], SecondaryStatus.COMPLETED)
        for job in [*jobs, a_job("elsewhere", region="us-east-1")]:
            await stores.training.add(job, {})

        def key(job: TrainingJob) -> tuple[str | float, str]:
            if sort_by == "CreationTime":
                return job.created.timestamp(), job.name
            return job.name if sort_by == "Name" else job.status.value, job.name

        query = JobQuery(region=REGION, sort_by=sort_by, descending=descending, limit=size)
        found: list[TrainingJob] = []
        while page := await stores.training.find(query):
            assert len(page) <= size
            found += page
            query = replace(query, after=key(page[-1]))
        assert found == sorted(jobs, key=key, reverse=descending)

    async def test_filters_find_what_they_name(self, stores: RecordStores) -> None:
        jobs = [a_job(name, minutes=n) for n, name in enumerate(["a%b", "a_b", "axb", "AXB"])]
        jobs[3] = replace(at_end(jobs[3], SecondaryStatus.FAILED), modified=NOON)
        for job in jobs:
            await stores.training.add(job, {})
        one, two = jobs[1].created, jobs[2].created
        everything = JobQuery(region=REGION)
        wanted = {
            "a%b a_b axb AXB": everything,
            "a%b": replace(everything, name_contains="%"),
            "a_b": replace(everything, name_contains="_"),
            "axb": replace(everything, name_contains="xb"),
            "axb AXB": replace(everything, created_after=one),
            "a%b a_b": replace(everything, created_before=two),
            "a_b axb": replace(everything, modified_after=NOON),
            "a%b AXB": replace(everything, modified_before=one),
            "AXB": replace(everything, status=TrainingJobStatus.FAILED),
            "": replace(everything, created_after=one, created_before=two),
            "a%b a_b axb": replace(everything, limit=3),
        }
        for names, query in wanted.items():
            assert " ".join(job.name for job in await stores.training.find(query)) == names

    async def test_a_job_is_open_until_it_is_over_and_cleaned(self, stores: RecordStores) -> None:
        late, early = a_job("a", minutes=2), a_job("b", minutes=1)
        over = at_end(early, SecondaryStatus.COMPLETED)
        for job in (late, early):
            await stores.training.add(job, {})
        assert await stores.training.open_jobs() == [early.arn, late.arn]
        assert await stores.training.swap(early, over)
        assert await stores.training.open_jobs() == [early.arn, late.arn]
        assert await stores.training.swap(over, replace(over, cleaned=True))
        assert await stores.training.open_jobs() == [late.arn]

    async def test_each_fact_is_taken_once_in_order(self, stores: RecordStores) -> None:
        job = a_job("j")
        await stores.training.add(job, {})
        one, two = (
            Fact(1, 1.5, Kind.STARTED, {"pid": 7, "runtime": "x"}),
            Fact(2, 2.5, Kind.TRAINING),
        )
        four = Fact(4, 4.5, Kind.ENDED, {"outcome": Outcome.COMPLETED.value, "reason": ""})
        three = metrics(3, ("loss", 1.0, 3.0))

        async def take(*facts: Fact) -> int | None:
            return await stores.training.take(job.id, 1, "algo-1", facts)

        assert await take() == 0
        assert await take(two) == 0
        assert await take(one) == 1
        assert await take(one, two, four) == 2
        assert await take(one) == 2
        assert await take(three, four) == 4
        assert await take(one, two, three, four) == 4
        assert await stores.training.facts(job.id, 1) == {"algo-1": (one, two, four)}

    async def test_of_what_grows_only_the_last_word_is_kept(self, stores: RecordStores) -> None:
        job = a_job("j")
        await stores.training.add(job, {})
        kinds = (Kind.STARTED, Kind.PROGRESS, Kind.CHECKPOINT, Kind.PROGRESS, Kind.PROGRESS)
        facts = [Fact(n, n, kind, {"bytes": n}) for n, kind in enumerate(kinds, 1)]
        for some in (facts[:2], facts[2:]):
            await stores.training.take(job.id, 1, "algo-1", some)
        kept = await stores.training.facts(job.id, 1)
        assert kept == {"algo-1": (facts[0], facts[2], facts[4])}

    async def test_of_checkpoints_a_nodes_last_one_is_kept(self, stores: RecordStores) -> None:
        attempt = Attempt(number=2, backend="local", started=NOON)
        job, over = replace(a_job("j"), attempt=attempt), replace(a_job("k"), attempt=attempt)
        for each in (job, over):
            await stores.training.add(each, {})
        first, *more = (Fact(n, n, Kind.CHECKPOINT, {"bytes": n}) for n in range(1, 5))
        for each, number, host in product((job, over), (1, 2), ("algo-2", "algo-1")):
            await stores.training.take(each.id, number, host, [first])
        await stores.training.take(job.id, 2, "algo-1", more)
        kept = await stores.training.facts(job.id, 2)
        assert kept == {"algo-1": (more[-1],), "algo-2": (first,)}
        ended = replace(over.moved_to(SecondaryStatus.FAILED, at=NOON), cleaned=True)
        assert await stores.training.swap(over, ended)
        found = await stores.training.checkpoints()
        assert found == [(job, "algo-1", more[-1]), (job, "algo-2", first)]

    async def test_jobs_are_counted_by_status(self, stores: RecordStores) -> None:
        assert await stores.training.counts() == {}
        for name in ("a", "b", "c"):
            await stores.training.add(a_job(name), {})
        job = a_job("b")
        assert await stores.training.swap(job, job.moved_to(SecondaryStatus.FAILED, at=NOON))
        expected = {TrainingJobStatus.IN_PROGRESS: 2, TrainingJobStatus.FAILED: 1}
        assert await stores.training.counts() == expected

    async def test_nodes_and_attempts_count_for_themselves(self, stores: RecordStores) -> None:
        job = a_job("j")
        await stores.training.add(job, {})
        fact = Fact(1, 1.0, Kind.STARTED)
        for attempt, host in product((1, 2), ("algo-2", "algo-1")):
            assert await stores.training.take(job.id, attempt, host, [fact]) == 1
        assert await stores.training.facts(job.id, 2) == {"algo-1": (fact,), "algo-2": (fact,)}
        assert await stores.training.facts(job.id, 3) == {}
        assert await stores.training.take("no such job", 1, "algo-1", [fact]) is None

    async def test_the_latest_value_of_each_metric_is_final(self, stores: RecordStores) -> None:
        job = a_job("j")
        await stores.training.add(job, {})
        nan, infinite = float("nan"), float("inf")
        first = metrics(1, ("loss", 3.0, 10.0), ("acc", 0.5, 10.0), ("loss", 2.0, 11.0))
        second = metrics(2, ("loss", nan, 12.0), ("loss", infinite, 12.0), ("acc", 0.75, 10.0))
        await stores.training.take(job.id, 1, "algo-1", [first, second])
        await stores.training.take(job.id, 1, "algo-2", [metrics(1, ("loss", 9.0, 10.5))])
        await stores.training.take(job.id, 1, "algo-1", [first])
        assert await stores.training.final_metrics(job.id) == [
            MetricValue("acc", 0.75, datetime.fromtimestamp(10, UTC)),
            MetricValue("loss", 2.0, datetime.fromtimestamp(11, UTC)),
        ]

    async def test_every_change_is_heard_and_nothing_else(self, stores: RecordStores) -> None:
        job = a_job("j")
        done, fact = replace(job, cleaned=True), Fact(1, 1.0, Kind.STARTED)
        training = stores.training

        async def heard() -> frozenset[str]:
            return await stores.changes.next(0)

        assert await heard() == frozenset()
        await training.add(job, {})
        assert await heard() == {job.arn}
        await training.take(job.id, 1, "algo-1", [fact])
        assert await heard() == {job.arn}
        await training.swap(job, done)
        assert await heard() == {job.arn}
        await training.add(job, {})
        await training.swap(job, done)
        await training.take(job.id, 1, "algo-1", [fact])
        await training.take("no such job", 1, "algo-1", [fact])
        await training.remove(job)
        assert await heard() == frozenset()
        await training.remove(done)
        assert await heard() == {job.arn}

    async def test_who_waits_wakes_when_the_change_can_be_read(self, stores: RecordStores) -> None:
        job = a_job("j")

        async def wait() -> TrainingJob | None:
            assert await stores.changes.next(60) == {job.arn}
            return await stores.training.get(job.arn)

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(wait())
            await stores.training.add(job, {})
        assert waiting.result() == job

    async def test_tags_are_kept_by_key(self, stores: RecordStores) -> None:
        tags = stores.tags
        assert await tags.tags("arn:x") == {}
        assert await tags.set_tags("arn:x", {"b": "1", "a": "2"}, limit=2)
        assert await tags.set_tags("arn:x", {"b": ""}, limit=2)
        assert not await tags.set_tags("arn:x", {"a": "9", "c": "3"}, limit=2)
        assert list((await tags.tags("arn:x")).items()) == [("a", "2"), ("b", "")]
        await tags.remove_tags("arn:x", ["a", "never there"])
        assert await tags.tags("arn:x") == {"b": ""}
        assert await tags.tags("arn:y") == {}
