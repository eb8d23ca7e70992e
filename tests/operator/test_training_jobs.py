"""What becomes of a TrainingJob object, step by step."""

import pytest
from tests.operator.world import (
    DIGITS,
    EUROPE,
    World,
    conditions,
    foreign,
    manifest,
    submitted,
)

from trainshed.operator.deciding.base import Trouble
from trainshed.operator.kinds.base import ADOPT_ANNOTATION, FINALIZER
from trainshed.operator.objects import Key


@pytest.fixture
def world() -> World:
    return World()


def test_a_manifest_becomes_a_job_of_the_old_operators_name(world: World) -> None:
    name = submitted(world)
    thing = world.get(DIGITS)
    assert name == f"digits-{thing.uid.replace('-', '')}"
    assert thing.spec["trainingJobName"] == name
    assert thing.finalizers == (FINALIZER,)
    assert thing.status["trainingJobStatus"] == "InProgress"
    assert thing.status["secondaryStatus"] == "Starting"
    assert world.service.job(name).uid == thing.uid
    assert world.reasons() == ["Created"]
    assert conditions(thing) == {"Synced": "Followed"}


def test_the_name_and_the_intent_are_written_before_the_job_is_created(world: World) -> None:
    submitted(world)
    order = [point for point in world.points if point.endswith(".after")]
    assert order[:4] == [
        "operator.metadata.after",
        "operator.DescribeTrainingJob.after",
        "operator.status.after",
        "operator.CreateTrainingJob.after",
    ]


def test_a_job_is_awaited_from_before_it_is_created_on(world: World) -> None:
    submitted(world)
    points = world.points.index("operator.CreateTrainingJob.before") + 1
    other = World()
    other.cluster.make(manifest())
    other.see()
    other.dies_after = points
    other.reconcile(DIGITS)
    thing = other.get(DIGITS)
    assert "sageMakerTrainingJobName" not in thing.status
    assert list(other.cache.awaiting(EUROPE)) == [thing.spec["trainingJobName"]]


def test_nothing_is_written_or_asked_when_nothing_changed(world: World) -> None:
    name = submitted(world)
    world.service.job(name).end("Completed")
    world.settle(DIGITS)
    writes, calls = world.cluster.writes, len(world.service.calls)
    for _ in range(3):
        world.settle(DIGITS)
    assert (world.cluster.writes, len(world.service.calls)) == (writes, calls)


@pytest.mark.parametrize(
    ("end", "truths", "events"),
    [
        ("Completed", {"Ready", "Finished", "Completed", "Synced"}, ["Created", "Completed"]),
        ("Failed", {"Finished", "Failed", "Synced"}, ["Created", "Failed"]),
        ("Stopped", {"Finished", "Stopped", "Synced"}, ["Created", "Stopped"]),
    ],
)
def test_an_end_is_told_by_conditions_and_by_one_event(
    world: World, end: str, truths: set[str], events: list[str]
) -> None:
    name = submitted(world)
    world.service.job(name).end(end, "AlgorithmError: it broke" if end == "Failed" else "")
    world.settle(DIGITS)
    world.restart()
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert set(conditions(thing)) == truths
    assert thing.status["trainingJobStatus"] == end
    assert thing.status.get("additional") == (
        "AlgorithmError: it broke" if end == "Failed" else None
    )
    assert world.reasons() == events
    assert ("modelPath" in thing.status) == (end == "Completed")


def test_a_transition_keeps_its_time_while_only_words_change(world: World) -> None:
    name = submitted(world)
    before = {c["type"]: c["lastTransitionTime"] for c in world.get(DIGITS).status["conditions"]}
    world.later(minutes=5)
    world.service.job(name).secondary = "Training"
    world.settle(DIGITS)
    after = {c["type"]: c["lastTransitionTime"] for c in world.get(DIGITS).status["conditions"]}
    assert after == before


def test_a_refused_spec_stalls_and_is_tried_again_once_it_is_edited(world: World) -> None:
    world.service.refuses = "1 validation error detected: RoleArn"
    world.cluster.make(manifest())
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert conditions(thing) == {"Stalled": "SpecRefused"}
    assert "RoleArn" in thing.status["additional"]
    assert world.reasons() == ["SpecRefused"]
    calls = len(world.service.calls)
    world.settle(DIGITS)
    world.restart()
    world.settle(DIGITS)
    assert len(world.service.calls) == calls
    world.service.refuses = ""
    world.cluster.edit(DIGITS, {"spec": {"roleArn": "arn:aws:iam::123456789012:role/other"}})
    world.settle(DIGITS)
    assert conditions(world.get(DIGITS)) == {"Synced": "Followed"}
    assert len(world.service.made) == 1


