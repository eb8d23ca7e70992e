"""A line for each backend: who waits for one never waits for another."""

from dataclasses import replace

from trainshed.domain.training import Attempt, TrainingJob
from trainshed.drivers.base import Capabilities
from trainshed.engine.line import Line
from trainshed.testing.jobs import NOON, job


def line(**nodes: int) -> Line:
    return Line({name: Capabilities(max_nodes=count) for name, count in nodes.items()}, "local")


def waiting(name: str, backend: str = "", nodes: int = 1) -> TrainingJob:
    return replace(job(name, nodes=nodes), backend=backend)


async def test_a_full_backend_holds_up_nobody_at_another() -> None:
    lines = line(local=1, docker=2)
    first, second = waiting("first"), waiting("second")
    image = waiting("image", "docker", nodes=2)
    for each in (first, second, image):
        lines.note(each)
    answers = lines.answers()
    assert {arn for arn, answer in answers.items() if answer.admitted} == {first.arn, image.arn}
    reasons = lines.reasons()
    assert reasons.keys() == {second.arn}
    assert "1 of 1 nodes of the backend 'local' are in use" in reasons[second.arn].reason


async def test_nodes_are_counted_where_the_attempt_runs_and_freed_when_it_is_cleaned() -> None:
    lines = line(local=1, docker=1)
    attempt = Attempt(number=1, backend="docker", started=NOON)
    running = replace(waiting("running", "docker"), attempt=attempt)
    lines.note(running)
    for each in (waiting("a", "docker"), waiting("b")):
        lines.note(each)
    assert lines.answers().keys() == {waiting("b").arn}
    lines.note(replace(running, cleaned=True))
    assert lines.answers().keys() == {waiting("a").arn, waiting("b").arn}


async def test_a_job_for_a_backend_that_is_gone_is_let_in_to_be_told_so() -> None:
    lines = line(local=1)
    lost = waiting("lost", "docker")
    lines.note(lost)
    assert lines.answers()[lost.arn].admitted
