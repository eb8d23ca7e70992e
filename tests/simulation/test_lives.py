"""What simulated nodes do, and that what they did is never changed by what is asked of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trainshed.domain.errors import DriverError
from trainshed.domain.facts import Fact, Kind
from trainshed.testing.simulation.life import Life, story
from trainshed.testing.simulation.script import Script


def life(script: dict[str, Any] | None = None, **members: Any) -> Life:
    return Life(node_id="j.1.algo-1", script=Script(**(script or {})), began=100.0, **members)


def kinds(told: Life) -> list[Kind]:
    return [fact.kind for fact in story(told).facts]


def end(told: Life) -> tuple[float, str]:
    last = story(told).facts[-1]
    assert last.kind is Kind.ENDED
    return last.at, last.detail["outcome"]


def test_an_undisturbed_node_walks_all_steps_in_the_time_of_its_script() -> None:
    told = life({"pull": 2, "download": 3, "duration": 10, "upload": 4})
    assert [(fact.at, fact.kind) for fact in story(told).facts] == [
        (100, Kind.STARTED),
        (100, Kind.PULLING),
        (102, Kind.DOWNLOADING),
        (105, Kind.TRAINING),
        (115, Kind.EXITED),
        (115, Kind.UPLOADING),
        (119, Kind.ENDED),
    ]
    assert [fact.n for fact in story(told).facts] == list(range(1, 8))
    assert end(told) == (119, "completed")


def test_a_bad_exit_code_fails_the_job_in_the_services_words() -> None:
    told = life({"exit_code": 3})
    assert end(told) == (110, "failed")
    assert story(told).facts[-1].detail["reason"] == "AlgorithmError: , exit code: 3"


@pytest.mark.parametrize(
    ("stop", "hurry", "over", "code"),
    [(4, None, 107, 0), (50, None, 110, 0), (300, None, 110, 0), (4, 104.5, 104.5, 137)],
)
def test_a_container_that_is_asked_to_stop_has_its_grace_and_no_more(
    stop: float, hurry: float | None, over: float, code: int
) -> None:
    told = life({"stop": stop, "upload": 1}, stop=103.0, hurry=hurry, grace=60.0)
    exited = next(fact for fact in story(told).facts if fact.kind is Kind.EXITED)
    assert (exited.at, exited.detail["exit_code"]) == (over, code)
    assert end(told) == (over + 1, "stopped")


def test_who_does_not_stop_within_the_grace_is_killed() -> None:
    told = life({"duration": 1000, "stop": 300}, stop=103.0, grace=60.0)
    exited = next(fact for fact in story(told).facts if fact.kind is Kind.EXITED)
    assert (exited.at, exited.detail["exit_code"]) == (163, 137)


def test_a_node_that_is_stopped_before_its_container_runs_none() -> None:
    told = life({"download": 5}, stop=102.0)
    assert kinds(told) == [Kind.STARTED, Kind.DOWNLOADING, Kind.STOPPING, Kind.ENDED]
    assert end(told) == (102, "stopped")


def test_the_time_limit_stops_a_container_and_says_so() -> None:
    told = life({"duration": 1000}, max_runtime=20.0)
    stopping = next(fact for fact in story(told).facts if fact.kind is Kind.STOPPING)
    assert (stopping.at, stopping.detail) == (120, {"reason": "max_runtime"})
    assert end(told) == (120, "stopped")


def test_after_a_notice_the_last_checkpoint_is_kept_and_nothing_delivered() -> None:
    told = life(
        {"duration": 100, "checkpoint_every": 10, "stop": 2},
        checkpoints="s3://b/c algo-1",
        notice=125.0,
        deadline=245.0,
        reason="spot",
    )
    assert end(told) == (127, "interrupted")
    assert Kind.UPLOADING not in kinds(told)
    assert story(told).kept == ((110, 10), (120, 20), (127, 25))
    assert story(told).taken == 245
    notice = next(fact for fact in story(told).facts if fact.kind is Kind.NOTICE)
    assert notice.detail == {"deadline": 245.0, "reason": "spot"}


def test_what_outlasts_its_notice_is_cut_off() -> None:
    told = life({"duration": 100, "stop": 60}, notice=110.0, deadline=112.0)
    assert kinds(told)[-2:] == [Kind.NOTICE, Kind.STOPPING]
    assert story(told).heard(112.5) == ()


def test_work_that_was_kept_is_not_done_again() -> None:
    told = life({"duration": 100}, checkpoints="s3://b/c algo-1", done=60.0)
    assert end(told) == (140, "completed")


def test_a_lost_node_is_silent_until_it_is_launched_again_and_then_knows_of_its_loss() -> None:
    lost = life({"lost_after": 5})
    assert story(lost).silent == (105, float("inf"))
    assert story(lost).heard(106) == ()
    back = replace(lost, relaunched=108.0)
    assert end(back) == (108, "lost")
    assert len(story(back).heard(108.0)) == len(story(lost).facts) + 1


def test_a_lost_agent_that_is_launched_again_tells_what_its_container_did_meanwhile() -> None:
    back = life({"agent_lost_after": 5}, relaunched=130.0)
    assert story(back).silent == (105, 130)
    assert [fact.kind for fact in story(back).heard(130.0)][-1] is Kind.ENDED
    assert end(back) == (110, "completed")


def test_a_job_changes_the_script_by_its_hyperparameters() -> None:
    script = Script(upload=3).of({"sim.duration": "2.5", "sim.exit_code": "4", "lr": "0.1"})
    assert (script.duration, script.exit_code, script.upload) == (2.5, 4, 3)


@pytest.mark.parametrize(
    "wish", [{"sim.duration": "long"}, {"sim.duratoin": "1"}, {"sim.exit_code": "256"}]
)
def test_a_hyperparameter_that_means_nothing_is_refused_by_name(wish: dict[str, str]) -> None:
    with pytest.raises(DriverError, match=r"known: sim\.pull, .*sim\.taken_after"):
        Script().of(wish)


def test_only_the_named_node_of_the_first_attempts_meets_with_trouble() -> None:
    script = Script(notice_after=1.0, attempts=2)
    assert script.in_attempt(2, "algo-1").notice_after == 1.0
    assert script.in_attempt(3, "algo-1").notice_after is None
    assert script.in_attempt(1, "algo-2").notice_after is None


moments = st.floats(0, 60).map(lambda seconds: 100 + round(seconds, 1))
spans = st.none() | st.floats(0, 60).map(lambda seconds: round(seconds, 1))
lengths = st.sampled_from([0.0, 0.5, 3.0, 10.0, 30.0])
scripts = st.builds(
    Script,
    pull=lengths,
    download=lengths,
    duration=lengths,
    upload=lengths,
    stop=lengths,
    checkpoint_every=st.sampled_from([0.0, 1.0, 7.0]),
    exit_code=st.sampled_from([0, 1]),
    lost_after=spans,
    agent_lost_after=spans,
    notice_after=spans,
    notice=lengths,
    taken_after=spans,
)
orders = st.sampled_from(["stop", "hurry", "notice", "preempt", "relaunch", "remove"])


def asked(told: Life, order: str, at: float) -> Life:
    """Have something asked of a node, as its driver does."""
    changes: dict[str, dict[str, float | None]] = {
        "stop": {"stop": told.stop or at},
        "hurry": {"stop": told.stop or at, "hurry": told.hurry or at},
        "notice": {} if told.notice else {"notice": at, "deadline": at + 5},
        "preempt": {} if told.notice else {"notice": at, "deadline": None},
        "remove": {"removed": told.removed or at},
        "relaunch": {},
    }
    silent = story(told).silent
    if order == "relaunch" and silent[0] <= at < silent[1]:
        return replace(told, relaunched=at)
    return replace(told, **changes[order])


@settings(max_examples=400)
@given(script=scripts, asks=st.lists(st.tuples(moments, orders), max_size=5))
def test_what_a_node_did_stays_whatever_is_asked_of_it(
    script: Script, asks: list[tuple[float, str]]
) -> None:
    told = Life(
        node_id="j.1.algo-1", script=script, began=100.0, checkpoints="s3://b/c algo-1", grace=5.0
    )
    known: tuple[Fact, ...] = ()
    kept: tuple[tuple[float, float], ...] = ()
    for moment, order in sorted(asks):
        heard = story(told).heard(moment)
        assert heard[: len(known)] == known[: len(heard)]
        known = max(known, heard, key=len)
        kept = tuple(each for each in story(told).kept if each[0] <= moment)
        told = asked(told, order, moment + 1e-6)
        now = story(told)
        assert now.facts[: len(known)] == known
        assert now.kept[: len(kept)] == kept
    times = [fact.at for fact in story(told).facts]
    assert times == sorted(times)
    assert [fact.n for fact in story(told).facts] == list(range(1, len(times) + 1))
    works = [work for _, work in story(told).kept]
    assert works == sorted(works)
