"""What becomes of a TrainingJob object that is deleted."""

import pytest
from tests.operator.world import (
    DIGITS,
    EUROPE,
    PATIENCE,
    World,
    conditions,
    foreign,
    manifest,
    submitted,
)

from trainshed.operator.kinds.base import FINALIZER, SPAWNED_FINALIZER
from trainshed.operator.objects import Key


@pytest.fixture
def world() -> World:
    return World()


def test_deleting_an_object_whose_name_was_taken_leaves_the_other_job_alone(world: World) -> None:
    job = foreign(world, "mine")
    world.cluster.make(manifest(trainingJobName="mine"))
    world.settle(DIGITS)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
    assert job.status == "InProgress"


def test_a_deleted_object_stays_until_its_job_has_stopped(world: World) -> None:
    name = submitted(world)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.get(DIGITS).status["trainingJobStatus"] == "Stopping"
    world.service.job(name).end("Stopped")
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
    assert world.service.job(name).stops == 1


def test_an_object_goes_at_once_when_its_job_is_over(world: World) -> None:
    name = submitted(world)
    world.service.job(name).end("Completed")
    world.settle(DIGITS)
    calls = len(world.service.calls)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
    assert len(world.service.calls) == calls


@pytest.mark.parametrize(("policy", "event"), [("Retain", ["Retained"]), ("Abandon", [])])
def test_a_job_may_outlive_its_object(world: World, policy: str, event: list[str]) -> None:
    name = submitted(world, deletionPolicy=policy)
    world.service.away = True
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
    assert world.service.job(name).status == "InProgress"
    assert world.reasons() == ["Created", *event]


def test_a_deletion_waits_for_an_absent_service_only_for_a_while(world: World) -> None:
    submitted(world)
    world.service.away = True
    world.cluster.delete(DIGITS, world.now)
    outcome = world.settle(DIGITS)
    assert outcome.retry
    assert outcome.look_at == world.now + PATIENCE
    assert conditions(world.get(DIGITS)) == {}
    world.now += PATIENCE
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
    assert world.reasons() == ["Created", "ServiceUnreachable", "NotStopped"]


def test_a_deletion_waits_for_a_job_that_will_not_end_only_for_a_while(world: World) -> None:
    name = submitted(world)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    world.now += PATIENCE
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
    assert world.service.job(name).status == "Stopping"
    assert world.reasons()[-1] == "NotAwaited"


def test_a_job_that_somebody_deleted_is_told_and_not_created_again(world: World) -> None:
    name = submitted(world)
    del world.service.jobs[EUROPE, name]
    world.settle(DIGITS)
    assert conditions(world.get(DIGITS)) == {"Stalled": "JobMissing"}
    world.settle(DIGITS)
    assert world.service.made == [name]
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None


def test_a_job_spawned_by_the_first_operators_tuning_can_be_deleted(world: World) -> None:
    spawned = manifest(trainingJobName="trial")
    spawned["metadata"]["finalizers"] = [SPAWNED_FINALIZER, FINALIZER]
    world.cluster.make(spawned)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None


def test_another_kinds_object_of_the_first_operator_can_be_deleted(world: World) -> None:
    key = Key("models", "default", "resnet")
    meta = {"name": "resnet", "finalizers": [FINALIZER]}
    world.cluster.make({"metadata": meta, "status": {"sageMakerModelName": "m"}}, "models")
    world.cluster.delete(key, world.now)
    world.settle(key)
    assert world.cluster.look(key) is None
    assert world.reasons() == ["LeftBehind"]


def test_a_job_that_was_created_just_before_a_crash_is_stopped_by_a_deletion(world: World) -> None:
    world.cluster.make(manifest())
    world.dies_after = 8
    world.reconcile_seen(DIGITS)
    assert world.points[-1] == "operator.CreateTrainingJob.after"
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    [name] = world.service.made
    assert world.service.job(name).stops == 1


def test_what_was_never_asked_of_a_service_holds_no_deletion_up(world: World) -> None:
    world.service.away = True
    world.cluster.make(manifest(sageMakerEndpoint="http://nowhere"))
    world.settle(DIGITS)
    world.cluster.delete(DIGITS, world.now)
    world.settle(DIGITS)
    assert world.cluster.look(DIGITS) is None
