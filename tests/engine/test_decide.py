"""What the engine decides, for every way in which nodes can fare."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.names import hosts
from trainshed.domain.training import MOVES, Attempt, SecondaryStatus, TrainingJob
from trainshed.engine.decision import Hopeless
from trainshed.engine.scheduling import Admission
from trainshed.engine.training import Decision, Seen, decide
from trainshed.testing.jobs import NOON, facts, job

LATER = NOON + timedelta(minutes=1)
S = SecondaryStatus


def ended(outcome: Outcome, reason: str = "") -> tuple[Kind, dict[str, Any]]:
    return Kind.ENDED, {"outcome": outcome.value, "reason": reason}


def exited(code: int, reason: str = "") -> tuple[Kind, dict[str, Any]]:
    return Kind.EXITED, {"exit_code": code, "oom": False, "reason": reason}


def running(nodes: int = 1, **members: Any) -> TrainingJob:
    attempt = Attempt(
        number=1, backend="local", started=NOON, handles={h: f"node-{h}" for h in hosts(nodes)}
    )
    return replace(job(nodes=nodes, **members), attempt=attempt)


def seen(
    *journals: tuple[Fact, ...],
    gone: frozenset[str] = frozenset(),
    taken: Mapping[str, str] = MappingProxyType({}),
    hopeless: Mapping[str, str] = MappingProxyType({}),
    waiting: Mapping[str, str] = MappingProxyType({}),
) -> Seen:
    return Seen(
        now=LATER,
        backend="local",
        facts=dict(zip(hosts(len(journals)), journals, strict=True)),
        gone=gone,
        taken=taken,
        hopeless={host: Hopeless(reason=why, since=LATER) for host, why in hopeless.items()},
        waiting=waiting,
    )


def statuses(decision: Decision) -> list[SecondaryStatus]:
    return [transition.status for transition in decision.job.transitions]


def test_a_job_that_is_admitted_gets_its_first_attempt_and_is_launched() -> None:
    admission = Admission(admitted=True)
    decision = decide(job(), Seen(now=LATER, backend="local", admission=admission))
    assert decision.launch
    assert decision.job.attempt == Attempt(number=1, backend="local", started=LATER)
    assert decision.job.transitions[-1].message == "Launching requested ML instances"


def test_a_job_that_must_wait_says_for_what() -> None:
    admission = Admission(admitted=False, reason="waiting for 2 nodes")
    decision = decide(job(), Seen(now=LATER, backend="local", admission=admission))
    assert not decision.launch
    assert decision.job.secondary is S.PENDING
    assert decision.job.transitions[-1].message == "waiting for 2 nodes"


def test_a_job_stopped_while_it_waits_never_launches() -> None:
    wished = replace(job(), stop_wish=LATER)
    decision = decide(wished, Seen(now=LATER, backend="local"))
    assert decision.job.secondary is S.STOPPED
    assert decision.job.attempt is None


def test_a_whole_good_run_passes_every_status_once_at_the_facts_own_times() -> None:
    journal = facts(
        Kind.STARTED,
        Kind.DOWNLOADING,
        Kind.TRAINING,
        exited(0),
        Kind.UPLOADING,
        ended(Outcome.COMPLETED),
    )
    decision = decide(running(), seen(journal))
    assert statuses(decision) == [S.STARTING, S.DOWNLOADING, S.TRAINING, S.UPLOADING, S.COMPLETED]
    training = decision.job.transitions[2]
    assert training.start == NOON + timedelta(seconds=3)
    assert training.end == NOON + timedelta(seconds=5)
    assert decision.job.training_start == NOON + timedelta(seconds=2)
    assert decision.job.training_end == NOON + timedelta(seconds=6)


def test_an_image_that_is_fetched_is_said_and_remembered() -> None:
    image = (Kind.IMAGE, {"id": "sha256:1", "digest": "sha256:2"})
    pulling = decide(running(), seen(facts(Kind.STARTED, Kind.PULLING))).job
    assert pulling.secondary is S.DOWNLOADING
    assert pulling.transitions[-1].message == "Downloading the training image"
    assert pulling.training_start is not None
    known = decide(pulling, seen(facts(Kind.STARTED, Kind.PULLING, image, Kind.DOWNLOADING))).job
    assert known.transitions[-1].message == "Downloading input data"
    assert known.image_digest == "sha256:2"
    assert [each.status for each in known.transitions].count(S.DOWNLOADING) == 1


def test_a_failing_script_fails_the_job_with_its_reason() -> None:
    reason = "AlgorithmError: ValueError: bad data, exit code: 1"
    journal = facts(Kind.TRAINING, exited(1, reason), Kind.UPLOADING, ended(Outcome.FAILED, reason))
    decision = decide(running(), seen(journal))
    assert decision.job.secondary is S.FAILED
    assert decision.job.failure_reason == reason


def test_when_one_node_fails_the_others_are_stopped_and_the_reason_names_it() -> None:
    reason = "AlgorithmError: , exit code: 1"
    bad = facts(Kind.TRAINING, exited(1, reason))
    good = facts(Kind.TRAINING)
    at_once = replace(seen(good, bad), now=NOON + timedelta(seconds=3))
    assert dict(decide(running(2), at_once).stop) == {"algo-1": 1}
    assert dict(decide(running(2), seen(good, bad)).stop)["algo-1"] == 2
    bad = facts(Kind.TRAINING, exited(1, reason), Kind.UPLOADING, ended(Outcome.FAILED, reason))
    good = facts(
        Kind.TRAINING,
        (Kind.STOPPING, {"reason": "asked"}),
        exited(143),
        Kind.UPLOADING,
        ended(Outcome.STOPPED),
    )
    decision = decide(running(2), seen(good, bad))
    assert decision.job.secondary is S.FAILED
    assert decision.job.failure_reason == f"{reason} (algo-2)"


def test_the_node_that_failed_first_gives_the_reason() -> None:
    first = facts(Kind.TRAINING, exited(1), ended(Outcome.FAILED, "first"), start=1)
    second = facts(Kind.TRAINING, exited(1), ended(Outcome.FAILED, "second"), start=9)
    decision = decide(running(2), seen(second, first))
    assert decision.job.failure_reason == "first (algo-2)"


BROKEN = "AlgorithmError: RuntimeError: Connection closed by peer [10.0.0.2]:13014, exit code: 1"
CAUSE = 'AlgorithmError: ErrorMessage "ValueError: the data of rank 1 is no data", exit code: 1'


def failed_so(reason: str, start: int) -> tuple[Fact, ...]:
    return facts(Kind.TRAINING, exited(1, reason), ended(Outcome.FAILED, reason), start=start)


def asked_to_stop(reason: str, code: int = 1) -> tuple[Fact, ...]:
    asked = (Kind.STOPPING, {"reason": "asked"})
    return facts(Kind.TRAINING, asked, exited(code, reason), ended(Outcome.STOPPED), start=9)


def test_who_only_missed_a_peer_is_passed_over_although_it_failed_first() -> None:
    decision = decide(running(2), seen(failed_so(BROKEN, 1), failed_so(CAUSE, 9)))
    assert decision.job.failure_reason == f"{CAUSE} (algo-2)"


def test_a_program_that_was_failing_when_it_was_asked_to_stop_gives_the_reason() -> None:
    decision = decide(running(2), seen(failed_so(BROKEN, 1), asked_to_stop(CAUSE)))
    assert decision.job.secondary is S.FAILED
    assert decision.job.failure_reason == f"{CAUSE} (algo-2)"


@pytest.mark.parametrize(
    "other",
    [
        asked_to_stop("", 0),
        asked_to_stop("AlgorithmError: , exit code: 143", 143),
        asked_to_stop("AlgorithmError: , exit code: 1"),
        asked_to_stop('AlgorithmError: ExecuteUserScriptError:\nErrorMessage ""', 1),
        asked_to_stop("AlgorithmError: SignalException: Process 7 got signal: 15, exit code: 1"),
        asked_to_stop("AlgorithmError: KeyboardInterrupt, exit code: 1"),
        asked_to_stop(BROKEN),
        failed_so(BROKEN, 9),
    ],
)
def test_who_tells_no_more_is_not_blamed_for_what_a_peer_said_first(
    other: tuple[Fact, ...],
) -> None:
    decision = decide(running(2), seen(failed_so(BROKEN, 1), other))
    assert decision.job.failure_reason == f"{BROKEN} (algo-1)"


@pytest.mark.parametrize("reason", ["AlgorithmError: , exit code: 1", "ClientError: no such data"])
def test_a_program_that_was_asked_to_stop_is_not_blamed_where_another_failed_of_itself(
    reason: str,
) -> None:
    decision = decide(running(2), seen(failed_so(reason, 1), asked_to_stop(CAUSE)))
    assert decision.job.failure_reason == f"{reason} (algo-1)"


def test_the_last_node_is_told_not_to_wait_for_peers_that_ended_badly() -> None:
    leader = facts(Kind.TRAINING, exited(0), Kind.UPLOADING)
    peer = facts(Kind.STARTED, ended(Outcome.FAILED, "ClientError: no data"))
    assert dict(decide(running(2), seen(leader, peer)).stop) == {"algo-1": 2}


def test_a_stop_wish_stops_every_node_and_ends_as_stopped() -> None:
    wished = replace(running(2).moved_to(S.STOPPING, at=LATER), stop_wish=LATER)
    decision = decide(wished, seen(facts(Kind.TRAINING), facts(Kind.TRAINING)))
    assert dict(decision.stop) == {"algo-1": 1, "algo-2": 1}
    journal = facts(
        Kind.TRAINING,
        (Kind.STOPPING, {"reason": "asked"}),
        exited(143),
        Kind.UPLOADING,
        ended(Outcome.STOPPED),
    )
    decision = decide(wished, seen(journal, journal))
    assert decision.job.secondary is S.STOPPED
    assert decision.job.failure_reason is None


def test_a_stop_wish_is_told_to_nodes_that_have_exited_and_deliver() -> None:
    wished = replace(running(2), stop_wish=LATER)
    delivers = facts(Kind.TRAINING, exited(0), Kind.UPLOADING)
    assert dict(decide(wished, seen(delivers, delivers)).stop) == {"algo-1": 1, "algo-2": 1}
    limit = facts(
        Kind.TRAINING, (Kind.STOPPING, {"reason": "max_runtime"}), exited(0), Kind.UPLOADING
    )
    assert dict(decide(running(), seen(limit)).stop) == {}


def test_a_script_that_ends_well_in_its_grace_time_is_stopped_all_the_same() -> None:
    wished = replace(running().moved_to(S.STOPPING, at=LATER), stop_wish=LATER)
    journal = facts(Kind.TRAINING, exited(0), Kind.UPLOADING, ended(Outcome.COMPLETED))
    assert decide(wished, seen(journal)).job.secondary is S.STOPPED


def test_the_time_limit_ends_a_job_as_max_runtime_exceeded() -> None:
    journal = facts(
        Kind.TRAINING,
        (Kind.STOPPING, {"reason": "max_runtime"}),
        exited(143),
        Kind.UPLOADING,
        ended(Outcome.STOPPED),
    )
    decision = decide(running(), seen(journal))
    assert statuses(decision) == [S.STARTING, S.TRAINING, S.STOPPING, S.MAX_RUNTIME_EXCEEDED]


def test_a_vanished_agent_is_started_over_its_journal_a_few_times_then_the_job_fails() -> None:
    current = running()
    for relaunches in (1, 2, 3):
        decision = decide(current, seen(facts(Kind.TRAINING), gone=frozenset({"algo-1"})))
        assert decision.launch
        assert decision.job.attempt is not None
        assert decision.job.attempt.relaunches == relaunches
        current = decision.job
    decision = decide(current, seen(facts(Kind.TRAINING), gone=frozenset({"algo-1"})))
    for _ in ("its nodes are removed", "it fails"):
        decision = decide(decision.job, seen(facts(Kind.TRAINING)))
    assert decision.job.secondary is S.FAILED
    assert decision.job.failure_reason is not None
    assert decision.job.failure_reason.startswith("InternalServerError: the agent on algo-1")


def test_an_agent_that_left_after_its_last_fact_is_not_missed() -> None:
    journal = facts(Kind.TRAINING, exited(0), Kind.UPLOADING, ended(Outcome.COMPLETED))
    decision = decide(running(), seen(journal, gone=frozenset({"algo-1"})))
    assert decision.job.secondary is S.COMPLETED


def test_a_lost_node_is_tried_again_as_often_as_the_retry_strategy_allows() -> None:
    lost = facts(Kind.TRAINING, ended(Outcome.LOST, "InternalServerError: gone"))
    patient = running(RetryStrategy={"MaximumRetryAttempts": 1})
    decision = decide(patient, seen(lost))
    assert decision.job.attempt is not None
    assert decision.retire is None, "what is not yet written down as over is not removed"
    decision = decide(decision.job, seen(lost))
    assert decision.retire is not None
    decision = decide(decision.job, seen(lost))
    assert statuses(decision) == [S.STARTING, S.TRAINING, S.INTERRUPTED]
    assert decision.job.attempt is None
    admission = Admission(admitted=True)
    decision = decide(decision.job, replace(seen(), admission=admission))
    assert decision.launch
    assert decision.job.attempt is not None
    assert decision.job.attempt.number == 2
    again = replace(decision.job, attempt=replace(decision.job.attempt, handles={"algo-1": "n"}))
    assert decide(again, seen(lost)).job.secondary is S.FAILED


def test_an_end_told_before_the_handles_were_stored_waits_for_them() -> None:
    """They are how the nodes are removed; launching finds them again."""
    whole = facts(Kind.TRAINING, exited(0), Kind.UPLOADING, ended(Outcome.COMPLETED))
    current = running()
    assert current.attempt is not None
    untold = replace(current, attempt=replace(current.attempt, handles={}))
    decision = decide(untold, seen(whole))
    assert decision.launch
    assert not decision.job.over


def test_a_clock_that_is_set_back_does_not_turn_a_jobs_time_back() -> None:
    early = NOON - timedelta(hours=1)
    moved = job().moved_to(S.STOPPING, at=early).moved_to(S.STOPPED, at=early)
    assert {transition.start for transition in moved.transitions} == {NOON}
    assert moved.modified == NOON


def test_what_can_not_be_planned_fails_with_its_reason() -> None:
    refused = replace(seen(()), refusal="ClientError: no environment")
    decision = decide(running(), refused)
    for _ in ("its nodes are removed", "it fails"):
        decision = decide(decision.job, seen(()))
    assert decision.job.failure_reason == "ClientError: no environment"


@pytest.mark.parametrize("secondary", [s for s in SecondaryStatus if not MOVES[s]])
def test_a_job_that_is_over_only_wants_to_be_cleaned(secondary: SecondaryStatus) -> None:
    over = replace(running(), secondary=secondary)
    decision = decide(over, seen(()))
    assert decision == Decision(job=over, clean=True)


details = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from([o.value for o in Outcome]),
        "reason": st.sampled_from(["", "asked", "max_runtime", "AlgorithmError: x"]),
        "exit_code": st.integers(0, 255),
    }
)
journals = st.lists(
    st.tuples(st.sampled_from([k for k in Kind if k is not Kind.METRICS]), details), max_size=7
).map(lambda pairs: facts(*pairs))


@given(
    st.integers(1, 3).flatmap(lambda n: st.tuples(*[journals] * n)),
    st.sets(st.sampled_from(["algo-1", "algo-2", "algo-3"])),
    st.sets(st.sampled_from(["algo-1", "algo-2", "algo-3"])),
    st.sets(st.sampled_from(["algo-1", "algo-2", "algo-3"])),
    st.sampled_from(["", "ClientError: x"]),
    st.booleans(),
    st.booleans(),
)
def test_decide_is_total_and_settles(
    told: tuple[tuple[Fact, ...], ...],
    gone: set[str],
    taken: set[str],
    hopeless: set[str],
    why: str,
    spot: bool,
    wished: bool,
) -> None:
    """Whatever is reported, in whatever order: lawful moves only, and a second look adds none."""
    current = running(len(told), EnableManagedSpotTraining=spot)
    if wished:
        current = replace(current.moved_to(S.STOPPING, at=NOON), stop_wish=NOON)
    look = seen(
        *told,
        gone=frozenset(gone - taken),
        taken=dict.fromkeys(taken, why),
        hopeless=dict.fromkeys(hopeless, why),
    )
    current = decide(current, look).job
    for previous, following in zip(current.transitions, current.transitions[1:], strict=False):
        assert following.status in MOVES[previous.status]
        assert previous.start <= following.start
    settled = replace(look, gone=frozenset())
    if current.attempt is not None and current.attempt.over is not None:
        for _ in ("its nodes are removed", "it stands in line again"):
            current = decide(current, settled).job
    if not current.over:
        assert decide(decide(current, settled).job, settled).job == decide(current, settled).job


def _uploading(message: str) -> tuple[Kind, dict[str, Any]]:
    return Kind.UPLOADING, {"message": message}


def test_what_a_node_tells_of_its_uploading_stands_in_the_status() -> None:
    before = (Kind.TRAINING, exited(0), Kind.UPLOADING)
    waits = decide(running(), seen(facts(*before, _uploading("The results wait: full")))).job
    assert waits.secondary is S.UPLOADING
    said = "Uploading generated training model"
    assert waits.transitions[-1].message == f"{said}. The results wait: full"
    goes_on = facts(*before, _uploading("The results wait: full"), _uploading(""))
    assert decide(waits, seen(goes_on)).job.transitions[-1].message == said
    over = decide(waits, seen((*goes_on, *facts(ended(Outcome.COMPLETED)))))
    assert [each.message for each in over.job.transitions[-2:]] == [said, "Training job completed"]


def test_the_results_of_a_stopped_job_wait_as_loudly() -> None:
    journal = facts(Kind.TRAINING, exited(143), Kind.UPLOADING, _uploading("The results wait"))
    stopping = decide(replace(running(), stop_wish=LATER), seen(journal)).job
    assert stopping.secondary is S.STOPPING
    assert stopping.transitions[-1].message == "Stopping the training job. The results wait"
