"""What is told of a job follows from its row and its nodes' facts alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.api.trainshed.explained import explained
from trainshed.api.trainshed.prices import Prices
from trainshed.api.trainshed.timeline import Journals
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import (
    MESSAGES,
    Attempt,
    AttemptEnd,
    Drill,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.drivers.base import Capabilities
from trainshed.testing.jobs import NOON, job
from trainshed.wire.message import Reply
from trainshed.wire.model import load
from trainshed.wire.protocols.json import render

S = SecondaryStatus
CHECKPOINTS = {"S3Uri": "s3://kept/digits/"}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def told(seconds: float, kind: Kind, **detail: Any) -> tuple[float, Kind, dict[str, Any]]:
    return seconds, kind, detail


def journal(*facts: tuple[float, Kind, dict[str, Any]]) -> tuple[Fact, ...]:
    """Return a node's facts; times in seconds after noon."""
    return tuple(
        Fact(n, NOON.timestamp() + seconds, kind, detail)
        for n, (seconds, kind, detail) in enumerate(facts, 1)
    )


def explain(
    what: TrainingJob, journals: Journals, seconds: float, prices: Prices | None = None
) -> dict[str, Any]:
    """Return the answer, held against the model: it has no other members or types."""
    answer = explained(what, journals, at(seconds), prices or Prices({}))
    render(load("trainshed"), "ExplainTrainingJob", Reply(result=answer), "request")
    return answer


def moved(what: TrainingJob, *moves: tuple[float, SecondaryStatus]) -> TrainingJob:
    for seconds, status in moves:
        what = what.moved_to(status, at=at(seconds))
    return what


def running(number: int = 1, began: float = 5, **members: Any) -> Attempt:
    return Attempt(number=number, backend="local", started=at(began), **members)


