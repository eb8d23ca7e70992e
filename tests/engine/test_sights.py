"""What drivers say of nodes, as jobs tell it: why they wait, and that they will never start."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.engine.test_decide import LATER, ended, exited, running, seen

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.drivers.base import Handle, NodeState, Sight
from trainshed.engine.decision import Hopeless, Seen
from trainshed.engine.sights import Sights
from trainshed.engine.training import decide
from trainshed.testing.drivers import FakeDriver
from trainshed.testing.jobs import NOON, facts
from trainshed.testing.simulation.clock import VirtualClock, run
from trainshed.testing.simulation.world import World

S = SecondaryStatus
PREPARING = "Preparing the instances for training"
NO_CPU = "0/3 nodes are available: 3 Insufficient cpu."
BAD_IMAGE = "ClientError: the image 'nowhere/x' cannot be pulled: not found"
WAITS = Sight(NodeState.LIVES, NO_CPU)
HOPELESS = Sight(NodeState.HOPELESS, BAD_IMAGE)
MINUTE = timedelta(minutes=1)


def message(job: TrainingJob) -> str:
    return job.transitions[-1].message


def waiting(nodes: int, **members: Any) -> Callable[[dict[str, str]], TrainingJob]:
    return lambda why: decide(running(nodes, **members), seen(waiting=why)).job


def test_a_job_that_starts_tells_why_its_nodes_wait() -> None:
    told = waiting(2)({"algo-2": NO_CPU})
    assert (told.secondary, message(told)) == (S.STARTING, f"{PREPARING}: algo-2: {NO_CPU}")
    assert message(waiting(1)({"algo-1": NO_CPU})) == f"{PREPARING}: {NO_CPU}"


def test_nodes_that_wait_for_the_same_are_named_together() -> None:
    why = {"algo-1": "no GPU", "algo-3": "no GPU", "algo-2": "no volume"}
    assert message(waiting(3)(why)) == f"{PREPARING}: algo-1, algo-3: no GPU; algo-2: no volume"
    everybody = {f"algo-{n}": "no GPU" for n in range(1, 65)}
    assert message(waiting(64)(everybody)) == f"{PREPARING}: algo-1 and 63 more: no GPU"
    each = {f"algo-{n}": f"no GPU {n}" for n in range(1, 501)}
    assert len(message(waiting(500)(each))) <= len(PREPARING) + 1024


def test_the_same_text_writes_nothing_anew_and_the_usual_message_stands_once_it_is_gone() -> None:
    told = waiting(2)({"algo-2": NO_CPU})
    later = replace(seen(waiting={"algo-2": NO_CPU}), now=LATER + MINUTE)
    assert decide(told, later).job == told
    assert message(decide(told, seen()).job) == PREPARING
    begun = decide(told, seen(facts(Kind.DOWNLOADING), waiting={"algo-2": NO_CPU})).job
    assert (begun.secondary, message(begun)) == (S.DOWNLOADING, "Downloading input data")


def test_a_warning_stands_behind_why_nodes_wait() -> None:
    told = message(waiting(1, EnableManagedSpotTraining=True)({"algo-1": NO_CPU}))
    assert told.startswith(f"{PREPARING}: {NO_CPU} Warning: managed spot training without")


def test_a_node_that_will_never_start_fails_its_job() -> None:
    over = decide(running(), seen(hopeless={"algo-1": BAD_IMAGE})).job
    assert (over.secondary, over.failure_reason) == (S.FAILED, BAD_IMAGE)
    assert over.past == ()


def test_spot_jobs_and_retries_do_not_try_again_what_can_never_start() -> None:
    asked: dict[str, Any] = {
        "EnableManagedSpotTraining": True,
        "RetryStrategy": {"MaximumRetryAttempts": 3},
    }
    over = decide(running(**asked), seen(hopeless={"algo-1": BAD_IMAGE})).job
    assert over.secondary is S.FAILED


def hopeless_for(seconds: float, *journals: tuple[Fact, ...]) -> Seen:
    look = replace(seen(*journals), now=LATER + timedelta(seconds=seconds))
    return replace(look, hopeless={"algo-2": Hopeless(reason=BAD_IMAGE, since=LATER)})


def test_peers_of_a_node_that_will_never_start_are_stopped_and_the_job_fails_for_it() -> None:
    journal = facts(Kind.TRAINING)
    job = running(2)
    first = decide(job, hopeless_for(0, journal))
    assert (first.stop, first.interrupt) == ({"algo-1": 1}, {})
    assert first.look_at == LATER + timedelta(seconds=3)
    assert decide(first.job, hopeless_for(3, journal)).stop == {"algo-1": 2}
    stopped = facts(Kind.TRAINING, exited(143), ended(Outcome.STOPPED))
    over = decide(first.job, hopeless_for(4, stopped)).job
    assert (over.secondary, over.failure_reason) == (S.FAILED, f"{BAD_IMAGE} (algo-2)")


def told_to_stop(job: TrainingJob, *hosts: str) -> TrainingJob:
    assert job.attempt is not None
    return replace(job, attempt=replace(job.attempt, stops=dict.fromkeys(hosts, 1)))


def test_a_job_that_is_stopped_before_its_node_could_start_ends_stopped() -> None:
    wished = replace(running(), stop_wish=LATER)
    for each in (wished, told_to_stop(wished, "algo-1")):
        over = decide(each, seen(hopeless={"algo-1": BAD_IMAGE})).job
        assert (over.secondary, over.failure_reason) == (S.STOPPED, None)


def test_a_job_that_waits_for_longer_than_it_may_ends_so() -> None:
    limits = {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": 30}
    late = decide(running(StoppingCondition=limits), seen(waiting={"algo-1": NO_CPU}))
    assert (late.job.secondary, late.stop) == (S.STOPPING, {"algo-1": 1})
    over = decide(late.job, seen(hopeless={"algo-1": "ClientError: it was stopped"})).job
    assert over.secondary is S.MAX_WAIT_TIME_EXCEEDED


def test_a_waiting_node_that_was_stopped_for_its_peers_fault_is_not_blamed() -> None:
    reason = "AlgorithmError: , exit code: 1"
    failed = facts(Kind.TRAINING, exited(1, reason), ended(Outcome.FAILED, reason))
    job = told_to_stop(running(2), "algo-2")
    over = decide(job, hopeless_for(0, failed)).job
    assert (over.secondary, over.failure_reason) == (S.FAILED, f"{reason} (algo-1)")


def test_what_a_node_told_of_its_own_end_counts_for_more_than_what_its_place_says() -> None:
    whole = facts(Kind.TRAINING, exited(0), Kind.UPLOADING, ended(Outcome.COMPLETED))
    assert decide(running(), seen(whole, hopeless={"algo-1": "x"})).job.secondary is S.COMPLETED


@pytest.mark.parametrize(
    ("why", "told"), [("", "without notice"), ("evicted: low on memory", "evicted: low on memory")]
)
def test_who_took_a_node_is_told_where_the_place_knows_it(why: str, told: str) -> None:
    over = decide(running(), seen(facts(Kind.TRAINING), taken={"algo-1": why})).job
    assert over.attempt is not None
    assert over.attempt.over is not None
    assert over.attempt.over.reason == f"algo-1 was taken away: {told}"


def test_only_what_is_new_is_worth_a_closer_look() -> None:
    one, two = Handle("fake", "1"), Handle("fake", "2")
    sights = Sights()
    quiet = {one: Sight(NodeState.LIVES), two: Sight(NodeState.LIVES)}
    assert sights.news(quiet) == []
    said = quiet | {two: WAITS}
    assert sights.news(said) == [two]
    sights.note(said, NOON)
    assert sights.news(said) == []
    assert sights.news(quiet) == [two]
    assert sights.news(quiet | {two: Sight(NodeState.LIVES, "no volume")}) == [two]
    sights.note({one: quiet[one]}, NOON)  # the other can't be seen now
    assert sights.waiting({two: "algo-2"}) == {"algo-2": NO_CPU}
    for state in (NodeState.TAKEN, NodeState.VANISHED, NodeState.HOPELESS):
        assert sights.news({one: Sight(state)}) == [one]
    sights.note(quiet, NOON)
    assert sights.waiting({two: "algo-2"}) == {}


def test_hopeless_is_hopeless_from_when_it_was_first_seen_so() -> None:
    handle, sights = Handle("fake", "1"), Sights()
    sights.note({handle: WAITS}, NOON)
    sights.note({handle: HOPELESS}, NOON + MINUTE)
    sights.note({handle: Sight(NodeState.TAKEN, "its pod was deleted")}, NOON + 2 * MINUTE)
    known = {"algo-1": Hopeless(reason=BAD_IMAGE, since=NOON + MINUTE)}
    assert sights.hopeless({handle: "algo-1"}) == known
    sights.forget([handle])
    assert sights.hopeless({handle: "algo-1"}) == {}


def played(script: Callable[[World, FakeDriver], Coroutine[Any, Any, None]]) -> None:
    """Play a script on virtual time, on a place of which tests say what is seen."""

    async def main(clock: VirtualClock) -> None:
        driver = FakeDriver()
        await script(World(clock, others={"fake": driver}), driver)

    run(main)


def launched(found: TrainingJob) -> bool:
    return found.attempt is not None and bool(found.attempt.handles)


@pytest.mark.parametrize("hint", [True, False])
def test_a_job_tells_why_it_waits_and_stops_telling_it(*, hint: bool) -> None:
    async def script(world: World, driver: FakeDriver) -> None:
        async with world.engine(look_seconds=5):
            job = await world.submit("j", {"nodes": 2})
            await world.until(job.arn, launched)
            driver.say("j.1.algo-2", WAITS, hint=hint)
            told = f"{PREPARING}: algo-2: {NO_CPU}"
            await world.until(job.arn, lambda found: message(found) == told, within=6)
            driver.say("j.1.algo-2", Sight(NodeState.LIVES), hint=hint)
            await world.until(job.arn, lambda found: message(found) == PREPARING, within=6)

    played(script)


def test_what_was_said_before_neither_writes_nor_looks_anew() -> None:
    async def script(world: World, driver: FakeDriver) -> None:
        async with world.engine(look_seconds=5):
            jobs = [await world.submit(name) for name in ("quiet", "waits")]
            for job in jobs:
                await world.until(job.arn, launched)
            driver.say("waits.1.algo-1", WAITS)
            told = f"{PREPARING}: {NO_CPU}"
            was = await world.until(jobs[1].arn, lambda found: message(found) == told)
            driver.looks.clear()
            await world.until_moment(1000)
            assert driver.looks == [2] * len(driver.looks)  # both at once, none by itself
            assert len(driver.looks) > 100
            assert await world.found(jobs[1].arn) == was

    played(script)


def test_a_step_that_does_not_look_remembers_why_nodes_wait() -> None:
    async def script(world: World, driver: FakeDriver) -> None:
        async with world.engine(look_seconds=3600):
            job = await world.submit("j", {"nodes": 2})
            await world.until(job.arn, launched)
            driver.say("j.1.algo-2", WAITS)
            told = f"{PREPARING}: algo-2: {NO_CPU}"
            await world.until(job.arn, lambda found: message(found) == told)
            started = Fact(1, world.clock.now().timestamp(), Kind.STARTED, {})
            await world.records.take("j", 1, "algo-1", [started])
            await world.until_moment(100)
            assert message(await world.found(job.arn)) == told

    played(script)


def test_a_server_that_begins_anew_tells_why_nodes_wait() -> None:
    async def script(world: World, driver: FakeDriver) -> None:
        async with world.engine(look_seconds=3600):
            job = await world.submit("j")
            await world.until(job.arn, launched)
        driver.say("j.1.algo-1", WAITS, hint=False)
        async with world.engine(look_seconds=3600):
            told = f"{PREPARING}: {NO_CPU}"
            await world.until(job.arn, lambda found: message(found) == told, within=1)

    played(script)


@pytest.mark.parametrize("hint", [True, False])
def test_a_hopeless_node_ends_its_job_and_its_peers_in_time(*, hint: bool) -> None:
    async def script(world: World, driver: FakeDriver) -> None:
        async with world.engine(look_seconds=60):
            job = await world.submit("j", {"nodes": 2})
            await world.until(job.arn, launched)
            driver.say("j.1.algo-2", HOPELESS, hint=hint)
            both = lambda found: 2 in found.attempt.stops.values()  # noqa: E731
            found = await world.until(job.arn, both, within=64)
            assert world.clock.seconds == (3 if hint else 63)
            assert (driver.stopped, driver.hurried) == (["j.1.algo-1"], ["j.1.algo-1"])
            assert found.attempt is not None
            assert set(found.attempt.stops) == {"algo-1"}
            stopped = facts(ended(Outcome.STOPPED), start=world.clock.seconds)
            await world.records.take("j", 1, "algo-1", stopped)
            over = await world.over(job.arn)
            assert over.failure_reason == f"{BAD_IMAGE} (algo-2)"
            assert sorted(driver.removed) == ["j.1.algo-1", "j.1.algo-2"]

    played(script)


def test_a_waiting_job_that_is_stopped_ends_stopped_once_its_place_lets_go_of_it() -> None:
    class Cancels(FakeDriver):
        """A place where a node that waits has no agent that could tell its end."""

        async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
            await super().stop(handle, at_once=at_once)
            self.say(handle.state, Sight(NodeState.HOPELESS, "ClientError: it was stopped"))

    async def main(clock: VirtualClock) -> None:
        driver = Cancels()
        world = World(clock, others={"fake": driver})
        async with world.engine(look_seconds=5):
            job = await world.submit("j", {"nodes": 2})
            await world.until(job.arn, launched)
            for host in ("algo-1", "algo-2"):
                driver.say(f"j.1.{host}", WAITS)
            await asyncio.sleep(1)
            await world.stop(job.arn)
            over = await world.over(job.arn)
            assert (over.secondary, over.failure_reason) == (S.STOPPED, None)

    run(main)
