"""The queue at work on a real records store: what it writes, when, and when it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from trainshed.domain.training import (
    Attempt,
    AttemptEnd,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
    WarmPool,
    WarmPoolStatus,
)
from trainshed.drivers.base import Capabilities
from trainshed.engine.queue import Queue
from trainshed.engine.scheduling import Policy, Project
from trainshed.stores.records.base import Server
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import NOON, job

PENDING = SecondaryStatus.PENDING


@dataclass
class Station:
    """Records, and a queue over them whose rows tests bring up to date."""

    database: SqliteDatabase
    records: SqlTrainingRecords
    changes: InProcessChanges
    nodes: int = 1
    policy: Policy = field(default_factory=Policy)
    leader: str | None = None
    now: datetime = NOON

    def make(self) -> Queue:
        return Queue(
            records=self.records,
            capabilities={"local": Capabilities(max_nodes=self.nodes)},
            default="local",
            clock=lambda: self.now,
            policy=self.policy,
            leader=lambda: self.leader,
        )

    @asynccontextmanager
    async def queue(self, *, leads: bool = True) -> AsyncIterator[Queue]:
        queue = self.make()
        queue.lead(leads)
        running = asyncio.create_task(queue.run())
        try:
            yield queue
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def come(self, one: TrainingJob, queue: Queue | None = None) -> TrainingJob:
        assert await self.records.add(one, {})
        if queue is not None:
            queue.note(one)
        return one

    async def until(self, arn: str, true: Callable[[TrainingJob], bool]) -> TrainingJob:
        watch = self.changes.watch()
        async with asyncio.timeout(30):
            while True:
                found = await self.records.get(arn)
                assert found is not None
                if true(found):
                    return found
                await watch.next(1)

    async def row(self, arn: str) -> TrainingJob:
        found = await self.records.get(arn)
        assert found is not None
        return found


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    database = SqliteDatabase(tmp_path / "records.db")
    changes = InProcessChanges()
    yield Station(database, SqlTrainingRecords(database, changes), changes)
    database.close()


def admitted(found: TrainingJob) -> bool:
    return found.attempt is not None


def waits(found: TrainingJob) -> bool:
    return found.secondary is PENDING


def later(name: str, seconds: float = 1, **members: object) -> TrainingJob:
    made = replace(job(name), created=NOON + timedelta(seconds=seconds))
    return replace(made, **members)  # type: ignore[arg-type]


def holding(name: str, **members: object) -> TrainingJob:
    """Return a job that runs."""
    attempt = Attempt(number=1, backend="local", started=NOON, handles={"algo-1": "node"})
    running = replace(job(name), attempt=attempt, attempts=1)
    return replace(running.moved_to(SecondaryStatus.TRAINING, at=NOON), **members)  # type: ignore[arg-type]


def warm(name: str) -> TrainingJob:
    """Return a job that is over and keeps its nodes warm."""
    done = holding(name).moved_to(SecondaryStatus.FAILED, at=NOON)
    pool = WarmPool(
        status=WarmPoolStatus.AVAILABLE,
        since=NOON,
        until=NOON + timedelta(hours=1),
        chain_began=NOON - timedelta(hours=1),
    )
    return replace(done, pool=pool, cleaned=True)


async def test_the_first_is_let_in_and_the_second_told_what_it_waits_for(station: Station) -> None:
    first = await station.come(job("first"))
    second = await station.come(later("second"))
    async with station.queue():
        await station.until(first.arn, admitted)
        waiting = await station.until(second.arn, waits)
    assert "it needs 1 of 1 node of the backend 'local'" in waiting.transitions[-1].message


async def test_a_freed_node_is_given_to_the_next(station: Station) -> None:
    first = await station.come(holding("first"))
    second = await station.come(later("second"))
    async with station.queue() as queue:
        await station.until(second.arn, waits)
        queue.forget(first.arn)
        await station.until(second.arn, admitted)


async def test_one_that_does_not_lead_writes_nothing(station: Station) -> None:
    one = await station.come(job("one"))
    async with station.queue(leads=False) as queue:
        queue.note(one)
        await asyncio.sleep(0)
        assert await station.row(one.arn) == one
        queue.lead(True)
        await station.until(one.arn, admitted)
        queue.lead(False)
        two = await station.come(later("two"), queue)
        queue.forget(one.arn)
        queue.lead(True)  # what happened meanwhile is read from the records
        waiting = await station.until(two.arn, waits)
    assert waiting.attempt is None


async def test_one_that_lost_the_lease_without_knowing_writes_nothing(station: Station) -> None:
    leases = SqlLeases(station.database)
    for name in ("old", "new"):
        await leases.register(
            Server(id=name, url="http://x", machine="m", version="1", reaches=("local",))
        )
    assert await leases.hold("scheduler", "new")
    station.leader = "old"
    one = await station.come(job("one"))
    async with station.queue():
        two = await station.come(later("two"))  # another write behind those of the first round
        await station.until(two.arn, lambda found: found == two)
        assert await station.row(one.arn) == one
        station.leader = "new"
        await station.until(one.arn, admitted)


async def test_an_old_row_that_is_heard_of_late_frees_no_node(station: Station) -> None:
    station.nodes = 1
    one = await station.come(job("one"))
    async with station.queue() as queue:
        await station.until(one.arn, admitted)
        queue.note(one)  # as it was before it was let in
        two = await station.come(later("two"), queue)
        await station.until(two.arn, waits)
    assert (await station.row(two.arn)).attempt is None


async def test_a_victim_is_told_for_whom_it_makes_room(station: Station) -> None:
    victim = await station.come(holding("victim", priority=10, preemptible=True))
    urgent = await station.come(later("urgent", priority=90))
    async with station.queue() as queue:
        told = await station.until(
            victim.arn,
            lambda found: found.attempt is not None and bool(found.attempt.preempted_for),
        )
        assert told.attempt is not None
        assert told.attempt.preempted_for == urgent.arn
        past = PastAttempt(
            number=1, backend="local", started=NOON, ended=NOON, end=AttemptEnd.PREEMPTED
        )
        queue.note(replace(told, attempt=None, past=(past,)))  # it stands in line again
        await station.until(urgent.arn, admitted)


async def test_a_row_is_not_written_anew_while_the_same_is_missing(station: Station) -> None:
    station.nodes = 2
    first, second = await station.come(holding("first")), await station.come(holding("second"))
    third = await station.come(later("third", 1))
    fourth = await station.come(later("fourth", 2))
    fifth = await station.come(later("fifth", 3))
    async with station.queue() as queue:
        for each in (third, fourth, fifth):
            await station.until(each.arn, waits)
        before = await station.row(fifth.arn)
        queue.forget(first.arn)
        await station.until(third.arn, admitted)
        queue.forget(second.arn)
        await station.until(fourth.arn, admitted)
    assert await station.row(fifth.arn) == before


async def test_what_else_is_missing_by_now_is_told_once_it_stays_so(station: Station) -> None:
    station.policy = Policy(projects={"vision": Project(name="vision", max_jobs=1)})
    station.nodes = 2
    first = await station.come(holding("first"))
    second = await station.come(holding("second", project="vision"))
    third = await station.come(later("third", project="vision"))
    async with station.queue() as queue:
        waiting = await station.until(third.arn, waits)
        assert "may run 1 job at once" in waiting.transitions[-1].message
        other = await station.come(holding("other"), queue)
        queue.forget(second.arn)
        await station.come(later("fourth", 2), queue)
        await station.until(later("fourth").arn, waits)
        assert await station.row(third.arn) == waiting
        station.now += timedelta(seconds=11)
        queue.note(replace(first, priority=51))  # something changes: the line is looked at
        await station.until(third.arn, lambda found: found != waiting)
    assert "it needs 1 of 2 nodes" in (await station.row(third.arn)).transitions[-1].message
    assert other.attempt is not None


async def test_warm_nodes_go_to_one_that_matches_and_their_job_says_so(station: Station) -> None:
    done = await station.come(warm("done"))
    following = await station.come(later("following"))
    async with station.queue():
        taken = await station.until(following.arn, admitted)
        reused = await station.until(
            done.arn,
            lambda found: found.pool is not None and found.pool.status is WarmPoolStatus.REUSED,
        )
    assert taken.attempt is not None
    assert taken.attempt.pool == done.arn
    assert taken.attempt.pool_began == NOON - timedelta(hours=1)
    assert reused.pool is not None
    assert reused.pool.reused_by == following.arn


async def test_warm_nodes_are_let_go_for_one_that_has_waited(station: Station) -> None:
    station.policy = Policy(pool_patience=60)
    done = await station.come(warm("done"))
    other = await station.come(job("other", EnableNetworkIsolation=True))
    async with station.queue() as queue:
        await station.until(other.arn, waits)
        station.now += timedelta(seconds=61)
        queue.no_capacity("nowhere", "")  # time alone is looked at only now and then
        let_go = await station.until(
            done.arn, lambda found: found.pool is not None and found.pool.until <= station.now
        )
    assert let_go.pool is not None


async def test_what_was_refused_is_asked_for_again_after_a_while(station: Station) -> None:
    one = await station.come(job("one"))
    async with station.queue() as queue:
        queue.no_capacity("local", "")
        waiting = await station.until(one.arn, waits)
        assert "has no 'ml.m5.large' to give just now" in waiting.transitions[-1].message
        station.now += timedelta(seconds=11)
        queue.no_capacity("nowhere", "")
        await station.until(one.arn, admitted)


async def test_a_job_that_can_never_start_fails_at_once(station: Station) -> None:
    huge = await station.come(job("huge", nodes=5))
    async with station.queue():
        failed = await station.until(huge.arn, lambda found: found.over)
    assert (failed.failure_reason or "").startswith("CapacityError: ")


async def test_a_hundred_jobs_are_let_in_at_once_and_each_once(station: Station) -> None:
    station.nodes = 60
    arns = [(await station.come(later(f"job-{n}", n))).arn for n in range(100)]
    async with station.queue():
        for arn in arns[:60]:
            await station.until(arn, admitted)
        for arn in arns[60:]:
            await station.until(arn, waits)
    rows = [await station.row(arn) for arn in arns]
    assert sum(admitted(each) for each in rows) == 60
    assert {each.attempt.number for each in rows if each.attempt is not None} == {1}


async def test_what_was_missed_is_found_by_comparing_with_the_records(station: Station) -> None:
    gone = holding("gone")
    one = await station.come(later("one"))
    async with station.queue() as queue:
        await station.until(one.arn, admitted)
        two = await station.come(later("two"), queue)
        await station.until(two.arn, waits)
        # The first ends, and nobody tells; and somebody tells of one that is not there.
        queue.note(gone)
        ended = (await station.row(one.arn)).moved_to(SecondaryStatus.FAILED, at=NOON)
        assert await station.records.swap(await station.row(one.arn), replace(ended, cleaned=True))
        station.now += timedelta(seconds=61)
        queue.no_capacity("nowhere", "")
        await station.until(two.arn, admitted)


async def test_whoever_leads_next_writes_nothing_that_was_told_before(station: Station) -> None:
    await station.come(holding("first"))
    second = await station.come(later("second"))
    async with station.queue():
        await station.until(second.arn, waits)
    watch = station.changes.watch()
    async with station.queue():
        third = await station.come(later("third", 2))
        async with asyncio.timeout(30):
            seen: set[str] = set()
            while third.arn not in seen:
                seen |= await watch.next(1)
            told = await station.until(third.arn, lambda found: found == third or waits(found))
    assert second.arn not in seen
    assert told.attempt is None


async def test_a_queue_that_is_stopped_and_started_gives_no_node_away_twice(
    station: Station,
) -> None:
    station.nodes = 3
    arns = [(await station.come(later(f"job-{n}", n))).arn for n in range(6)]
    for _ in range(8):
        async with station.queue() as queue:
            queue.no_capacity("nowhere", "")
            await asyncio.sleep(0)
    async with station.queue():
        await station.until(arns[5], waits)
    assert [admitted(await station.row(arn)) for arn in arns] == [True] * 3 + [False] * 3