def test_a_spec_that_cannot_be_sent_names_its_members(world: World) -> None:
    world.cluster.make(manifest(hyperParameters=[{"name": "lr", "value": 3}]))
    world.settle(DIGITS)
    stalled = world.get(DIGITS).condition("Stalled")
    assert stalled is not None
    assert "spec.hyperParameters.lr" in stalled["message"]
    assert "CreateTrainingJob" not in world.service.calls


def test_an_edit_of_a_submitted_job_is_refused_by_name_and_taken_back(world: World) -> None:
    submitted(world)
    lr = [{"name": "lr", "value": "1"}]
    world.cluster.edit(DIGITS, {"spec": {"hyperParameters": lr, "region": "us-east-1"}})
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert conditions(thing) == {"Stalled": "EditRefused"}
    stalled = thing.condition("Stalled")
    assert stalled is not None
    assert "hyperParameters, region" in stalled["message"]
    assert world.reasons() == ["Created", "EditRefused"]
    assert len(world.service.made) == 1
    world.cluster.edit(DIGITS, {"spec": {"hyperParameters": None, "region": "eu-central-1"}})
    world.settle(DIGITS)
    assert conditions(world.get(DIGITS)) == {"Synced": "Followed"}


def test_conditions_tell_of_the_latest_generation_also_after_the_end(world: World) -> None:
    name = submitted(world)
    world.service.job(name).end("Completed")
    world.settle(DIGITS)
    world.cluster.edit(DIGITS, {"spec": {"deletionPolicy": "Retain"}})
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert thing.holds("Completed")
    assert {c["observedGeneration"] for c in thing.status["conditions"]} == {thing.generation}


def test_a_name_that_is_taken_is_told_and_adopted_only_on_request(world: World) -> None:
    job = foreign(world, "mine")
    world.cluster.make(manifest(trainingJobName="mine"))
    world.settle(DIGITS)
    assert conditions(world.get(DIGITS)) == {"Stalled": "NameInUse"}
    assert world.service.made == []
    world.cluster.edit(DIGITS, {"metadata": {"annotations": {ADOPT_ANNOTATION: "true"}}})
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert thing.status["sageMakerTrainingJobName"] == "mine"
    assert world.reasons() == ["NameInUse", "Adopted"]
    assert job.stops == 0


def test_an_object_with_a_name_of_its_own_knows_its_job_again(world: World) -> None:
    world.cluster.make(manifest(trainingJobName="mine"))
    world.dies_after = 8
    world.reconcile_seen(DIGITS)
    assert world.points[-1] == "operator.CreateTrainingJob.after"
    assert "sageMakerTrainingJobName" not in world.get(DIGITS).status
    world.settle(DIGITS)
    assert "ListTags" in world.service.calls
    assert world.get(DIGITS).status["sageMakerTrainingJobName"] == "mine"
    assert world.service.made == ["mine"]
    assert world.reasons() == ["Created"]


def test_spec_stop_stops_a_job_and_keeps_the_object(world: World) -> None:
    name = submitted(world)
    world.cluster.edit(DIGITS, {"spec": {"stop": True}})
    world.settle(DIGITS)
    assert world.service.job(name).stops == 1
    assert world.get(DIGITS).status["trainingJobStatus"] == "Stopping"
    world.service.job(name).end("Stopped")
    world.settle(DIGITS)
    assert conditions(world.get(DIGITS))["Stopped"] == "Stopped"
    assert world.reasons() == ["Created", "Stopping", "Stopped"]


def test_a_job_is_not_created_while_spec_stop_is_true(world: World) -> None:
    world.cluster.make(manifest(stop=True))
    world.settle(DIGITS)
    assert world.service.made == []
    assert conditions(world.get(DIGITS)) == {"Synced": "Held"}
    world.cluster.edit(DIGITS, {"spec": {"stop": False}})
    world.settle(DIGITS)
    assert len(world.service.made) == 1


