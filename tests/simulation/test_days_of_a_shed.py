"""The real engine and queue over hours and days, on virtual time."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from trainshed.domain.training import AttemptEnd, SecondaryStatus, TrainingJob
from trainshed.testing.simulation.clock import BEGINNING, VirtualClock, run
from trainshed.testing.simulation.options import Messages, SimulatedBackend
from trainshed.testing.simulation.world import World

KEPT = {"CheckpointConfig": {"S3Uri": "s3://bucket/kept"}}
_S = SecondaryStatus


def spot(wait: int = 86400, runtime: int = 36000, **members: Any) -> dict[str, Any]:
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": runtime, "MaxWaitTimeInSeconds": wait},
        **members,
    }


def in_a_world(story: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, {"sim": SimulatedBackend(**options)})
        async with world.engine():
            await story(world)

    run(main)


def seconds(job: TrainingJob) -> float:
    """Return how long after its creation a job was over."""
    return (job.transitions[-1].start - job.created).total_seconds()


def walked(job: TrainingJob) -> list[SecondaryStatus]:
    return [each.status for each in job.transitions]


def test_an_undisturbed_job_is_over_when_its_work_is_done() -> None:
    async def story(world: World) -> None:
        job = await world.submit("j", pull=20, download=60, duration=3600, upload=30)
        done = await world.over(job.arn)
        assert walked(done) == [
            _S.STARTING, _S.DOWNLOADING, _S.TRAINING, _S.UPLOADING, _S.COMPLETED,
        ]  # fmt: skip
        assert 3800 <= seconds(done) < 3801

    in_a_world(story, launch_seconds=90)


def test_a_spot_job_walks_the_services_way_and_does_its_work_once() -> None:
    """Taken back after 1000 s of work, 100 s of it since the last checkpoint, with a notice."""

    async def story(world: World) -> None:
        job = await world.submit(
            "j", spot(**KEPT), duration=3600, checkpoint_every=300, notice_after=1000, stop=10
        )
        done = await world.over(job.arn)
        assert walked(done) == [
            _S.STARTING, _S.DOWNLOADING, _S.TRAINING, _S.INTERRUPTED,
            _S.STARTING, _S.DOWNLOADING, _S.TRAINING, _S.UPLOADING, _S.COMPLETED,
        ]  # fmt: skip
        (past,) = done.past
        assert past.end is AttemptEnd.INTERRUPTED
        # 10 s to stop in, and what was worked until then is kept: nothing is done twice.
        assert 3610 <= seconds(done) < 3615

    in_a_world(story)


def test_without_notice_the_work_since_the_last_checkpoint_is_done_again() -> None:
    async def story(world: World) -> None:
        job = await world.submit(
            "j", spot(**KEPT), duration=3600, checkpoint_every=300, taken_after=1000
        )
        done = await world.over(job.arn)
        assert [each.end for each in done.past] == [AttemptEnd.INTERRUPTED]
        assert 3700 <= seconds(done) < 3705

    in_a_world(story)


def test_an_interrupted_job_waits_for_the_place_and_goes_on_when_there_is_room() -> None:
    """The place has an instance for two hours, none for four, and so on."""

    async def story(world: World) -> None:
        job = await world.submit(
            "j", spot(**KEPT), duration=3600, checkpoint_every=300, notice_after=5400 - 60, stop=0
        )
        filler = await world.submit("filler", duration=60)
        first = await world.over(filler.arn)
        done = await world.over(job.arn)
        assert first.secondary is done.secondary is _S.COMPLETED

    in_a_world(story, stock={"*": [2, 0, 0]}, stock_seconds=7200)


def test_who_meets_an_empty_place_starts_when_it_is_filled_again() -> None:
    async def story(world: World) -> None:
        await world.until_moment(3600)
        job = await world.submit("j", spot(), duration=600)
        done = await world.over(job.arn)
        # The stock comes back at three hours; the place is asked again now and then.
        assert 2 * 3600 + 600 <= seconds(done) < 2 * 3600 + 600 + 120
        assert done.past == ()

    in_a_world(story, stock={"*": [1, 0, 0]}, stock_seconds=3600)


def test_a_wait_that_takes_too_long_ends_as_the_service_ends_it() -> None:
    async def story(world: World) -> None:
        job = await world.submit("j", spot(wait=7200, runtime=3600), duration=600)
        done = await world.over(job.arn)
        assert done.secondary is _S.MAX_WAIT_TIME_EXCEEDED
        assert 7200 <= seconds(done) < 7210

    in_a_world(story, stock={"*": [0]})


def test_interruptions_without_end_use_up_the_wait() -> None:
    async def story(world: World) -> None:
        job = await world.submit(
            "j", spot(wait=7200, runtime=7200), duration=3600, notice_after=600, attempts=99, stop=5
        )
        done = await world.over(job.arn)
        assert done.secondary is _S.MAX_WAIT_TIME_EXCEEDED
        assert 7200 <= seconds(done) < 7210
        assert len(done.past) > 8

    in_a_world(story)


def test_lost_nodes_are_replaced_as_often_as_the_job_allows_and_not_once_more() -> None:
    async def story(world: World) -> None:
        twice = {"RetryStrategy": {"MaximumRetryAttempts": 2}}
        lucky = await world.submit("lucky", twice, duration=600, lost_after=60, attempts=2)
        unlucky = await world.submit("unlucky", twice, duration=600, lost_after=60, attempts=3)
        done, failed = await world.over(lucky.arn), await world.over(unlucky.arn)
        assert done.secondary is _S.COMPLETED
        assert [each.end for each in done.past] == [AttemptEnd.LOST] * 2
        assert failed.secondary is _S.FAILED
        assert (failed.failure_reason or "").startswith("InternalServerError")

    in_a_world(story)


def test_an_agent_that_died_is_replaced_and_the_job_knows_nothing_of_it() -> None:
    async def story(world: World) -> None:
        job = await world.submit("j", duration=600, agent_lost_after=60)
        done = await world.over(job.arn)
        assert done.secondary is _S.COMPLETED
        assert done.past == ()
        assert 600 <= seconds(done) < 605

    in_a_world(story)


def test_one_node_taken_away_interrupts_all_nodes_of_its_job() -> None:
    async def story(world: World) -> None:
        job = await world.submit(
            "j", {**spot(**KEPT), "nodes": 4}, duration=3600, checkpoint_every=100,
            notice_after=1000, host="algo-3", stop=5,
        )  # fmt: skip
        done = await world.over(job.arn)
        assert done.secondary is _S.COMPLETED
        assert [each.end for each in done.past] == [AttemptEnd.INTERRUPTED]
        assert seconds(done) < 3620

    in_a_world(story)


def test_a_job_that_is_stopped_while_it_waits_for_its_next_attempt_stops() -> None:
    async def story(world: World) -> None:
        job = await world.submit("j", spot(), duration=3600, taken_after=300)
        await world.until(job.arn, lambda found: found.secondary is _S.INTERRUPTED)
        await world.stop(job.arn)
        done = await world.over(job.arn)
        assert done.secondary is _S.STOPPED

    in_a_world(story, stock={"*": [1, 0, 0, 0]}, stock_seconds=600)


def test_a_server_that_was_killed_and_came_back_ends_every_job() -> None:
    async def main(clock: VirtualClock) -> None:
        place = SimulatedBackend(max_nodes=10, launch_seconds=20)
        world = World(clock, {"sim": place})
        arns = [(await world.submit(f"j-{n}", duration=100 + 7 * n)).arn for n in range(40)]
        for _ in range(30):
            async with world.engine():
                await world.until_moment(clock.seconds + 31)
            await world.until_moment(clock.seconds + 17)
        async with world.engine():
            done = [await world.over(arn) for arn in arns]
        assert {job.secondary for job in done} == {_S.COMPLETED}

    run(main)


def flood(jobs: int, checkpoint_every: float = 0.0, **options: Any) -> list[TrainingJob]:
    """Return how many jobs ended that were submitted at once."""

    async def main(clock: VirtualClock) -> list[TrainingJob]:
        world = World(clock, {"sim": SimulatedBackend(launch_seconds=45, **options)})
        async with world.engine(look_seconds=600.0):
            arns = []
            for n in range(jobs):
                asked = {**spot(wait=5 * 86400, runtime=3600), "nodes": 1 + n % 3 // 2}
                kept = {"CheckpointConfig": {"S3Uri": f"s3://bucket/{n}"}}
                members = {"duration": 300 + n % 7 * 60, "checkpoint_every": checkpoint_every}
                arns.append((await world.submit(f"j-{n}", {**asked, **kept}, **members)).arn)
            return [await world.over(arn) for arn in arns]

    return run(main)


def test_a_thousand_jobs_pass_fifty_nodes_and_leave_none_of_them_idle() -> None:
    done = flood(1000, max_nodes=50)
    assert {job.secondary for job in done} == {_S.COMPLETED}
    needed = sum((345 + n % 7 * 60) * (1 + n % 3 // 2) for n in range(1000)) / 50
    last = max(job.transitions[-1].start for job in done)
    assert (last - BEGINNING).total_seconds() < needed * 1.05


def test_a_place_full_of_trouble_loses_no_job_and_treats_them_alike_each_time() -> None:
    trouble = {
        "max_nodes": 20,
        "launch_failures": 0.05,
        "interruptions_per_hour": 2.0,
        "losses_per_hour": 0.5,
        "messages": Messages(lost=0.05, doubled=0.05, delay=2.0),
    }
    done = flood(100, 120, seed=1, **trouble)
    assert {job.secondary for job in done} == {_S.COMPLETED}
    ends = Counter(past.end for job in done for past in job.past)
    assert ends[AttemptEnd.INTERRUPTED] > 10
    assert ends[AttemptEnd.LOST] > 2
    assert done == flood(100, 120, seed=1, **trouble)
    assert done != flood(100, 120, seed=2, **trouble)
