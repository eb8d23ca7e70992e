"""What a project may use at once, and whom it holds up when it uses all of it: nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.scheduling.world import World, place, policy

from trainshed.engine.scheduling import Project

PRICES = (("ml.p3.*", 3.0), ("*", 0.5))


@pytest.mark.parametrize(
    ("quota", "told"),
    [
        ({"max_jobs": 1}, "the project 'vision' may run 1 job at once, and does"),
        ({"max_nodes": 2}, "the project 'vision' may use 2 nodes at once, and does"),
        ({"max_gpus": 1}, "the project 'vision' may use 1 GPU at once, and does"),
        ({"max_cost_per_hour": 4.0}, "the project 'vision' may cost 4 per hour, and does"),
    ],
)
def test_a_project_that_uses_all_it_may_waits_and_holds_up_nobody_else(
    quota: dict[str, int], told: str
) -> None:
    world = World([place(8, prices=PRICES)], policy(Project(name="vision", **quota)))
    world.run("other", instance_type="ml.p3.2xlarge", project="vision")
    if "max_nodes" in quota:
        world.run("another", project="vision")
    world.come("more", types=["ml.p3.2xlarge"], project="vision", since=0)
    world.come("theirs", project="speech", since=1)
    answer = world.ask()
    assert list(answer.admissions) == ["theirs"]
    (reason,) = answer.reasons.values()
    assert reason.text == f"Training job waiting for capacity: {told}"


@pytest.mark.parametrize(
    ("quota", "told"),
    [
        ({"max_nodes": 1}, "may use 1 node at once, the job asks for 2 nodes"),
        ({"max_gpus": 1}, "may use 1 GPU at once, the job asks for 2 GPUs"),
        ({"max_cost_per_hour": 4.0}, "may cost 4 per hour, the job asks for 6 per hour"),
        (
            {"instance_types": ("ml.m5.*", "ml.g5.*")},
            "may use ml.m5.*, ml.g5.*, the job asks for ml.p3.2xlarge",
        ),
    ],
)
def test_what_can_never_fit_its_quota_fails_at_once_and_says_why(
    quota: dict[str, object], told: str
) -> None:
    project = Project(name="vision", **quota)  # type: ignore[arg-type]
    world = World([place(8, prices=PRICES)], policy(project))
    world.come("huge", 2, types=["ml.p3.2xlarge"], project="vision")
    why = world.ask().hopeless["huge"]
    assert why.startswith(f"ClientError: ResourceLimitExceeded: the project 'vision' {told}")
    assert "[projects.vision]" in why


def test_a_wide_job_that_waits_for_its_quota_is_not_starved_by_narrow_ones_of_its_project() -> None:
    world = World([place(8)], policy(Project(name="vision", max_nodes=4)))
    world.run("other", 2, project="vision")
    world.come("wide", 3, project="vision", since=0)
    world.come("narrow", 1, project="vision", since=1)
    assert list(world.ask().admissions) == []


def test_jobs_without_gpus_do_not_wait_for_the_gpus_of_their_project() -> None:
    world = World([place(8)], policy(Project(name="vision", max_gpus=1)))
    world.run("other", instance_type="ml.p3.2xlarge", project="vision")
    world.come("gpu", types=["ml.p3.2xlarge"], project="vision", since=0)
    world.come("plain", project="vision", since=1)
    assert list(world.ask().admissions) == ["plain"]


def test_a_type_that_its_project_may_not_use_is_passed_over_for_the_next() -> None:
    types = ["ml.p3.2xlarge", "ml.g5.xlarge"]
    world = World(policy=policy(Project(name="vision", instance_types=("ml.g5.*",))))
    world.come("either", types=types, project="vision")
    assert world.ask().admissions["either"].instance_type == "ml.g5.xlarge"


def test_a_price_that_is_not_known_costs_nothing() -> None:
    world = World(policy=policy(Project(name="vision", max_cost_per_hour=0.0)))
    world.come("free", project="vision")
    assert "free" in world.ask().admissions


def test_spot_nodes_have_prices_of_their_own() -> None:
    here = place(prices=PRICES, spot_prices=(("ml.p3.*", 1.0),))
    types = (("ml.p3.2xlarge", 2),)
    assert here.need(types).cost == 6.0
    assert here.need(types, spot=True).cost == 2.0
    assert here.need((("ml.m5.large", 2),), spot=True).cost == 1.0


JOBS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(1, 4),
        st.sampled_from(["ml.m5.large", "ml.p3.2xlarge"]),
    ),
    max_size=10,
)


@given(JOBS, st.integers(0, 3), st.integers(1, 8), st.integers(0, 4))
def test_no_project_ever_uses_more_than_it_may(
    jobs: list[tuple[str, int, str]], most_jobs: int, nodes: int, gpus: int
) -> None:
    limited = Project(name="a", max_jobs=most_jobs, max_nodes=nodes, max_gpus=gpus)
    world = World([place(12)], policy(limited))
    for n, (project, count, kind) in enumerate(jobs):
        world.come(f"job-{n}", count, types=[kind], project=project, since=n)
    world.deal()
    use = world.board.use.get("a")
    if use is not None:
        assert use.jobs <= most_jobs
        assert use.nodes <= nodes
        assert use.gpus <= gpus
