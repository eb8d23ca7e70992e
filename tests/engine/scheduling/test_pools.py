"""Warm nodes: who they are kept for, whom they are in the way of."""

from datetime import UTC, datetime

from tests.engine.scheduling.world import HOUR, World, place, policy

from trainshed.engine.scheduling import Pool, Project

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def keep(world: World, arn: str, nodes: int = 1, *, key: str = "alike", ends: float = HOUR) -> None:
    need = world.board.need("local", (("ml.m5.large", nodes),), spot=False, instance_type="")
    world.board.keep(
        Pool(arn=arn, backend="local", project="", need=need, key=key, ends=ends, began=BEGAN)
    )


def test_a_job_that_matches_takes_warm_nodes_though_nothing_else_is_free() -> None:
    world = World([place(1)])
    keep(world, "done")
    world.come("next", pool_keys=("alike",))
    admission = world.ask().admissions["next"]
    assert (admission.pool, admission.pool_began) == ("done", BEGAN)


def test_warm_nodes_are_in_use_for_all_others() -> None:
    world = World([place(1)])
    keep(world, "done")
    world.come("other", pool_keys=("different",))
    assert world.ask().admissions == {}


def test_nodes_that_were_taken_over_count_once_and_are_given_to_one_job() -> None:
    world = World([place(2)])
    keep(world, "done")
    world.come("first", pool_keys=("alike",), since=0)
    world.come("second", pool_keys=("alike",), since=1)
    world.come("third", pool_keys=("alike",), since=2)
    answer = world.deal()
    assert {arn: each.pool for arn, each in answer.admissions.items()} == {
        "first": "done",
        "second": "",
    }
    assert world.board.taken["local"].nodes == 2
    assert list(world.board.taken_over()) == [("done", "first")]


def test_of_several_the_nodes_that_would_be_let_go_first_are_taken() -> None:
    world = World([place(2)])
    keep(world, "late", ends=2 * HOUR)
    keep(world, "soon", ends=HOUR)
    world.come("next", pool_keys=("alike",))
    assert world.ask().admissions["next"].pool == "soon"


def test_nodes_whose_time_is_over_are_not_taken() -> None:
    world = World([place(1)])
    keep(world, "done", ends=10.0)
    world.now = 11.0
    world.come("next", pool_keys=("alike",))
    assert world.ask().admissions == {}


def test_one_that_takes_warm_nodes_does_not_delay_the_head_either() -> None:
    world = World([place(2)])
    world.run("other", ends=HOUR)
    keep(world, "done", ends=HOUR)
    world.come("wide", 2, since=0)
    world.come("long", runtime=2 * HOUR, pool_keys=("alike",), since=1)
    world.come("short", runtime=HOUR, pool_keys=("alike",), since=2)
    assert list(world.ask().admissions) == ["short"]


def test_warm_nodes_are_let_go_for_one_that_has_waited_for_long_enough() -> None:
    world = World([place(3)], policy(pool_patience=60))
    keep(world, "soon", ends=HOUR)
    keep(world, "late", ends=2 * HOUR)
    world.run("other")
    world.come("different")
    assert world.ask().releases == ()
    world.now = 61.0
    assert world.ask().releases == ("soon",)


def test_no_more_warm_nodes_are_let_go_than_are_needed() -> None:
    world = World([place(3)], policy(pool_patience=0))
    keep(world, "soon", 1, ends=HOUR)
    keep(world, "late", 2, ends=2 * HOUR)
    world.come("wide", 2)
    assert world.ask().releases == ("late",)


def test_warm_nodes_are_not_let_go_in_vain() -> None:
    world = World([place(3)], policy(pool_patience=0))
    keep(world, "done")
    world.run("other", 2)
    world.come("wide", 2)
    assert world.ask().releases == ()


def test_a_project_needs_no_more_of_its_quota_for_nodes_that_it_keeps_already() -> None:
    world = World([place(4)], policy(Project(name="", max_nodes=1, max_jobs=1)))
    keep(world, "done")
    world.come("next", pool_keys=("alike",))
    assert world.ask().admissions["next"].pool == "done"
