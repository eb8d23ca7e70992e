"""What is killed when comes from a seed, and reaches every point there is."""

from itertools import islice

import pytest

from trainshed.testing.chaos.schedule import Lives, Strike, strikes
from trainshed.testing.faults import points
from trainshed.testing.faults.plan import Do, Plan


def targets(seed: str, lives: int) -> tuple[set[str], set[str]]:
    """Return the points that are named for the first lives: servers', and agents'."""
    plans = [Lives(seed).plans(life) for life in range(1, lives + 1)]
    return tuple(
        {each.at for plan in of for each in plan.faults} for of in zip(*plans, strict=True)
    )  # type: ignore[return-value]


def test_the_same_seed_has_the_same_plans() -> None:
    for life in (1, 2, 30):
        assert Lives("7/1/a").plans(life) == Lives("7/1/a").plans(life)
        assert Lives("7/1/a").plans(life)[0].seed != Lives("7/1/b").plans(life)[0].seed


def test_over_the_lives_every_point_is_named() -> None:
    servers, agents = targets("7", 600)
    assert servers - {"*"} == set(points.SERVER)
    assert agents == set(points.AGENT)


def test_some_points_can_be_all_that_kill() -> None:
    only = ("driver.find.before", "step.carry_out.after")
    for life in range(1, 50):
        server, agent = Lives("7", only).plans(life)
        assert {each.at for each in server.faults} <= {only[0], "*"}
        assert {each.at for each in agent.faults} <= {only[1]}


def test_plans_can_be_handed_to_a_process_and_only_crash() -> None:
    for life in range(1, 50):
        for plan in Lives("7").plans(life):
            assert Plan.parse(str(plan)) == plan
            assert {each.do for each in plan.faults} <= {Do.CRASH}


def test_points_are_named_by_what_they_are_around() -> None:
    assert {"records.swap.after", "driver.launch.before", "reports.log.after"} <= set(points.SERVER)
    assert {"journal.append.torn", "step.run_container.before"} <= set(points.AGENT)
    assert not set(points.SERVER) & set(points.AGENT)


@pytest.mark.parametrize("several", [False, True])
def test_strikes_come_as_often_as_asked_and_hit_only_what_is_there(several: bool) -> None:
    dues = list(islice(strikes("7", several=several, every=2.0), 500))
    assert dues == list(islice(strikes("7", several=several, every=2.0), 500))
    assert 1.8 < sum(due.after for due in dues) / len(dues) < 2.2
    database = {Strike.SERVERS, Strike.PAUSE, Strike.SESSION, Strike.BACKEND, Strike.DATABASE}
    assert {due.strike for due in dues} == set(Strike) - (set() if several else database)
    assert all(0 <= due.choice < 1 for due in dues)
