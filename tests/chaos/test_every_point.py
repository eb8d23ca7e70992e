"""A server that dies, fails, stands still or is lied to at every point it passes, one at a time."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.chaos.shed import Shed

from trainshed.domain.errors import DriverError
from trainshed.domain.training import TrainingJob, TrainingJobStatus
from trainshed.testing.faults.faults import Struck
from trainshed.testing.faults.plan import Do, Fault
from trainshed.testing.faults.wrapping import lawful
from trainshed.testing.jobs import job
from trainshed.testing.simulation.clock import VirtualClock, run

ROUNDS = 120
SECONDS = {Do.DELAY: 2.0, Do.PAUSE: 8.0, Do.JUMP: -600.0}
Story = Callable[[Shed, str, int], Awaitable[None]]


async def goes_well(shed: Shed, arn: str, turn: int) -> None:
    """Nothing happens to the job."""


async def is_stopped(shed: Shed, arn: str, turn: int) -> None:
    """Somebody wants the job stopped, which would never end, soon after it began to train."""
    shed.place.endless.add(job().id)
    if turn == 3:
        await shed.wish_stop(arn)


async def loses_an_agent(shed: Shed, arn: str, turn: int) -> None:
    """The first agent dies, and is started over its journal."""
    if turn == 4:
        for node in shed.speakers():
            shed.place.lose(node)


async def is_interrupted(shed: Shed, arn: str, turn: int) -> None:
    """The node of the first attempt is taken away."""
    if turn == 4:
        for node in shed.speakers():
            shed.place.take(node)


STORIES: dict[Story, TrainingJobStatus] = {
    goes_well: TrainingJobStatus.COMPLETED,
    is_stopped: TrainingJobStatus.STOPPED,
    loses_an_agent: TrainingJobStatus.COMPLETED,
    is_interrupted: TrainingJobStatus.COMPLETED,
}


def told(
    story: Story, fault: Fault | None = None, servers: int = 2
) -> tuple[Shed, TrainingJob, list[Struck]]:
    """Play a story with a fault in the first server's first life; return what came of it."""

    async def main(clock: VirtualClock) -> tuple[Shed, TrainingJob, list[Struck]]:
        shed = Shed(clock, servers=servers)
        first = shed.servers[0]
        first.start()
        if fault is not None:
            first.faults.add(fault)
        hurt = first.faults
        one = job(EnableManagedSpotTraining=True)
        one = replace(one, created=clock.now(), modified=clock.now())
        assert await shed.records.add(one, {})
        for turn in range(ROUNDS):
            await shed.pass_time(1.0)
            await story(shed, one.arn, turn)
            for server in shed.servers:
                if not server.up and (turn > 2 or server is first):
                    server.start()
            await shed.all_go_on(shed.servers[turn % servers])
            found = await shed.records.get(one.arn)
            assert found is not None
            if found.cleaned:
                break
        await shed.pass_time(20.0)
        for server in shed.servers:
            await server.kill()
        passed = [Struck(point=p, passed=n, life=1, do=Do.CRASH) for p, n in hurt.counts()]
        return shed, found, passed

    return run(main)


def check(story: Story, fault: Fault, servers: int = 2) -> None:
    """Have a fault happen, and see that nobody notices when all is over."""
    shed, found, _ = told(story, fault, servers)
    assert (found.cleaned, found.status) == (True, STORIES[story]), (str(fault), found.transitions)
    assert shed.place.crimes == [], str(fault)
    assert shed.place.computing == set(), str(fault)
    assert shed.place.living == {}, str(fault)


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_server_may_die_at_any_point(story: Story, servers: int) -> None:
    _, found, passed = told(story, servers=servers)
    assert found.status is STORIES[story]
    assert len(passed) > 20
    for each in passed:
        for nth in range(1, min(each.passed, 6) + 1):
            check(story, Fault(at=each.point, do=Do.CRASH, nth=nth), servers)


@pytest.mark.parametrize("do", sorted(set(Do) - {Do.CRASH}))
def test_a_server_may_be_lied_to_or_stand_still_at_any_point(do: Do) -> None:
    _, _, passed = told(is_interrupted)
    for each in passed:
        if do in lawful(each.point):
            for nth in range(1, min(each.passed, 3) + 1):
                fault = Fault(at=each.point, do=do, nth=nth, seconds=SECONDS.get(do, 0.0))
                check(is_interrupted, fault)


def test_a_node_that_nobody_heard_of_is_removed_when_its_launch_is_refused_later() -> None:
    async def main(clock: VirtualClock) -> Shed:
        shed = Shed(clock, servers=1)
        (server,) = shed.servers
        server.start()
        server.faults.add(Fault.parse("driver.launch.after#1=crash"))
        one = replace(job(), created=clock.now(), modified=clock.now())
        assert await shed.records.add(one, {})
        await shed.pass_time(2.0)
        assert shed.place.computing == {f"{one.id}.1.algo-1"}
        shed.place.refuse = DriverError("no such place")
        server.start()
        await shed.pass_time(5.0)
        found = await shed.records.get(one.arn)
        assert found is not None
        assert (found.status, found.cleaned) == (TrainingJobStatus.FAILED, True)
        await server.kill()
        return shed

    assert run(main).place.computing == set()


def test_a_launch_that_comes_too_late_starts_nothing() -> None:
    async def main(clock: VirtualClock) -> Shed:
        shed = Shed(clock, servers=2)
        paused, other = shed.servers
        paused.start()
        paused.faults.add(Fault.parse("driver.launch.before#1=pause:60"))
        one = replace(job(), created=clock.now(), modified=clock.now())
        assert await shed.records.add(one, {})
        await shed.pass_time(1.0)
        other.start()
        for _ in range(30):
            await shed.pass_time(1.0)
            await shed.all_go_on(other)
        found = await shed.records.get(one.arn)
        assert found is not None
        assert (found.status, found.cleaned) == (TrainingJobStatus.COMPLETED, True)
        await shed.pass_time(60.0)
        assert shed.place.launched == [f"{one.id}.1.algo-1"]
        for server in shed.servers:
            await server.kill()
        return shed

    assert run(main).place.computing == set()


def test_an_end_that_was_taken_before_the_nodes_were_removed_is_the_end() -> None:
    async def main(clock: VirtualClock) -> TrainingJob:
        shed = Shed(clock, servers=2)
        paused, other = shed.servers
        paused.start()
        paused.faults.add(Fault.parse("driver.launch.before#4=pause:10"))
        one = job(RetryStrategy={"MaximumRetryAttempts": 3})
        one = replace(one, created=clock.now(), modified=clock.now())
        assert await shed.records.add(one, {})
        node = f"{one.id}.1.algo-1"
        for _ in range(3):
            await shed.pass_time(1.0)
            shed.place.lose(node)
        await shed.pass_time(1.0)
        other.start()
        other.faults.add(Fault.parse("driver.remove.before#1=delay:30"))
        # The other server gives the attempt up; then the launch of the paused one comes through.
        await shed.pass_time(10.0)
        assert shed.speakers() == [node]
        for _ in range(6):
            shed.place.advance(node, clock.now().timestamp())
        await shed.report(node, other)
        assert shed.speakers() == []
        await shed.pass_time(60.0)
        found = await shed.records.get(one.arn)
        assert found is not None
        assert shed.place.launched[-1] == node
        for server in shed.servers:
            await server.kill()
        return found

    found = run(main)
    assert (found.status, found.cleaned) == (TrainingJobStatus.COMPLETED, True)