def test_an_absent_service_is_told_once_and_the_job_follows(world: World) -> None:
    world.service.away = True
    world.cluster.make(manifest())
    world.settle(DIGITS)
    writes = world.cluster.writes
    for _ in range(5):
        assert world.settle(DIGITS).retry
    assert world.cluster.writes == writes
    assert world.reasons() == ["ServiceUnreachable"]
    world.service.away = False
    world.settle(DIGITS)
    assert conditions(world.get(DIGITS)) == {"Synced": "Followed"}
    assert world.reasons() == ["ServiceUnreachable", "Created"]


def test_an_object_of_the_first_operator_is_taken_over_as_it_is(world: World) -> None:
    foreign(world, "old").secondary = "Training"
    old = manifest(trainingJobName="old")
    old["metadata"]["finalizers"] = [FINALIZER]
    old["status"] = {
        "trainingJobStatus": "InProgress",
        "secondaryStatus": "Starting",
        "sageMakerTrainingJobName": "old",
    }
    world.cluster.make(old)
    world.settle(DIGITS)
    assert world.get(DIGITS).status["secondaryStatus"] == "Training"
    assert world.service.made == []


def test_a_name_that_was_taken_out_of_the_spec_comes_back(world: World) -> None:
    name = submitted(world)
    world.cluster.edit(DIGITS, {"spec": {"trainingJobName": None}})
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert thing.spec["trainingJobName"] == name
    assert conditions(thing) == {"Synced": "Followed"}


def test_other_kinds_say_that_they_are_not_run(world: World) -> None:
    key = Key("models", "default", "resnet")
    made = {"metadata": {"name": "resnet"}, "spec": {"region": "eu-central-1"}}
    world.cluster.make(made, "models")
    world.settle(key)
    thing = world.get(key)
    assert conditions(thing) == {"Stalled": "NotOffered"}
    assert thing.finalizers == ()
    assert "status" not in thing.status
    world.settle(key)
    assert world.reasons() == ["NotOffered"]
    world.cluster.delete(key, world.now)
    assert world.cluster.look(key) is None


def test_an_edit_before_anything_came_of_it_leads_to_where_it_says(world: World) -> None:
    world.service.away = True
    world.cluster.make(manifest(sageMakerEndpoint="http://nowhere"))
    world.settle(DIGITS)
    world.service.away = False
    world.cluster.edit(DIGITS, {"spec": {"sageMakerEndpoint": None}})
    world.settle(DIGITS)
    [(place, _)] = world.service.jobs
    assert place == EUROPE
    assert conditions(world.get(DIGITS)) == {"Synced": "Followed"}


def test_rules_of_the_debugger_are_followed_beyond_the_jobs_end(world: World) -> None:
    name = submitted(world)
    job = world.service.job(name)
    job.end("Completed")
    job.rules = "InProgress"
    world.settle(DIGITS)
    assert world.get(DIGITS).holds("Completed")
    assert world.cache.awaiting(EUROPE)
    job.rules = "NoIssuesFound"
    world.settle(DIGITS)
    [rule] = world.get(DIGITS).status["debugRuleEvaluationStatuses"]
    assert rule["ruleEvaluationStatus"] == "NoIssuesFound"
    assert not world.cache.awaiting(EUROPE)


def test_a_service_that_wants_fewer_requests_is_no_news_of_a_job_that_is_there(
    world: World,
) -> None:
    submitted(world)
    writes = world.cluster.writes
    world.service.away, world.service.trouble = True, Trouble("Throttled", "fewer requests")
    assert world.settle(DIGITS).retry
    assert world.cluster.writes == writes
    assert world.reasons() == ["Created"]


def test_an_end_stays_told_whatever_becomes_of_the_service(world: World) -> None:
    name = submitted(world)
    job = world.service.job(name)
    job.end("Completed")
    job.rules = "InProgress"
    world.settle(DIGITS)
    world.service.away = True
    world.settle(DIGITS)
    thing = world.get(DIGITS)
    assert set(conditions(thing)) == {"Ready", "Finished", "Completed"}
    world.service.away = False
    del world.service.jobs[EUROPE, name]
    world.settle(DIGITS)
    assert world.get(DIGITS).holds("Completed")
    assert world.reasons().count("Completed") == 1