def phases(answer: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return (phase, begin in seconds after noon, seconds)."""
    return [
        (each["Phase"], (each["StartTime"] - NOON).total_seconds(), each["Seconds"])
        for each in answer["Phases"]
    ]


WHOLE = journal(
    told(6, Kind.STARTED),
    told(7, Kind.PULLING),
    told(9, Kind.IMAGE),
    told(10, Kind.DOWNLOADING),
    told(15, Kind.TRAINING),
    told(45, Kind.EXITED, exit_code=0, over=NOON.timestamp() + 45),
    told(46, Kind.UPLOADING),
    told(50, Kind.ENDED, outcome="completed", reason=""),
)


def completed() -> TrainingJob:
    done = moved(
        job(),
        (1, S.PENDING),
        (5, S.STARTING),
        (7, S.DOWNLOADING),
        (15, S.TRAINING),
        (46, S.UPLOADING),
        (50, S.COMPLETED),
    )
    return replace(done, attempt=running(), training_start=at(7), training_end=at(50))


def test_the_time_of_a_job_is_told_without_a_gap() -> None:
    answer = explain(completed(), {1: {"algo-1": WHOLE}}, 1000)
    assert phases(answer) == [
        ("Queue", 0, 5),
        ("Capacity", 5, 1),
        ("Starting", 6, 1),
        ("ImagePull", 7, 3),
        ("Download", 10, 5),
        ("Training", 15, 30),
        ("Upload", 45, 5),
    ]
    assert {each.get("Host") for each in answer["Phases"]} == {None, "algo-1"}
    assert (answer["TrainingTimeInSeconds"], answer["BillableTimeInSeconds"]) == (43, 43)
    (attempt,) = answer["Attempts"]
    assert (attempt["Outcome"], attempt["TrainingSeconds"]) == ("Completed", 30)
    assert not {"WaitsFor", "LastFailure", "Checkpoints", "Drill", "Cost"} & set(answer)


def test_an_agent_that_was_started_over_begins_no_phase_anew() -> None:
    again = replace(WHOLE[0], n=6, at=WHOLE[0].at + 20)
    facts = (*WHOLE[:5], again, *(replace(each, n=each.n + 1) for each in WHOLE[5:]))
    assert phases(explain(completed(), {1: {"algo-1": facts}}, 99)) == phases(
        explain(completed(), {1: {"algo-1": WHOLE}}, 99)
    )


def test_a_job_that_runs_is_told_up_to_now() -> None:
    training = moved(job(), (5, S.STARTING), (7, S.DOWNLOADING), (15, S.TRAINING))
    training = replace(training, attempt=running(), training_start=at(7))
    answer = explain(training, {1: {"algo-1": WHOLE[:5]}}, 25)
    assert phases(answer)[-1] == ("Training", 15, 10)
    assert "EndTime" not in answer["Phases"][-1]
    assert "WaitsFor" not in answer
    assert answer["Attempts"][0]["Outcome"] == "Running"
    assert answer["TrainingTimeInSeconds"] == 18


def test_a_job_in_line_tells_what_it_waits_for_and_what_to_do() -> None:
    text = "Training job waiting for capacity: 4 of 4 nodes of the backend 'local' are in use"
    waiting = job().moved_to(S.PENDING, at=at(1), message=text)
    answer = explain(waiting, {}, 61)
    assert phases(answer) == [("Queue", 0, 61)]
    waits = answer["WaitsFor"]
    assert (waits["Message"], waits["SinceTime"], waits["Seconds"]) == (text, NOON, 61)
    assert "trainshed queue" in waits["Advice"][0]
    assert answer["Attempts"] == []


def test_a_job_that_nobody_has_looked_at_waits_for_its_turn() -> None:
    assert explain(job(), {}, 1)["WaitsFor"]["Message"] == "Training job waiting for its turn"


def test_a_spot_job_that_keeps_no_checkpoints_is_warned_of() -> None:
    spot = job(EnableManagedSpotTraining=True)
    greeted = spot.moved_to(S.STARTING, at=NOON, message=f"{MESSAGES[S.STARTING]}{spot.warning}")
    answer = explain(greeted, {}, 1)
    assert answer["Warning"].startswith("managed spot training without a Checkpoint")
    assert answer["WaitsFor"]["Message"] == "Training job waiting for its turn"
    kept = job(EnableManagedSpotTraining=True, CheckpointConfig=CHECKPOINTS)
    assert "Warning" not in explain(kept, {}, 1)
    over = moved(greeted, (1, S.DOWNLOADING), (2, S.FAILED))
    assert "Warning" not in explain(over, {}, 3)


def test_a_job_that_waits_for_its_node_says_so() -> None:
    starting = replace(job(), attempt=running(began=0))
    answer = explain(starting, {}, 30)
    assert phases(answer) == [("Queue", 0, 0), ("Capacity", 0, 30)]
    assert answer["WaitsFor"]["Message"] == "Starting the training job"


def test_what_failed_comes_with_what_to_do() -> None:
    reason = "AlgorithmError: out of memory: the kernel killed the container, exit code: 137"
    failed = moved(job(), (7, S.DOWNLOADING), (20, S.FAILED))
    failed = replace(failed, attempt=running(), failure_reason=reason, training_end=at(20))
    failure = explain(failed, {1: {"algo-1": WHOLE[:4]}}, 99)["LastFailure"]
    assert failure["Reason"] == reason
    assert failure["FailureTime"] == at(20)
    assert failure["AttemptNumber"] == 1
    assert "memory" in failure["Advice"][0]


@pytest.mark.parametrize(
    ("end", "words"),
    [(S.MAX_RUNTIME_EXCEEDED, "--max-time"), (S.MAX_WAIT_TIME_EXCEEDED, "--max-w")],
)
def test_a_limit_that_was_reached_counts_as_what_went_wrong(
    end: SecondaryStatus, words: str
) -> None:
    stopped = moved(job(), (7, S.DOWNLOADING), (20, S.STOPPING), (30, end))
    failure = explain(replace(stopped, training_end=at(30)), {}, 99)["LastFailure"]
    assert words in failure["Advice"][0]


def lost(kept: float | None, restored: dict[str, Any] | None) -> tuple[TrainingJob, Journals]:
    """Return a job whose first attempt ended at 45 s; its second trains since 60 s."""
    first = PastAttempt(
        number=1,
        backend="local",
        started=at(5),
        trained_from=at(15),
        ended=at(46),
        end=AttemptEnd.INTERRUPTED,
        reason="a drill",
        kept_at=None if kept is None else at(kept),
    )
    again = moved(
        job(CheckpointConfig=CHECKPOINTS, EnableManagedSpotTraining=True),
        (5, S.STARTING),
        (7, S.DOWNLOADING),
        (15, S.TRAINING),
        (46, S.INTERRUPTED),
        (55, S.STARTING),
        (57, S.DOWNLOADING),
        (60, S.TRAINING),
    )
    second = [told(56, Kind.STARTED), told(57, Kind.DOWNLOADING)]
    if restored is not None:
        second.append(told(58, Kind.RESTORED, **restored))
    second.append(told(60, Kind.TRAINING))
    again = replace(
        again,
        past=(first,),
        attempt=running(2, 55),
        training_start=at(7),
        drill=Drill(wished=at(40), notice=120.0, attempt=1, host="algo-1", told=True),
    )
    interrupted = journal(
        *[told(fact.at - NOON.timestamp(), fact.kind) for fact in WHOLE[:5]],
        told(41, Kind.NOTICE, deadline=NOON.timestamp() + 160, reason="a drill"),
        told(45, Kind.EXITED, exit_code=143, over=NOON.timestamp() + 45),
        told(46, Kind.ENDED, outcome="interrupted", reason="a drill"),
    )
    return again, {1: {"algo-1": interrupted}, 2: {"algo-1": journal(*second)}}


def test_an_interruption_tells_what_was_lost_and_how_long_the_gap_was() -> None:
    newest = NOON.timestamp() + 40
    answer = explain(*lost(44, {"files": 3, "bytes": 300, "newest": newest}), 70)
    first, second = answer["Attempts"]
    assert (first["Outcome"], first["Reason"]) == ("Interrupted", "a drill")
    # Its newest checkpoint was made 5 s before its program ended, and trained anew at 60 s.
    assert (first["LostSeconds"], first["GapSeconds"]) == (5, 15)
    assert (second["RestoredFiles"], second["RestoredTime"]) == (3, at(40))
    assert answer["LostTimeInSeconds"] == 5
    assert ("Interrupted", 46, 9) in phases(answer)
    assert answer["Checkpoints"]["S3Uri"] == CHECKPOINTS["S3Uri"]
    # 63 s since its first download, 11 s of them without a node that was billed.
    assert answer["TrainingTimeInSeconds"] == 63
    assert answer["BillableTimeInSeconds"] == 52
    assert answer["SpotSavingPercent"] == 17.5
    assert answer["LastFailure"]["Reason"] == "a drill"
    assert answer["LastFailure"]["Advice"] == ["nothing: it goes on in attempt 2"]


def test_a_drill_that_worked_resumed() -> None:
    drill = explain(*lost(44, {"files": 3, "newest": NOON.timestamp() + 40}), 70)["Drill"]
    assert drill["Status"] == "Resumed"
    assert (drill["Kind"], drill["NoticeInSeconds"]) == ("Notice", 120)
    assert (drill["LostSeconds"], drill["GapSeconds"]) == (5, 15)


@pytest.mark.parametrize("restored", [None, {"files": 0, "bytes": 0, "newest": 0}])
def test_a_drill_after_which_nothing_was_brought_back_started_over(
    restored: dict[str, Any] | None,
) -> None:
    answer = explain(*lost(44, restored), 70)
    assert answer["Drill"]["Status"] == "StartedOver"
    assert answer["Drill"]["LostSeconds"] == 30  # all of it: from 15 s to 45 s


def test_a_checkpoint_older_than_the_attempt_saves_none_of_its_work() -> None:
    answer = explain(*lost(None, {"files": 1, "newest": NOON.timestamp() - 500}), 70)
    assert answer["Attempts"][0]["LostSeconds"] == 30


def test_a_drill_goes_from_asked_over_interrupted_to_its_end() -> None:
    again, journals = lost(44, {"files": 1, "newest": NOON.timestamp() + 40})
    asked = replace(again, past=(), attempt=running())
    assert explain(asked, journals, 42)["Drill"]["Status"] == "Asked"
    waiting = replace(again, attempt=None)
    assert explain(waiting, journals, 50)["Drill"]["Status"] == "Interrupted"
    over = replace(moved(waiting, (70, S.STOPPING), (70, S.STOPPED)), training_end=at(70))
    assert explain(over, journals, 80)["Drill"]["Status"] == "Missed"
    sudden = replace(again, drill=replace(again.drill, notice=0.0)) if again.drill else again
    assert explain(sudden, journals, 80)["Drill"]["Kind"] == "SuddenLoss"


def test_while_the_next_attempt_does_not_train_what_was_kept_counts() -> None:
    again, journals = lost(44, None)
    answer = explain(replace(again, attempt=None), journals, 50)
    assert answer["Attempts"][0]["LostSeconds"] == 1
    assert "GapSeconds" not in answer["Attempts"][0]


def test_an_interruption_without_checkpoints_says_to_keep_some() -> None:
    again, journals = lost(None, None)
    request = {key: text for key, text in again.request.items() if key != "CheckpointConfig"}
    failure = explain(replace(again, request=request), journals, 70)["LastFailure"]
    assert "keeps no checkpoints" in failure["Advice"][0]


def test_checkpoints_that_are_not_kept_say_why_and_what_to_do() -> None:
    training = moved(job(CheckpointConfig=CHECKPOINTS), (7, S.DOWNLOADING), (15, S.TRAINING))
    stuck = told(
        40,
        Kind.CHECKPOINT,
        files=2,
        bytes=200,
        kept_at=NOON.timestamp() + 20,
        since=NOON.timestamp() + 30,
        trouble="no such bucket",
    )
    facts = (*WHOLE[:5], *(replace(each, n=6) for each in journal(stuck)))
    answer = explain(replace(training, attempt=running()), {1: {"algo-1": facts}}, 99)
    kept = answer["Checkpoints"]
    assert (kept["Files"], kept["Bytes"], kept["Trouble"]) == (2, 200, "no such bucket")
    assert (kept["KeptTime"], kept["WaitingSinceTime"]) == (at(20), at(30))
    assert "not stored" in kept["Advice"][0]


def test_of_several_nodes_the_one_that_kept_least_counts() -> None:
    slow = told(40, Kind.CHECKPOINT, files=1, bytes=1, kept_at=NOON.timestamp() + 20)
    quick = told(40, Kind.CHECKPOINT, files=1, bytes=1, kept_at=NOON.timestamp() + 39)
    training = moved(job(nodes=2, CheckpointConfig=CHECKPOINTS), (15, S.TRAINING))
    facts = {"algo-1": journal(slow), "algo-2": journal(quick)}
    answer = explain(replace(training, attempt=running()), {1: facts}, 99)
    assert answer["Attempts"][0]["KeptTime"] == at(20)


def test_money_is_told_where_prices_are_known() -> None:
    has = Capabilities(max_nodes=4, prices=(("ml.g5.*", 9.0), ("m5.*", 3600.0)))
    answer = explain(completed(), {1: {"algo-1": WHOLE}}, 99, Prices({"local": has}))
    # A unit a second: the pull, the download, the training, the upload.
    assert answer["Cost"] == pytest.approx(43)
    assert [each["Cost"] for each in answer["Phases"] if "Cost" in each] == [3, 5, 30, 5]
    elsewhere = explain(completed(), {1: {"algo-1": WHOLE}}, 99, Prices({"docker": has}))
    assert "Cost" not in elsewhere


def test_a_spot_node_costs_its_spot_price_and_else_the_usual_one() -> None:
    has = Capabilities(max_nodes=4, prices=(("*", 3600.0),), spot_prices=(("ml.g5.*", 36.0),))
    prices = Prices({"ec2": has})
    cost = {
        kind: prices.cost(10, backend="ec2", instance_type=kind, spot=True)
        for kind in ("ml.g5.xlarge", "ml.m5.large")
    }
    assert cost == {"ml.g5.xlarge": pytest.approx(0.1), "ml.m5.large": pytest.approx(10)}


def test_clocks_that_are_off_leave_no_phase_of_negative_length() -> None:
    early = tuple(replace(fact, at=fact.at - 1000) for fact in WHOLE)
    late = tuple(replace(fact, at=fact.at + 1000) for fact in WHOLE)
    for facts in (early, late):
        answer = explain(completed(), {1: {"algo-1": facts}}, 99)
        assert all(each["Seconds"] >= 0 for each in answer["Phases"])
        assert max(each["EndTime"] for each in answer["Phases"]) <= at(50)


KINDS = [kind for kind in Kind if kind is not Kind.ENDED]


@given(
    facts=st.lists(st.tuples(st.floats(-50, 200), st.sampled_from(KINDS)), max_size=12),
    ended=st.none() | st.floats(-50, 200),
    over=st.booleans(),
)
def test_whatever_nodes_tell_their_phases_follow_one_another_without_a_gap(
    facts: list[tuple[float, Kind]], ended: float | None, over: bool
) -> None:
    lines = [told(seconds, kind) for seconds, kind in facts]
    if ended is not None:
        lines.append(told(ended, Kind.ENDED, outcome="completed", reason=""))
    what = completed() if over else replace(moved(job(), (5, S.STARTING)), attempt=running())
    answer = explain(what, {1: {"algo-1": journal(*lines)}}, 300)
    own = [each for each in answer["Phases"] if "Host" in each]
    assert own[0]["StartTime"] == at(5)
    for each, after in pairwise(own):
        assert each["EndTime"] == after["StartTime"]
    assert all(each["Seconds"] >= 0 for each in answer["Phases"])
    last = own[-1].get("EndTime")
    assert last is None or last <= at(50) or not over
    assert (last is None) == (ended is None and not over)
