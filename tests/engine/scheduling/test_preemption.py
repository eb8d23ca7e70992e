"""Who ends so that another starts: preemptible, of lower priority, few, young, and to some use."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.scheduling.world import World, place, policy

from trainshed.engine.scheduling import Group, Waiting


def test_a_preemptible_job_of_lower_priority_makes_room() -> None:
    world = World([place(1)])
    world.run("victim", priority=10, preemptible=True)
    world.come("urgent", priority=90)
    answer = world.ask()
    assert answer.preemptions == {"victim": "urgent"}
    assert answer.admissions == {}


def test_neither_equals_nor_those_that_are_not_preemptible_make_room() -> None:
    world = World([place(2)])
    world.run("equal", priority=90, preemptible=True)
    world.run("firm", priority=10)
    world.come("urgent", priority=90)
    assert world.ask().preemptions == {}


def test_the_priority_that_waiting_brings_takes_nobodys_nodes() -> None:
    world = World([place(1)], policy(ageing=60))
    world.run("victim", priority=20, preemptible=True)
    world.come("old", priority=10, since=0)
    world.now = 1e6
    assert world.ask().preemptions == {}


def test_nobody_ends_in_vain() -> None:
    world = World([place(4)])
    world.run("victim", 1, priority=10, preemptible=True)
    world.run("firm", 3, priority=10)
    world.come("wide", 2, priority=90)
    assert world.ask().preemptions == {}


def test_nobody_ends_whose_nodes_are_not_what_is_missing() -> None:
    world = World([place(8, capacity=(("ml.p3.*", 1),))])
    world.run("firm", instance_type="ml.p3.2xlarge", priority=10)
    world.run("victim", 2, priority=10, preemptible=True)
    world.come("gpu", types=["ml.p3.2xlarge"], priority=90)
    assert world.ask().preemptions == {}


def test_the_youngest_ends_of_those_that_are_enough() -> None:
    world = World([place(4)])
    world.run("old", 2, priority=10, preemptible=True, started=1)
    world.run("young", 2, priority=10, preemptible=True, started=2)
    world.come("urgent", 2, priority=90)
    assert world.ask().preemptions == {"young": "urgent"}


def test_one_wide_job_ends_rather_than_two_narrow_ones() -> None:
    world = World([place(4)])
    world.run("wide", 2, priority=10, preemptible=True, started=1)
    world.run("narrow", 1, priority=10, preemptible=True, started=2)
    world.run("other", 1, priority=10, preemptible=True, started=3)
    world.come("urgent", 2, priority=90)
    assert world.ask().preemptions == {"wide": "urgent"}


def test_two_young_jobs_end_rather_than_an_old_wide_one_and_a_young_one() -> None:
    world = World([place(7)])
    world.run("old", 3, priority=10, preemptible=True, started=1)
    world.run("young", 2, priority=10, preemptible=True, started=5)
    world.run("younger", 2, priority=10, preemptible=True, started=6)
    world.come("urgent", 4, priority=90)
    assert world.ask().preemptions.keys() == {"young", "younger"}


def test_nobody_ends_whom_the_others_make_needless() -> None:
    """A GPU and three other nodes are missing."""
    world = World([place(5, capacity=(("ml.p3.*", 1),))])
    gpu = {"instance_type": "ml.p3.2xlarge", "priority": 10, "preemptible": True}
    world.run("gpu", 1, started=1, **gpu)
    world.run("narrow", 1, priority=10, preemptible=True, started=3)
    world.run("wide", 3, priority=10, preemptible=True, started=2)
    types = (("ml.p3.2xlarge", 1), ("ml.m5.large", 3))
    need = world.board.need("local", types, spot=False, instance_type="")
    group = Group(backend="local", project="", priority=90, needs=(need,))
    waiting = Waiting(arn="urgent", group=world.board.group(group), created=0, since=0)
    world.board.wait(waiting)
    assert world.ask().preemptions.keys() == {"gpu", "wide"}


def test_while_some_make_room_for_a_job_nobody_else_does() -> None:
    world = World([place(2)])
    world.run("first", priority=10, preemptible=True, preempted_for="urgent")
    world.run("second", priority=10, preemptible=True)
    world.come("urgent", priority=90)
    assert world.ask().preemptions == {}


def test_nobody_makes_room_where_enough_becomes_free_anyway() -> None:
    world = World([place(2)])
    world.run("stopping", priority=10, leaving=True)
    world.run("victim", priority=10, preemptible=True)
    world.come("urgent", priority=90)
    assert world.ask().preemptions == {}


def test_what_becomes_free_for_one_is_not_counted_on_by_the_next() -> None:
    world = World([place(2, capacity=(("ml.p3.*", 2),))])
    world.run("first", instance_type="ml.p3.2xlarge", preemptible=True, preempted_for="one")
    world.run("second", instance_type="ml.p3.2xlarge", preemptible=True)
    world.come("one", types=["ml.p3.2xlarge"], priority=95)
    world.come("two", types=["ml.m5.large"], priority=90, since=1)
    # Both lack a node; the one of the second is taken only once the first has started.
    assert world.ask().preemptions == {}


def test_jobs_keep_their_nodes_where_preemption_is_off() -> None:
    world = World([place(1)], policy(preemption=False))
    world.run("victim", priority=10, preemptible=True)
    world.come("urgent", priority=90)
    assert world.ask().preemptions == {}


def test_the_head_gets_the_nodes_and_the_victim_comes_back_behind_it() -> None:
    world = World([place(1)])
    world.run("victim", priority=10, preemptible=True)
    world.come("urgent", priority=90, since=5)
    world.preempt(world.ask().preemptions)
    world.board.forget("victim")
    world.come("victim", priority=10, since=0)
    assert list(world.deal().admissions) == ["urgent"]


RUNS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([10, 50, 90]), st.booleans()), max_size=6
)


@given(RUNS, st.integers(1, 8), st.integers(0, 6))
def test_victims_may_be_taken_make_room_and_are_as_few_as_can_be(
    runs: list[tuple[int, int, bool]], wanted: int, spare: int
) -> None:
    total = sum(nodes for nodes, _, _ in runs) + spare
    world = World([place(max(total, 1))])
    for n, (nodes, priority, preemptible) in enumerate(runs):
        world.run(f"run-{n}", nodes, priority=priority, preemptible=preemptible, started=n)
    world.come("urgent", wanted, priority=60)
    answer = world.ask()
    may = {
        f"run-{n}": nodes
        for n, (nodes, priority, preemptible) in enumerate(runs)
        if preemptible and priority < 60
    }
    assert set(answer.preemptions) <= set(may)
    free = max(total, 1) - sum(nodes for nodes, _, _ in runs)
    fewest = next(
        (
            count
            for count in range(len(may) + 1)
            if any(free + sum(each) >= wanted for each in combinations(may.values(), count))
        ),
        0,
    )
    if "urgent" not in answer.hopeless:
        assert len(answer.preemptions) == fewest
        if answer.preemptions:
            assert free + sum(may[arn] for arn in answer.preemptions) >= wanted
