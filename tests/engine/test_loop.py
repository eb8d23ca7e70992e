"""The engine at work on a real records store, with nodes that tests can take away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from trainshed.domain.errors import DriverError
from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.drivers.base import Capabilities, Handle, NodeState, Sight
from trainshed.engine.backends import Backends
from trainshed.engine.loop import Engine
from trainshed.engine.ownership import Ownership, new_id
from trainshed.engine.planning import Site
from trainshed.engine.queue import Queue
from trainshed.stores.records.base import Server
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.drivers import FakeDriver
from trainshed.testing.jobs import NOON, job

WHOLE_RUN = (Kind.STARTED, Kind.TRAINING, Kind.EXITED, Kind.UPLOADING, Kind.ENDED)


@dataclass
class House:
    """One server's worth of records, driver and engine; the engine can be killed and started."""

    database: SqliteDatabase
    records: SqlTrainingRecords
    changes: InProcessChanges
    driver: FakeDriver = field(default_factory=FakeDriver)
    seconds: int = 0

    def now(self) -> datetime:
        self.seconds += 1
        return NOON + timedelta(seconds=self.seconds)

    @asynccontextmanager
    async def engine(self, name: str = "local", **members: float) -> AsyncIterator[Engine]:
        """Run an engine whose one backend has a name."""
        site = Site(
            server_url="http://127.0.0.1:1",
            secret="secret",
            objects={},
            capabilities={name: self.driver.capabilities},
        )
        server = Server(
            id=new_id(), url="http://127.0.0.1:1", machine="here", version="1", reaches=(name,)
        )
        engine = Engine(
            records=self.records,
            changes=self.changes,
            backends=Backends(drivers={name: self.driver}, default=name),
            site=site,
            clock=self.now,
            ownership=Ownership(SqlLeases(self.database, alone=True), server, alone=True),
            queue=Queue(
                records=self.records,
                capabilities=site.capabilities,
                default=name,
                clock=self.now,
            ),
            **members,
        )
        running = asyncio.create_task(engine.run())
        try:
            yield engine
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until(self, arn: str, true: Callable[[TrainingJob], bool]) -> TrainingJob:
        """Return the job once ``true`` of it; each change of the store is a new look."""
        watch = self.changes.watch()
        async with asyncio.timeout(60):
            while True:
                found = await self.records.get(arn)
                assert found is not None
                if true(found):
                    return found
                await watch.next(1)

    async def report(
        self, node: str, *kinds: Kind, outcome: Outcome = Outcome.COMPLETED, reason: str = ""
    ) -> None:
        job_id, attempt, host = node.split(".")
        facts = [
            Fact(n, NOON.timestamp() + n, kind, {"outcome": outcome.value, "reason": reason})
            for n, kind in enumerate(kinds, start=1)
        ]
        assert await self.records.take(job_id, int(attempt), host, facts) == len(facts)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = SqliteDatabase(tmp_path / "records.db")
    changes = InProcessChanges()
    yield House(database, SqlTrainingRecords(database, changes), changes)
    database.close()


def launched(found: TrainingJob) -> bool:
    return found.attempt is not None and bool(found.attempt.handles)


async def test_a_job_is_launched_followed_and_cleaned_up(house: House) -> None:
    one = job()
    async with house.engine():
        await house.records.add(one, {})
        await house.until(one.arn, launched)
        await house.report(f"{one.id}.1.algo-1", *WHOLE_RUN)
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.secondary is SecondaryStatus.COMPLETED
    assert house.driver.living == {}


async def test_an_engine_killed_after_launching_does_not_launch_again(house: House) -> None:
    one = job()
    await house.records.add(one, {})
    async with house.engine():
        await house.until(one.arn, launched)
    async with house.engine():
        await house.report(f"{one.id}.1.algo-1", *WHOLE_RUN)
        await house.until(one.arn, lambda found: found.cleaned)
    assert house.driver.launched == [f"{one.id}.1.algo-1"]


async def test_facts_taken_while_no_engine_ran_are_acted_on_at_the_next_start(
    house: House,
) -> None:
    one = job()
    await house.records.add(one, {})
    async with house.engine():
        await house.until(one.arn, launched)
    await house.report(f"{one.id}.1.algo-1", *WHOLE_RUN)
    async with house.engine():
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.secondary is SecondaryStatus.COMPLETED


async def test_a_launch_cut_short_before_its_handles_were_stored_is_repeated(house: House) -> None:
    one = job()
    await house.records.add(one, {})
    async with house.engine():
        found = await house.until(one.arn, launched)
    assert found.attempt is not None
    await house.records.swap(found, replace(found, attempt=replace(found.attempt, handles={})))
    async with house.engine():
        await house.until(one.arn, launched)
    assert house.driver.launched == [f"{one.id}.1.algo-1"]


