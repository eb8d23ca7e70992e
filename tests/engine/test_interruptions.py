"""What the engine decides when nodes are taken away: spot, preemption, drills, lost peers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.names import hosts
from trainshed.domain.training import (
    Attempt,
    AttemptEnd,
    Drill,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.engine.scheduling import Admission
from trainshed.engine.training import Decision, Seen, decide
from trainshed.testing.jobs import NOON, facts, job

LATER = NOON + timedelta(minutes=1)
S = SecondaryStatus
SPOT = {
    "EnableManagedSpotTraining": True,
    "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
}
NOTICE = (Kind.NOTICE, {"deadline": LATER.timestamp(), "reason": "spot"})


def ended(outcome: Outcome, reason: str = "") -> tuple[Kind, dict[str, Any]]:
    return Kind.ENDED, {"outcome": outcome.value, "reason": reason}


def running(nodes: int = 1, **members: Any) -> TrainingJob:
    handles = {host: f"node-{host}" for host in hosts(nodes)}
    attempt = Attempt(number=1, backend="local", started=NOON, handles=handles)
    return replace(job(nodes=nodes, **members), attempt=attempt, attempts=1)


def seen(*journals: tuple[Fact, ...], now: datetime = LATER, **absent: frozenset[str]) -> Seen:
    told = dict(zip(hosts(len(journals)), journals, strict=True))
    return Seen(now=now, backend="local", facts=told, **absent)


def settled(decision: Decision, look: Seen) -> tuple[TrainingJob, list[Decision]]:
    """Return the job after looking until nothing changes, and all that was decided."""
    decisions = [decision]
    while (following := decide(decisions[-1].job, look)).job != decisions[-1].job:
        decisions.append(following)
    return decisions[-1].job, decisions


def admitted(job: TrainingJob, look: Seen) -> TrainingJob:
    return decide(job, replace(look, admission=Admission(admitted=True))).job


def test_an_interrupted_spot_job_waits_in_line_and_gets_its_next_attempt() -> None:
    kept = (Kind.CHECKPOINT, {"kept_at": NOON.timestamp() + 5, "files": 1, "bytes": 1})
    look = seen(
        facts(Kind.STARTED, Kind.TRAINING, NOTICE, kept, ended(Outcome.INTERRUPTED, "spot"))
    )
    waiting, decisions = settled(decide(running(**SPOT), look), look)
    assert waiting.secondary is S.INTERRUPTED
    assert waiting.attempt is None
    assert [each.retire is not None for each in decisions] == [False, True, False]
    (past,) = waiting.past
    assert (past.number, past.end, past.reason) == (1, AttemptEnd.INTERRUPTED, "spot")
    assert past.trained_from == NOON + timedelta(seconds=2)
    assert past.kept_at == datetime.fromtimestamp(NOON.timestamp() + 5, UTC)
    again = admitted(waiting, look)
    assert again.attempt is not None
    assert again.attempt.number == 2
    assert [each.status for each in again.transitions] == [
        *(S.STARTING, S.TRAINING, S.INTERRUPTED, S.STARTING)
    ]


def test_an_end_that_was_told_before_the_nodes_were_removed_is_one() -> None:
    lost = seen(facts(Kind.TRAINING), taken={"algo-1": ""})
    given_up = decide(running(**SPOT), lost).job
    assert given_up.secondary is S.TRAINING
    told = facts(Kind.TRAINING, Kind.EXITED, Kind.UPLOADING, ended(Outcome.COMPLETED))
    over, _ = settled(decide(given_up, seen(told)), seen(told))
    assert over.secondary is S.COMPLETED


def test_what_an_interrupted_job_waits_for_stands_in_its_status() -> None:
    look = seen(facts(Kind.TRAINING, NOTICE, ended(Outcome.INTERRUPTED, "spot")))
    waiting, _ = settled(decide(running(**SPOT), look), look)
    full = Admission(admitted=False, reason="no room")
    told = decide(waiting, replace(look, admission=full)).job
    assert told.secondary is S.INTERRUPTED
    assert told.transitions[-1].message == "Training job interrupted: spot. no room"


def test_a_job_whose_wait_is_over_is_stopped_with_that_as_its_status() -> None:
    late = NOON + timedelta(seconds=7200)
    waiting = replace(running(**SPOT), attempt=None)
    over = decide(waiting, seen(now=late)).job
    assert over.secondary is S.MAX_WAIT_TIME_EXCEEDED
    look = seen(facts(Kind.TRAINING), now=late)
    stopping = decide(running(**SPOT), look)
    assert stopping.job.secondary is S.STOPPING
    assert stopping.stop == {"algo-1": 1}
    end = facts(Kind.TRAINING, Kind.STOPPING, Kind.EXITED, Kind.UPLOADING, ended(Outcome.STOPPED))
    over = decide(stopping.job, seen(end, now=late)).job
    assert over.secondary is S.MAX_WAIT_TIME_EXCEEDED


def test_a_waiting_spot_job_is_looked_at_when_its_time_is_over() -> None:
    assert decide(job(**SPOT), seen()).look_at == NOON + timedelta(seconds=7200)


def test_a_notice_on_one_node_has_all_others_save_their_work() -> None:
    decision = decide(running(3, **SPOT), seen(facts(Kind.TRAINING, NOTICE), (), ()))
    assert decision.interrupt == {"algo-2": None, "algo-3": None}
    assert decision.stop == {}


def test_a_node_that_was_taken_has_all_others_save_their_work() -> None:
    look = seen(facts(Kind.TRAINING), facts(Kind.TRAINING), taken={"algo-2": ""})
    decision = decide(running(2, **SPOT), look)
    assert decision.interrupt == {"algo-1": None}


def test_peers_without_checkpoints_are_not_waited_for_long() -> None:
    without = {**SPOT}
    del without["CheckpointConfig"]
    look = seen(facts(Kind.TRAINING), facts(Kind.TRAINING), taken={"algo-2": ""})
    assert decide(running(2, **without), look).interrupt == {"algo-1": 3.0}


def test_peers_that_fail_after_a_node_was_taken_are_not_blamed() -> None:
    failed = facts(
        Kind.TRAINING,
        (Kind.EXITED, {"exit_code": 1, "reason": "AlgorithmError: connection reset"}),
        ended(Outcome.FAILED, "AlgorithmError: connection reset"),
        start=20,
    )
    look = seen(failed, facts(Kind.TRAINING), taken={"algo-2": ""})
    waiting, _ = settled(decide(running(2, **SPOT), look), look)
    assert waiting.secondary is S.INTERRUPTED


def test_a_program_that_failed_before_a_node_was_lost_is_blamed() -> None:
    failed = facts(
        Kind.TRAINING,
        (Kind.EXITED, {"exit_code": 1, "reason": "AlgorithmError: mine"}),
        ended(Outcome.FAILED, "AlgorithmError: mine"),
    )
    look = seen(failed, facts(Kind.TRAINING, start=30), taken={"algo-2": ""})
    over, _ = settled(decide(running(2, **SPOT), look), look)
    assert over.secondary is S.FAILED
    assert over.failure_reason == "AlgorithmError: mine (algo-1)"


@pytest.mark.parametrize(("retries", "goes_on"), [(0, False), (1, True)])
def test_without_spot_a_node_that_is_taken_costs_a_retry(retries: int, goes_on: bool) -> None:
    strategy = {"RetryStrategy": {"MaximumRetryAttempts": retries}} if retries else {}
    look = seen(facts(Kind.TRAINING), taken={"algo-1": ""})
    after, _ = settled(decide(running(**strategy), look), look)
    assert (after.secondary is S.INTERRUPTED) is goes_on
    if not goes_on:
        assert after.failure_reason is not None
        assert "EnableManagedSpotTraining" in after.failure_reason


def test_a_preempted_job_saves_waits_and_uses_up_no_retry() -> None:
    chosen = running(CheckpointConfig=SPOT["CheckpointConfig"])
    assert chosen.attempt is not None
    chosen = replace(chosen, attempt=replace(chosen.attempt, preempted_for="arn:x/urgent"))
    assert decide(chosen, seen(facts(Kind.TRAINING))).interrupt == {"algo-1": None}
    told = replace(chosen, attempt=replace(chosen.attempt, interrupted=("algo-1",)))  # type: ignore[type-var]
    assert decide(told, seen(facts(Kind.TRAINING))).interrupt == {}
    look = seen(facts(Kind.TRAINING, NOTICE, ended(Outcome.INTERRUPTED, "urgent goes first")))
    waiting, _ = settled(decide(told, look), look)
    assert waiting.past[0].end is AttemptEnd.PREEMPTED
    assert waiting.secondary is S.INTERRUPTED


def test_a_drill_takes_the_node_that_it_names_once() -> None:
    drill = Drill(wished=LATER, notice=30.0, attempt=1, host="algo-2")
    drilled = replace(running(2, **SPOT), drill=drill)
    look = seen(facts(Kind.TRAINING), facts(Kind.TRAINING))
    assert decide(drilled, look).interrupt == {"algo-2": 30.0}
    assert decide(replace(drilled, drill=replace(drill, told=True)), look).interrupt == {}
    assert decide(replace(drilled, drill=replace(drill, attempt=2)), look).interrupt == {}


def test_a_stop_that_was_asked_for_wins_over_an_interruption() -> None:
    wished = replace(running(**SPOT), stop_wish=NOON)
    look = seen(facts(Kind.TRAINING, NOTICE, ended(Outcome.INTERRUPTED, "spot")))
    over, _ = settled(decide(wished, look), look)
    assert over.secondary is S.STOPPED


def test_a_place_without_room_sends_the_job_back_into_the_line_with_a_new_number() -> None:
    launching = replace(running(), attempt=replace(running().attempt, handles={}))  # type: ignore[type-var]
    look = replace(seen(), no_room="all ml.p3.2xlarge are taken")
    waiting, decisions = settled(decide(launching, look), replace(look, no_room=""))
    assert decisions[1].retire is not None
    assert waiting.secondary is S.PENDING
    assert waiting.past == ()
    assert "ml.p3.2xlarge" in waiting.transitions[-1].message
    again = admitted(waiting, look)
    assert again.attempt is not None
    assert again.attempt.number == 2
