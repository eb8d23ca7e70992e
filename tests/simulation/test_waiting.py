"""How long jobs wait for their nodes, and nodes for their next job, on virtual time."""

from collections.abc import Callable, Coroutine
from typing import Any

from trainshed.domain.training import SecondaryStatus, TrainingJob, WarmPoolStatus
from trainshed.testing.simulation.clock import VirtualClock, run
from trainshed.testing.simulation.options import SimulatedBackend
from trainshed.testing.simulation.world import World

_S = SecondaryStatus
HOUR = 3600
URGENT = {"priority": 90}


def in_a_small_world(story: Callable[[World], Coroutine[Any, Any, None]], nodes: int = 1) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, {"sim": SimulatedBackend(max_nodes=nodes)})
        async with world.engine():
            await story(world)

    run(main)


def limits(pending: int | None = None, runtime: int = 24 * HOUR) -> dict[str, Any]:
    said = {} if pending is None else {"MaxPendingTimeInSeconds": pending}
    return {"StoppingCondition": {"MaxRuntimeInSeconds": runtime, **said}}


def seconds(job: TrainingJob) -> float:
    """Return how long after its creation a job was over."""
    return (job.transitions[-1].start - job.created).total_seconds()


def kept(seconds: int, instance_type: str = "ml.m5.large") -> dict[str, Any]:
    resources = {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 1}
    return {"ResourceConfig": {**resources, "KeepAlivePeriodInSeconds": seconds}}


def test_a_job_that_is_pending_for_longer_than_it_may_is_stopped() -> None:
    async def story(world: World) -> None:
        long = await world.submit("long", limits(), duration=10 * HOUR)
        await world.until(long.arn, lambda found: found.attempt is not None)
        patient = await world.submit("patient", limits(12 * HOUR), duration=1)
        impatient = await world.submit("impatient", limits(2 * HOUR), duration=1)
        stopped = await world.over(impatient.arn)
        assert stopped.secondary is _S.STOPPED
        assert 7200 <= seconds(stopped) < 7201
        assert stopped.transitions[-1].message == (
            "Training job stopped: it was pending for longer than MaxPendingTimeInSeconds provided"
        )
        assert stopped.attempt is None
        # Who gets its nodes in time has all the time it asked for.
        done = await world.over(patient.arn)
        assert done.secondary is _S.COMPLETED

    in_a_small_world(story)


def test_time_with_nodes_is_no_time_of_waiting() -> None:
    async def story(world: World) -> None:
        job = await world.submit("job", limits(2 * HOUR), duration=5 * HOUR)
        done = await world.over(job.arn)
        assert done.secondary is _S.COMPLETED

    in_a_small_world(story)


def test_a_job_that_was_preempted_may_wait_as_long_again() -> None:
    async def story(world: World) -> None:
        low = await world.submit(
            "low",
            {"CheckpointConfig": {"S3Uri": "s3://bucket/kept"}, **limits(2 * HOUR)},
            {"priority": 1, "preemptible": True},
            duration=5 * HOUR,
            checkpoint_every=60,
        )
        await world.until_moment(3 * HOUR)
        urgent = await world.submit("urgent", limits(), URGENT, duration=HOUR)
        assert (await world.over(urgent.arn)).secondary is _S.COMPLETED
        await world.until(low.arn, lambda found: found.secondary is _S.TRAINING)
        await world.submit("long", limits(), URGENT, duration=9 * HOUR)
        stopped = await world.over(low.arn)
        assert stopped.secondary is _S.STOPPED
        waited = stopped.transitions[-1].start - stopped.past[-1].ended
        assert 7200 <= waited.total_seconds() < 7201

    in_a_small_world(story)


def test_nodes_wait_for_their_next_job_as_long_as_it_says_and_no_longer() -> None:
    async def story(world: World) -> None:
        first = await world.submit("first", kept(HOUR), duration=60)
        await world.until_moment(HOUR)
        second = await world.submit("second", kept(600), duration=60)
        done = await world.until(second.arn, lambda found: found.over)
        assert done.attempt is not None
        assert (done.attempt.pool, done.attempt.pool_chain) == (first.arn, f"{first.id}.1")
        over = await world.over(second.arn)
        assert over.pool is not None
        assert over.pool.status is WarmPoolStatus.TERMINATED
        assert over.pool.ended == over.pool.since + (over.pool.until - over.pool.since)
        assert (over.pool.until - over.pool.since).total_seconds() == 600
        third = await world.submit("third", kept(600), duration=60)
        cold = await world.until(third.arn, lambda found: found.attempt is not None)
        assert cold.attempt is not None
        assert (cold.attempt.pool, cold.attempt.pool_chain) == ("", f"{third.id}.1")

    in_a_small_world(story)
