"""How the line stands, as people are told."""

from dataclasses import replace
from datetime import timedelta

from tests.engine.scheduling.world import HOUR, World, place, policy

from trainshed.domain.training import Attempt
from trainshed.engine.scheduling import Lineup, Policy, Project, queue_view
from trainshed.testing.jobs import NOON, job


def test_the_order_is_that_in_which_jobs_would_be_let_in() -> None:
    world = World([place(2)], policy(Project(name="a"), Project(name="b")))
    world.run("running", 2, ends=HOUR)
    for n in range(2):
        world.come(f"a{n}", project="a", since=n)
        world.come(f"b{n}", project="b", since=10 + n)
    world.come("urgent", priority=60, since=20)
    world.now = 30.0
    found = queue_view(world.board, world.now)
    assert [each.arn for each in found] == ["urgent", "a0", "b0", "a1", "b1"]
    assert [each.position for each in found] == [1, 2, 3, 4, 5]
    assert "(2 of 2 nodes in use, 2 before it in line)" in found[2].reason
    assert [each.starts_by for each in found] == [HOUR, None, None, None, None]


def test_looking_changes_nothing() -> None:
    world = World([place(1)])
    world.come("one")
    world.come("two", since=1)
    assert queue_view(world.board, 2.0) == queue_view(world.board, 2.0)
    assert queue_view(world.board, 2.0)[0].reason == ""
    assert list(world.ask().admissions) == ["one"]


def test_rows_alone_are_enough() -> None:
    attempt = Attempt(number=1, backend="local", started=NOON)
    running = replace(job("running"), attempt=attempt)
    waiting = replace(job("waiting"), created=NOON + timedelta(seconds=1))
    now = NOON.timestamp() + 7200
    lineup = Lineup({"local": place(1)}, Policy(), "local", now)
    for each in (running, waiting):
        lineup.note(each)
    (found,) = lineup.standings()
    assert (found.arn, found.position, found.priority) == (waiting.arn, 1, 51)
    assert "it needs 1 of 1 node of the backend 'local'" in found.reason
    assert found.reason.endswith("(1 of 1 nodes in use, 0 before it in line)")
    assert lineup.reasons() == {waiting.arn: found.reason}
