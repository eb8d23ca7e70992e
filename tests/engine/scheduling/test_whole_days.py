"""Whole days of a queue: whoever can start does in the end, and nobody gets too much."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.scheduling.world import World, place, policy

from trainshed.engine.scheduling import Project, Running

JOBS = st.lists(
    st.tuples(
        st.integers(1, 7),  # nodes: some are wider than the place
        st.sampled_from(["ml.m5.large", "ml.p3.2xlarge"]),
        st.sampled_from(["", "a", "b"]),
        st.integers(0, 99),  # priority
        st.integers(1, 50),  # seconds
        st.integers(0, 60),  # when it comes
        st.booleans(),  # whether it is preemptible
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(JOBS, st.booleans(), st.booleans())
def test_everybody_who_can_start_does_in_the_end_and_nobody_uses_more_than_there_is(
    jobs: list[tuple[int, str, str, int, int, int, bool]], backfill: bool, limited: bool
) -> None:
    here = place(6, capacity=(("ml.p3.*", 3),))
    quota = Project(name="a", max_nodes=3, max_jobs=2) if limited else Project(name="a")
    world = World([here], policy(quota, backfill=backfill, ageing=20))
    coming = sorted(enumerate(jobs), key=lambda each: each[1][5])
    preemptible = {f"j{n}": each[6] for n, each in enumerate(jobs)}
    while True:
        for n, (nodes, kind, project, priority, seconds, at, _) in coming:
            if at <= world.now:
                arn = f"j{n}"
                world.come(
                    arn,
                    nodes,
                    types=[kind],
                    project=project,
                    priority=priority,
                    runtime=float(seconds),
                    preemptible=preemptible[arn],
                )
        coming = [each for each in coming if each[1][5] > world.now]
        answer = world.deal()
        _check(world, here.nodes, here.capacity[0][1])
        # The victims give their nodes up, and stand in line again with all their work to do.
        for arn in answer.preemptions:
            assert preemptible[arn]
            group, seconds = world.groups[arn], world.lasts[arn]
            world.drop(arn)
            need = group.needs[0]
            world.come(
                arn,
                need.nodes,
                types=[need.types[0][0]],
                project=group.project,
                priority=group.priority,
                runtime=seconds,
                preemptible=True,
            )
        if not coming and not world.board.waiting and not world.board.users:
            break
        assert world.now < 10_000, "somebody waits for ever"
        world.pass_until(world.now + 1)
    wide = {
        f"j{n}"
        for n, (nodes, kind, project, *_) in enumerate(jobs)
        if nodes > (3 if kind.startswith("ml.p3") else 6)
        or (limited and project == "a" and nodes > 3)
    }
    assert world.hopeless == wide
    assert world.starts.keys() == {f"j{n}" for n in range(len(jobs))} - wide


def _check(world: World, nodes: int, gpus: int) -> None:
    running = [each for each in world.board.users.values() if isinstance(each, Running)]
    assert sum(each.need.nodes for each in running) <= nodes
    assert sum(count for each in running for _, count in each.need.bins) <= gpus
