"""Room: all of a job's nodes or none, limits of places and types, and who may pass a head."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.scheduling.world import HOUR, World, place, policy


def test_a_job_gets_all_of_its_nodes_or_none() -> None:
    world = World([place(4)])
    world.run("other", 2)
    world.come("wide", 3)
    answer = world.ask()
    assert answer.admissions == {}
    (reason,) = answer.reasons.values()
    assert "it needs 3 of 4 nodes of the backend 'local'" in reason.text


def test_a_job_wider_than_its_place_never_starts_and_holds_nobody_up() -> None:
    world = World([place(4)])
    world.come("huge", 5, since=0)
    world.come("one", 1, since=1)
    answer = world.ask()
    assert answer.hopeless["huge"].startswith("CapacityError")
    assert "asks for 5 nodes, the backend 'local' has at most 4" in answer.hopeless["huge"]
    assert list(answer.admissions) == ["one"]


def test_more_nodes_of_a_type_than_there_are_are_never_had() -> None:
    world = World([place(8, capacity=(("ml.p3.*", 2),))])
    world.come("gpus", 3, types=["ml.p3.2xlarge"])
    assert "3 nodes of 'ml.p3.*', the backend 'local' has at most 2" in world.ask().hopeless["gpus"]


def test_a_full_instance_type_holds_nobody_up_who_asks_for_another() -> None:
    world = World([place(8, capacity=(("ml.p3.*", 1),))])
    world.run("other", instance_type="ml.p3.2xlarge")
    world.come("gpu", types=["ml.p3.8xlarge"], since=0)
    world.come("plain", 4, since=1, runtime=inf)
    answer = world.ask()
    assert list(answer.admissions) == ["plain"]
    (reason,) = answer.reasons.values()
    assert "1 of 1 'ml.p3.*' nodes" in reason.text


def test_a_full_place_holds_nobody_up_at_another() -> None:
    world = World([place(1), place(1, "docker")])
    world.run("other")
    world.come("here", since=0)
    world.come("there", backend="docker", since=1)
    assert list(world.ask().admissions) == ["there"]


def test_the_first_instance_type_that_has_room_is_taken() -> None:
    types = ["ml.p3.2xlarge", "ml.g5.xlarge"]
    world = World([place(8, capacity=(("ml.p3.*", 1), ("ml.g5.*", 2)))])
    for n in range(3):
        world.come(f"job-{n}", types=types, since=n)
    admissions = world.ask().admissions
    assert [each.instance_type for each in admissions.values()] == [types[0], types[1], types[1]]


def test_a_type_that_was_refused_is_left_alone_and_holds_nobody_up() -> None:
    world = World()
    world.cooling = {("local", "ml.p3.2xlarge"): 10.0}
    world.come("gpu", 4, types=["ml.p3.2xlarge"], since=0)
    world.come("either", types=["ml.p3.2xlarge", "ml.g5.xlarge"], since=1)
    world.come("plain", since=2)
    answer = world.ask()
    assert list(answer.admissions) == ["either", "plain"]
    assert answer.admissions["either"].instance_type == "ml.g5.xlarge"
    assert "no 'ml.p3.2xlarge' to give just now" in next(iter(answer.reasons.values())).text
    world.now = 11.0
    assert "gpu" in world.ask().admissions


def test_no_more_nodes_start_at_once_than_may_though_more_may_run() -> None:
    world = World([place(10, max_launching=2)])
    for n in range(4):
        world.come(f"job-{n}", since=n)
    assert list(world.ask().admissions) == ["job-0", "job-1"]
    world.run("starts", 1, launching=True)
    answer = world.ask()
    assert list(answer.admissions) == ["job-0"]
    assert "no more than 2 nodes" in next(iter(answer.reasons.values())).text


def test_a_job_wider_than_what_may_start_at_once_starts_alone() -> None:
    world = World([place(10, max_launching=2)])
    world.come("wide", 5, since=0)
    world.come("narrow", 1, since=1)
    assert list(world.ask().admissions) == ["wide"]
    world.run("starts", 1, launching=True)
    assert list(world.ask().admissions) == []


def test_a_job_that_ends_in_time_passes_one_that_must_wait() -> None:
    world = World([place(4)])
    world.run("other", 3, ends=HOUR)
    world.come("wide", 4, since=0)
    world.come("long", 1, runtime=2 * HOUR, since=1)
    world.come("a second too long", 1, runtime=HOUR + 1, since=1)
    world.come("short", 1, runtime=HOUR, since=2)
    answer = world.ask()
    assert list(answer.admissions) == ["short"]
    assert [(head.arn, head.starts_by) for head in answer.heads] == [("wide", HOUR)]


def test_a_job_that_needs_nothing_of_what_the_head_waits_for_passes_it() -> None:
    world = World([place(4)])
    world.run("other", 2, ends=HOUR)
    world.come("wide", 3, since=0)
    world.come("long", 1, runtime=inf, since=1)
    world.come("too long", 1, runtime=inf, since=2)
    assert list(world.ask().admissions) == ["long"]


def test_without_backfill_nobody_passes() -> None:
    world = World([place(4)], policy(backfill=False))
    world.run("other", 3, ends=HOUR)
    world.come("wide", 4, since=0)
    world.come("short", 1, runtime=60, since=1)
    assert list(world.ask().admissions) == []


def test_a_job_for_a_place_that_is_gone_is_let_in_to_be_told_so() -> None:
    world = World()
    world.come("lost", backend="docker")
    assert world.ask().admissions["lost"].admitted


KINDS = ("ml.m5.large", "ml.p3.2xlarge", "ml.g5.xlarge")
JOBS = st.tuples(st.integers(1, 6), st.sampled_from(KINDS), st.integers(1, 8))
"""(nodes, instance type, seconds)."""


@given(
    running=st.lists(JOBS, max_size=6),
    waiting=st.lists(JOBS, max_size=8),
    limits=st.tuples(st.integers(1, 8), st.integers(0, 6), st.integers(0, 6)),
)
def test_nobody_gets_more_than_there_is_and_no_head_starts_later_for_those_that_pass_it(
    running: list[tuple[int, str, int]],
    waiting: list[tuple[int, str, int]],
    limits: tuple[int, int, int],
) -> None:
    nodes, p3, g5 = limits
    here = place(nodes, capacity=(("ml.p3.*", p3), ("ml.g5.*", g5)))
    world = World([here], policy(preemption=False))
    for n, (count, kind, seconds) in enumerate(running):
        if _room(world, count, kind):
            world.run(f"r{n}", count, instance_type=kind, ends=float(seconds))
    for n, (count, kind, seconds) in enumerate(waiting):
        world.come(f"w{n}", count, types=[kind], runtime=float(seconds), since=n / 100)
    world.now = 1.0
    answer = world.deal()
    taken = world.board.taken.get("local")
    if taken is not None:
        assert taken.nodes <= nodes
        assert all(count <= here.capacity[n][1] for n, count in taken.bins.items())
    for head in answer.heads:
        # The same running jobs, and those let in before anybody passed: see the order of arrival.
        earlier = [arn for arn in answer.admissions if int(arn[1:]) < int(head.arn[1:])]
        assert _starts(world, head.arn, without=set(answer.admissions) - set(earlier)) == (
            head.starts_by
        )
        assert _starts(world, head.arn, without=set()) <= head.starts_by


def _room(world: World, count: int, kind: str) -> bool:
    probe = world.board.need("local", ((kind, count),), spot=False, instance_type="")
    taken, here = world.board.taken.get("local"), world.board.places["local"]
    used, bins = (taken.nodes, taken.bins) if taken else (0, {})
    return used + count <= here.nodes and all(
        bins.get(n, 0) + more <= here.capacity[n][1] for n, more in probe.bins
    )


def _starts(world: World, arn: str, without: set[str]) -> float:
    """Return when a job finds room if the others end when they must: tried moment by moment."""
    need, here = world.groups[arn].needs[0], world.board.places["local"]
    users = [user for user in world.board.users.values() if user.arn not in without]
    for moment in sorted({world.now, *(max(world.now, user.ends) for user in users)}):
        left = [user.need for user in users if user.ends > moment]
        if here.nodes - sum(each.nodes for each in left) >= need.nodes and all(
            here.capacity[n][1] - sum(dict(each.bins).get(n, 0) for each in left) >= count
            for n, count in need.bins
        ):
            return moment
    return inf
