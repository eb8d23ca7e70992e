"""Who goes first: priority, which grows with waiting; then projects by their shares; then age."""

from random import Random

import pytest
from tests.engine.scheduling.world import HOUR, World, place, policy

from trainshed.engine.scheduling import Policy, Project


def test_the_highest_priority_goes_first_and_among_equals_the_oldest() -> None:
    world = World([place(2)])
    world.come("low", priority=10, since=0)
    world.come("second", priority=50, since=2)
    world.come("first", priority=50, since=1)
    world.now = 3
    assert list(world.ask().admissions) == ["first", "second"]


def test_a_job_that_has_waited_an_hour_for_each_level_of_priority_goes_before_newer_ones() -> None:
    world = World([place(1)], policy(ageing=HOUR))
    world.come("old", priority=40, since=0)
    world.now = 10 * HOUR - 1
    world.come("new", priority=50)
    assert list(world.ask().admissions) == ["new"]
    world.now = 10 * HOUR + 1
    assert list(world.ask().admissions) == ["old"]


def test_a_job_of_the_lowest_priority_runs_though_jobs_of_the_highest_keep_coming() -> None:
    world = World([place(1)], policy(ageing=60))
    world.come("starved", priority=0, since=0)
    for n in range(200):
        world.now = n * 60.0
        world.come(f"urgent-{n}", priority=99, runtime=60)
    world.now = 0.0
    for n in range(200):
        world.pass_until(n * 60.0)
    assert 99 * 60 <= world.starts["starved"] <= 101 * 60


def test_without_ageing_priority_never_changes() -> None:
    world = World([place(1)], Policy(ageing=0))
    world.come("old", priority=49, since=0)
    world.now = 1000 * HOUR
    world.come("new", priority=50)
    assert list(world.ask().admissions) == ["new"]


def test_the_project_that_uses_least_for_its_weight_goes_first_however_long_others_wait() -> None:
    world = World([place(6)], policy(Project(name="a", weight=1), Project(name="b", weight=3)))
    for n in range(6):
        world.come(f"a{n}", project="a", since=0)
    world.now = 50.0
    for n in range(6):
        world.come(f"b{n}", project="b")
    admitted = list(world.ask().admissions)
    assert sum(arn.startswith("b") for arn in admitted) == 4
    assert sum(arn.startswith("a") for arn in admitted) == 2


@pytest.mark.parametrize("seed", range(2))
def test_projects_of_weights_1_2_and_3_share_a_full_place_as_their_weights_are(seed: int) -> None:
    weights = {"one": 1, "two": 2, "three": 3}
    projects = [Project(name=name, weight=weight) for name, weight in weights.items()]
    world = World([place(60)], policy(*projects))
    rng = Random(seed)
    for n in range(1000):
        # Whoever asks for most does so first, and gets no more for it.
        for name in weights:
            lasts = rng.choice([300.0, 1200.0, 2 * HOUR, 5 * HOUR])
            world.come(
                f"{name}-{n}",
                rng.choice([1, 1, 1, 2, 4, 8, 16]),
                project=name,
                lasts=lasts * rng.uniform(0.5, 1.0),
                runtime=lasts,
                since=n / 10,
            )
    world.pass_until(100 * HOUR)
    assert all(name in {user.project for user in world.board.users.values()} for name in weights)
    assert world.board.lines[50].keys() == weights.keys()  # all of them still have jobs in line
    total = sum(world.used.values())
    for name, weight in weights.items():
        assert world.used[name] / total == pytest.approx(weight / 6, rel=0.05)