async def test_jobs_beyond_the_nodes_wait_and_start_when_one_is_freed(house: House) -> None:
    house.driver.capabilities = Capabilities(max_nodes=1)
    first, second = job("first"), replace(job("second"), created=NOON + timedelta(seconds=1))
    async with house.engine():
        await house.records.add(first, {})
        await house.until(first.arn, launched)
        await house.records.add(second, {})
        waiting = await house.until(
            second.arn, lambda found: found.secondary is SecondaryStatus.PENDING
        )
        assert "1 of 1 node" in waiting.transitions[-1].message
        await house.report(f"{first.id}.1.algo-1", *WHOLE_RUN)
        await house.until(second.arn, launched)


async def test_a_restarted_engine_gives_no_node_away_twice(house: House) -> None:
    house.driver.capabilities = Capabilities(max_nodes=1)
    first, second = job("first"), replace(job("second"), created=NOON + timedelta(seconds=1))
    await house.records.add(first, {})
    async with house.engine():
        await house.until(first.arn, launched)
    await house.records.add(second, {})
    async with house.engine():
        await house.until(second.arn, lambda found: found.secondary is SecondaryStatus.PENDING)
    assert house.driver.launched == [f"{first.id}.1.algo-1"]


async def test_a_stop_wish_reaches_every_node_once(house: House) -> None:
    one = job(nodes=2)
    async with house.engine():
        await house.records.add(one, {})
        found = await house.until(one.arn, launched)
        wished = found.moved_to(SecondaryStatus.STOPPING, at=house.now())
        assert await house.records.swap(found, replace(wished, stop_wish=house.now()))
        await house.until(one.arn, lambda found: bool(found.attempt and found.attempt.stops))
        for host in ("algo-1", "algo-2"):
            await house.report(f"{one.id}.1.{host}", *WHOLE_RUN, outcome=Outcome.STOPPED)
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.secondary is SecondaryStatus.STOPPED
    assert sorted(house.driver.stopped) == [f"{one.id}.1.algo-1", f"{one.id}.1.algo-2"]


async def test_a_node_lost_while_no_engine_ran_is_started_over_its_journal(house: House) -> None:
    one = job()
    await house.records.add(one, {})
    async with house.engine():
        await house.until(one.arn, launched)
    house.driver.lose(f"{one.id}.1.algo-1")
    async with house.engine():
        again = await house.until(
            one.arn, lambda found: found.attempt is not None and found.attempt.relaunches == 1
        )
        await house.report(f"{one.id}.1.algo-1", *WHOLE_RUN, outcome=Outcome.LOST)
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert again.attempt is not None
    assert again.attempt.number == 1
    assert done.secondary is SecondaryStatus.FAILED


async def test_a_lost_node_is_noticed_although_another_job_changes_all_the_time(
    house: House,
) -> None:
    quiet, busy = job("quiet"), job("busy")

    async def change() -> None:
        while True:
            house.changes.mark(busy.arn)
            await asyncio.sleep(0.1)

    async with house.engine():
        for one in (quiet, busy):
            await house.records.add(one, {})
            await house.until(one.arn, launched)
        changing = asyncio.create_task(change())
        house.driver.lose(f"{quiet.id}.1.algo-1")
        again = await house.until(
            quiet.arn, lambda found: found.attempt is not None and found.attempt.relaunches == 1
        )
        changing.cancel()
    assert again.secondary is SecondaryStatus.STARTING


@pytest.mark.parametrize("stopping", [False, True])
async def test_a_job_whose_backend_is_not_configured_any_more_fails_and_says_what_is_left(
    house: House, caplog: pytest.LogCaptureFixture, *, stopping: bool
) -> None:
    one = job()
    await house.records.add(one, {})
    async with house.engine():
        found = await house.until(one.arn, launched)
    if stopping:
        await house.records.swap(found, replace(found, stop_wish=NOON))
    async with house.engine("other"):
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.failure_reason == (
        "ClientError: the backend 'local' is not configured; known: other"
    )
    assert f"nodes is left: {one.id}.1.algo-1" in caplog.text


async def test_a_driver_that_can_not_launch_fails_the_job_and_leaves_nothing(house: House) -> None:
    house.driver.refuse = DriverError("no such disk")
    one = job()
    async with house.engine():
        await house.records.add(one, {})
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.failure_reason == (
        "InternalServerError: the nodes could not be started: no such disk"
    )


