"""Who gets a full place, by the real queue on simulated nodes: shares, age, and no plugged line."""

from datetime import timedelta
from typing import Any

import pytest

from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.engine.scheduling import Policy, Project
from trainshed.testing.simulation.clock import BEGINNING, VirtualClock, run
from trainshed.testing.simulation.options import SimulatedBackend
from trainshed.testing.simulation.world import World

WEIGHTS = {"one": 1, "two": 2, "three": 3}
HOURS = 3


def on(instance_type: str, nodes: int = 1) -> dict[str, Any]:
    resources = {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 1}
    return {"ResourceConfig": resources, "nodes": nodes}


def trained(job: TrainingJob, until: float) -> float:
    """Return the node seconds that a job trained in the first ``until`` seconds."""
    end = BEGINNING + timedelta(seconds=until)
    spans = [
        (min(each.end or end, end) - min(each.start, end)).total_seconds()
        for each in job.transitions
        if each.status is SecondaryStatus.TRAINING
    ]
    return sum(spans) * job.instance_count


@pytest.mark.parametrize("seed", [1, 2])
def test_three_projects_under_saturation_get_what_their_weights_say(seed: int) -> None:
    async def main(clock: VirtualClock) -> dict[str, float]:
        policy = Policy(projects={n: Project(name=n, weight=w) for n, w in WEIGHTS.items()})
        place = SimulatedBackend(max_nodes=24, launch_seconds=5, seed=seed)
        world = World(clock, {"sim": place})
        arns: dict[str, list[str]] = {name: [] for name in WEIGHTS}
        async with world.engine(look_seconds=600.0, policy=policy):
            for n in range(130):
                for name in WEIGHTS:
                    members = {"project": name}
                    length = 600 + (n * 7 + seed * 31) % 13 * 60
                    job = await world.submit(f"{name}-{n}", None, members, duration=length)
                    arns[name].append(job.arn)
            await world.until_moment(HOURS * 3600)
        return {
            name: sum([trained(await world.found(arn), HOURS * 3600) for arn in each])
            for name, each in arns.items()
        }

    used = run(main)
    total = sum(used.values())
    assert total > 24 * HOURS * 3600 * 0.95, "the place was never idle"
    for name, weight in WEIGHTS.items():
        assert used[name] / total == pytest.approx(weight / 6, rel=0.05)


def test_a_job_of_the_lowest_priority_runs_although_better_ones_never_cease() -> None:
    async def main(clock: VirtualClock) -> TrainingJob:
        world = World(clock, {"sim": SimulatedBackend(max_nodes=1)})
        async with world.engine(look_seconds=600.0, policy=Policy(ageing=120.0)):
            await world.submit("first", duration=300)
            poor = await world.submit("poor", None, {"priority": 0}, duration=60)
            for n in range(60):
                await world.submit(f"rich-{n}", None, {"priority": 50}, duration=300)
                await world.until_moment(n * 290.0)
            return await world.over(poor.arn)

    done = run(main)
    waited = (done.transitions[-1].start - done.created).total_seconds()
    assert done.secondary is SecondaryStatus.COMPLETED
    assert 40 * 120 < waited < 60 * 290, "after about 50 levels' worth of waiting"


def test_jobs_that_find_room_pass_those_that_find_none() -> None:
    async def main(clock: VirtualClock) -> list[TrainingJob]:
        place = SimulatedBackend(max_nodes=10, capacity={"ml.p5.*": 1})
        world = World(clock, {"sim": place})
        async with world.engine():
            await world.submit("holds", on("ml.p5.48xlarge"), duration=36000)
            for n in range(5):
                await world.submit(f"wants-{n}", on("ml.p5.48xlarge"), duration=60)
            small = [await world.submit(f"s-{n}", on("ml.m5.large"), duration=60) for n in range(9)]
            return [await world.over(job.arn) for job in small]

    done = run(main)
    assert all((job.transitions[-1].start - job.created).total_seconds() < 65 for job in done)
