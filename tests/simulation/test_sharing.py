"""Several projects on one place over days: the real engine and queue on virtual time."""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from trainshed.domain.training import AttemptEnd, SecondaryStatus, TrainingJob
from trainshed.engine.scheduling import Policy, Project
from trainshed.testing.jobs import job
from trainshed.testing.simulation.clock import BEGINNING, VirtualClock, run
from trainshed.testing.simulation.options import SimulatedBackend
from trainshed.testing.simulation.world import World

HOUR = 3600.0
KEPT = {"CheckpointConfig": {"S3Uri": "s3://bucket/kept"}}
_S = SecondaryStatus


def in_a_world(
    story: Callable[[World], Coroutine[Any, Any, None]], policy: Policy, **options: Any
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, {"sim": SimulatedBackend(**options)})
        async with world.engine(policy=policy, look_seconds=600.0):
            await story(world)

    run(main)


async def submit(
    world: World,
    name: str,
    nodes: int = 1,
    request: dict[str, Any] | None = None,
    duration: float = HOUR,
    **members: Any,
) -> TrainingJob:
    """Create a job that runs for ``duration`` and may run twice that; members are of its row."""
    sim = {"sim.duration": str(duration), "sim.checkpoint_every": "300"}
    limit = {"MaxRuntimeInSeconds": int(2 * duration)}
    made = job(name, nodes=nodes, HyperParameters=sim, StoppingCondition=limit, **(request or {}))
    now = world.clock.now()
    opening = replace(made.transitions[0], start=now)
    made = replace(made, id=name, created=now, modified=now, transitions=(opening,), **members)
    assert await world.records.add(made, {}, owner="server-1")
    return made


def started(found: TrainingJob) -> float:
    """Return when a job's first attempt trained, in seconds since the beginning."""
    times = [each.start for each in found.transitions if each.status is _S.TRAINING]
    return (times[0] - BEGINNING).total_seconds()


def test_projects_of_weights_1_2_and_3_get_shares_within_5_percent_of_a_full_place() -> None:
    weights = {"one": 1, "two": 2, "three": 3}
    projects = {name: Project(name=name, weight=each) for name, each in weights.items()}

    async def story(world: World) -> None:
        random, lasts = Random(1), 20 * HOUR
        jobs = []
        for n in range(156):
            for name in [name for name, weight in weights.items() if n < 52 * weight]:
                length = random.choice([0.25, 0.5, 1.0]) * HOUR
                nodes = random.choice([1, 1, 2, 3])
                jobs.append(
                    await submit(world, f"{name}-{n}", nodes, duration=length, project=name)
                )
        await world.until_moment(lasts)
        used: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        for each in jobs:
            found = await world.records.get(each.arn)
            assert found is not None
            waiting[each.project] += found.secondary is _S.PENDING
            for stay in found.transitions:
                if stay.status is _S.TRAINING:
                    end = stay.end or world.clock.now()
                    used[each.project] += each.instance_count * (end - stay.start).seconds
        assert min(waiting[name] for name in weights) > 0  # none ran out of work
        total = sum(used.values())
        assert total > 0.95 * 12 * lasts
        for name, weight in weights.items():
            assert used[name] / total == pytest.approx(weight / 6, rel=0.05)

    in_a_world(story, Policy(projects=projects), max_nodes=12)


def test_a_starved_job_of_low_priority_still_runs_while_urgent_ones_keep_coming() -> None:
    """Twice as much comes as can run, and all that waits gains a level every ten minutes."""

    async def story(world: World) -> None:
        low = await submit(world, "low", priority=0)
        for n in range(100):
            await submit(world, f"urgent-{n}", priority=20, duration=600)
            await world.until_moment((n + 1) * 300)
        found = await world.records.get(low.arn)
        assert found is not None
        # Of the urgent ones the next has always waited for half as long: 20 + t/2 = t.
        assert 38 * 600 <= started(found) <= 42 * 600
        urgent = await world.records.get(low.arn.replace("low", "urgent-99"))
        assert urgent is not None
        assert urgent.secondary is _S.PENDING

    in_a_world(story, Policy(ageing=600), max_nodes=1)


def test_a_job_that_no_place_has_room_for_holds_nobody_up() -> None:
    """The place says that it may have two of a type, and has none when it is asked."""
    gpus = {"ResourceConfig": {"InstanceType": "ml.p3.2xlarge", "VolumeSizeInGB": 1}}

    async def story(world: World) -> None:
        unplaceable = await submit(world, "gpu", 2, gpus, priority=99)
        others = [await submit(world, f"j{n}", duration=60) for n in range(8)]
        for each in others:
            done = await world.over(each.arn)
            assert done.secondary is _S.COMPLETED
        assert world.clock.seconds < 300
        found = await world.records.get(unplaceable.arn)
        assert found is not None
        assert not found.over
        assert "waiting for capacity" in found.transitions[-1].message
        last = await world.over(unplaceable.arn)
        assert last.secondary is _S.COMPLETED

    in_a_world(
        story,
        Policy(),
        max_nodes=4,
        capacity={"ml.p3.*": 2},
        stock={"ml.p3.*": [0, 2]},
        stock_seconds=HOUR,
    )


def test_a_preempted_job_comes_back_and_goes_on_from_its_checkpoint() -> None:
    async def story(world: World) -> None:
        low = await submit(world, "low", 2, KEPT, duration=2 * HOUR, preemptible=True, priority=10)
        await world.until_moment(HOUR)
        urgent = await submit(world, "urgent", 2, duration=600, priority=90)
        done = await world.over(urgent.arn)
        assert started(done) < HOUR + 60
        again = await world.over(low.arn)
        (past,) = again.past
        assert past.end is AttemptEnd.PREEMPTED
        assert "urgent" in past.reason
        assert again.secondary is _S.COMPLETED
        assert world.clock.seconds < 2 * HOUR + 600 + 300 + 60

    in_a_world(story, Policy(), max_nodes=2)


def test_a_job_of_several_types_runs_on_the_first_that_has_room() -> None:
    types = ("ml.p3.2xlarge", "ml.g5.xlarge")

    async def story(world: World) -> None:
        jobs = [await submit(world, f"j{n}", duration=600, instance_types=types) for n in range(3)]
        done = [await world.over(each.arn) for each in jobs]
        ran = Counter(each.attempt.instance_type for each in done if each.attempt is not None)
        assert ran == {types[0]: 1, types[1]: 2}

    in_a_world(story, Policy(), max_nodes=9, capacity={"ml.p3.*": 1, "ml.g5.*": 2})
