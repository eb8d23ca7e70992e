"""How nodes are kept warm for the next job, and let go."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from trainshed.domain.facts import Kind, Outcome
from trainshed.domain.training import (
    Attempt,
    SecondaryStatus,
    TrainingJob,
    WarmPoolStatus,
)
from trainshed.engine import warm
from trainshed.engine.scheduling import Admission
from trainshed.engine.training import Seen, decide
from trainshed.testing.jobs import NOON, facts, job

LATER = NOON + timedelta(minutes=1)


def running(keep_alive: int = 600, **members: Any) -> TrainingJob:
    resources = {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 10,
        "KeepAlivePeriodInSeconds": keep_alive,
    }
    attempt = Attempt(number=1, backend="local", started=NOON, handles={"algo-1": "node"})
    return replace(job(ResourceConfig=resources, **members), attempt=attempt)


def over(outcome: Outcome, reason: str = "", **members: Any) -> TrainingJob:
    end = (Kind.ENDED, {"outcome": outcome.value, "reason": reason})
    look = Seen(now=LATER, backend="local", facts={"algo-1": facts(Kind.TRAINING, end)})
    return decide(running(**members), look).job


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.COMPLETED, ""),
        (Outcome.STOPPED, ""),
        (Outcome.FAILED, "AlgorithmError: mine"),
        (Outcome.FAILED, "ClientError: mine"),
    ],
)
def test_nodes_are_kept_after_an_end_that_is_no_fault_of_theirs(
    outcome: Outcome, reason: str
) -> None:
    kept = over(outcome, reason)
    assert kept.pool is not None
    assert kept.pool.status is WarmPoolStatus.AVAILABLE
    assert kept.training_end is not None
    assert kept.pool.until == kept.training_end + timedelta(seconds=600)
    assert not replace(kept, cleaned=True).settled


def test_nodes_are_let_go_after_a_fault_of_the_platform() -> None:
    assert over(Outcome.LOST, "InternalServerError: gone").pool is None


@pytest.mark.parametrize(
    "taken",
    [{"preempted_for": "arn:urgent"}, {"interrupted": ("algo-1",)}],
    ids=["preempted", "drilled"],
)
def test_nodes_are_not_kept_that_were_being_taken(taken: dict[str, Any]) -> None:
    started = running()
    assert started.attempt is not None
    end = (Kind.ENDED, {"outcome": "completed", "reason": ""})
    look = Seen(now=LATER, backend="local", facts={"algo-1": facts(Kind.TRAINING, end)})
    done = decide(replace(started, attempt=replace(started.attempt, **taken)), look).job
    assert done.secondary is SecondaryStatus.COMPLETED
    assert done.pool is None


def test_a_job_begins_a_chain_of_its_own_or_goes_on_with_that_of_its_nodes() -> None:
    waiting = replace(running(), attempt=None)
    new = decide(waiting, Seen(now=LATER, backend="local", admission=Admission(admitted=True))).job
    assert new.attempt is not None
    assert new.attempt.pool_chain == f"{waiting.id}.1"
    taken_over = Admission(admitted=True, pool="arn:x", pool_began=NOON, pool_chain="cafe.3")
    for keep_alive in (600, 0):
        found = replace(running(keep_alive), attempt=None)
        next_one = decide(found, Seen(now=LATER, backend="local", admission=taken_over)).job
        assert next_one.attempt is not None
        assert next_one.attempt.pool_chain == "cafe.3"
    plain = decide(
        replace(running(0), attempt=None),
        Seen(now=LATER, backend="local", admission=Admission(admitted=True)),
    ).job
    assert plain.attempt is not None
    assert plain.attempt.pool_chain == ""


def test_nothing_is_kept_that_nobody_asked_for() -> None:
    assert over(Outcome.COMPLETED, keep_alive=0).pool is None


def test_idle_nodes_are_let_go_when_their_time_is_over() -> None:
    kept = over(Outcome.COMPLETED)
    assert kept.pool is not None
    before = Seen(now=kept.pool.until - timedelta(seconds=1), backend="local")
    assert decide(kept, before).job == kept
    assert decide(kept, before).look_at == kept.pool.until
    let_go = decide(kept, replace(before, now=kept.pool.until)).job
    assert let_go.pool is not None
    assert let_go.pool.status is WarmPoolStatus.TERMINATED
    assert let_go.pool.ended == kept.pool.until
    # What they kept is deleted only now; the job is not settled before that.
    kept = replace(kept, cleaned=True)
    decision = decide(kept, replace(before, now=let_go.pool.until))
    assert decision.clean
    assert not decision.job.cleaned
    assert replace(let_go, cleaned=True).settled


def test_a_chain_of_pools_ends_after_seven_days() -> None:
    old = running()
    assert old.attempt is not None
    began = NOON - timedelta(days=7) + timedelta(minutes=2)
    reused = replace(old, attempt=replace(old.attempt, pool="arn:x", pool_began=began))
    done = replace(
        reused.moved_to(SecondaryStatus.FAILED, at=LATER),
        training_end=LATER,
        failure_reason="AlgorithmError: x",
    )
    kept = warm.kept(done)
    assert kept.pool is not None
    assert kept.pool.until == NOON + timedelta(minutes=2)
    assert kept.pool.chain_began == began


def test_a_pool_that_was_taken_over_names_who_has_it() -> None:
    taken = warm.reused(over(Outcome.COMPLETED), "arn:next", LATER)
    assert taken.pool is not None
    assert (taken.pool.status, taken.pool.reused_by) == (WarmPoolStatus.REUSED, "arn:next")
    assert taken.pool.ended == LATER