async def test_a_job_asking_for_more_nodes_than_there_are_fails_and_says_so(house: House) -> None:
    one = job(nodes=9)
    async with house.engine():
        await house.records.add(one, {})
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.failure_reason == (
        "CapacityError: Unable to provision requested ML compute capacity. The job asks for 9 "
        "nodes, the backend 'local' has at most 4: lower InstanceCount, or raise max_nodes in "
        "[backends.local]"
    )


async def test_peers_of_a_failed_node_are_stopped_at_once_when_their_patience_ends(
    house: House,
) -> None:
    """Nothing else changes meanwhile, and the safety net is out of reach."""
    one = job(nodes=2)
    async with house.engine(look_seconds=3600):
        await house.records.add(one, {})
        await house.until(one.arn, launched)
        house.seconds = -2
        await house.report(f"{one.id}.1.algo-2", Kind.TRAINING, Kind.EXITED, reason="bad")
        await house.until(
            one.arn, lambda found: found.attempt is not None and 2 in found.attempt.stops.values()
        )
    assert house.driver.stopped == [f"{one.id}.1.algo-1"]
    assert f"{one.id}.1.algo-1" in house.driver.hurried


async def test_a_stop_told_again_because_the_row_moved_meanwhile_takes_no_grace_away(
    house: House,
) -> None:
    one = job()

    class Crossed(FakeDriver):
        async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
            await super().stop(handle, at_once=at_once)
            if len(self.stopped) == 1:
                found = await house.records.get(one.arn)
                assert found is not None
                request = {**found.request, "RemoteDebugConfig": {}}
                assert await house.records.swap(found, replace(found, request=request))

    house.driver = Crossed()
    async with house.engine():
        await house.records.add(one, {})
        found = await house.until(one.arn, launched)
        wished = found.moved_to(SecondaryStatus.STOPPING, at=house.now())
        assert await house.records.swap(found, replace(wished, stop_wish=house.now()))
        await house.until(one.arn, lambda found: bool(found.attempt and found.attempt.stops))
    assert house.driver.stopped == [f"{one.id}.1.algo-1"] * 2
    assert house.driver.hurried == []


async def test_an_agent_that_tells_its_end_and_leaves_during_a_look_is_not_missed(
    house: House,
) -> None:
    one = job()

    class Leaving(FakeDriver):
        async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Sight]:
            for handle in handles:
                await house.report(handle.state, *WHOLE_RUN)
            return dict.fromkeys(handles, Sight(NodeState.VANISHED))

    async with house.engine():
        await house.records.add(one, {})
        await house.until(one.arn, launched)
    house.driver = Leaving(living=house.driver.living)
    async with house.engine():
        done = await house.until(one.arn, lambda found: found.cleaned)
    assert done.secondary is SecondaryStatus.COMPLETED
    assert done.attempt is not None
    assert done.attempt.relaunches == 0


async def test_jobs_heard_of_together_start_in_the_order_they_were_created(house: House) -> None:
    house.driver.capabilities = Capabilities(max_nodes=1)
    names = [f"job-{n:02}" for n in range(20)]
    jobs = [
        replace(job(n), id=f"{i:012}", created=NOON + timedelta(seconds=i))
        for i, n in enumerate(names)
    ]
    async with house.engine():
        await asyncio.gather(*(house.records.add(one, {}) for one in jobs))
        for one in jobs:
            await house.until(one.arn, launched)
            await house.report(f"{one.id}.1.algo-1", *WHOLE_RUN)
    assert house.driver.launched == [f"{one.id}.1.algo-1" for one in jobs]


async def test_a_look_costs_no_more_for_a_longer_line(house: House) -> None:
    class Counting(SqlTrainingRecords):
        """Counts the jobs that are read."""

        read = 0

        async def get(self, arn: str) -> TrainingJob | None:
            self.read += 1
            return await super().get(arn)

    house.records = counting = Counting(house.database, house.changes)
    house.driver.capabilities = Capabilities(max_nodes=1)
    jobs = [replace(job(f"job-{n}"), id=f"{n:012}") for n in range(500)]
    await asyncio.gather(*(counting.add(one, {}) for one in jobs))
    async with house.engine(look_seconds=0.2) as engine:
        for one in jobs[1:]:
            await house.until(one.arn, lambda found: found.secondary is SecondaryStatus.PENDING)
        told, read = engine.pulse.rounds + 1, 0
        async with asyncio.timeout(60):
            while engine.pulse.rounds < told + 5:
                if engine.pulse.rounds <= told:
                    read = counting.read
                await house.changes.watch().next(0.05)
    assert (counting.read - read) / 5 < 210
