"""Attempts and phases as they are read from a job's row and its nodes' facts."""

from dataclasses import replace
from datetime import datetime, timedelta

from trainshed.api.trainshed.timeline import Phase, launches, timeline
from trainshed.domain.training import Attempt, AttemptEnd, PastAttempt
from trainshed.testing.jobs import NOON, job


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


FIRST = PastAttempt(
    number=1, backend="ec2", started=at(1), ended=at(9), end=AttemptEnd.LOST, instance_type="ml.p3"
)


def test_a_job_in_line_has_no_attempt_yet() -> None:
    assert launches(job()) == []
    (queue,) = timeline(job(), {})
    assert (queue.phase, queue.start, queue.end) == (Phase.QUEUE, NOON, None)


def test_an_attempt_that_was_given_up_counts_as_past_while_its_nodes_are_removed() -> None:
    present = Attempt(number=1, backend="ec2", started=at(1), over=FIRST)
    given_up = replace(job(), attempt=present)
    assert launches(given_up) == launches(replace(job(), past=(FIRST,)))
    assert [span.phase for span in timeline(given_up, {})] == [
        Phase.QUEUE,
        Phase.CAPACITY,
        Phase.INTERRUPTED,
    ]


def test_each_attempt_runs_on_its_own_type_and_else_on_the_requests() -> None:
    present = Attempt(number=2, backend="ec2", started=at(12))
    both = replace(job(), past=(FIRST,), attempt=present)
    assert [each.instance_type for each in launches(both)] == ["ml.p3", "ml.m5.large"]
    gap = next(span for span in timeline(both, {}) if span.phase is Phase.INTERRUPTED)
    assert (gap.start, gap.end, gap.attempt, gap.host) == (at(9), at(12), 0, "")


def test_each_node_has_its_own_phases() -> None:
    present = Attempt(number=1, backend="local", started=at(1))
    spans = timeline(replace(job(nodes=3), attempt=present), {})
    assert [span.host for span in spans] == ["", "algo-1", "algo-2", "algo-3"]
    assert {span.phase for span in spans[1:]} == {Phase.CAPACITY}
    assert {span.seconds(at(5)) for span in spans[1:]} == {4.0}
