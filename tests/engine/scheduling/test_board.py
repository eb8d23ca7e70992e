"""The board: what is counted as each job changes is what would be counted anew."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.training import (
    Attempt,
    AttemptEnd,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
    WarmPool,
    WarmPoolStatus,
)
from trainshed.engine.scheduling import Board, Place, Policy, Running, schedule
from trainshed.engine.scheduling.jobs import note, pool_key, types_of, version
from trainshed.engine.scheduling.quotas import Use
from trainshed.testing.jobs import NOON, job

PLACES = {
    "local": Place(name="local", nodes=9, capacity=(("ml.p3.*", 3),), max_launching=4),
    "docker": Place(name="docker", nodes=4),
}
S = SecondaryStatus


def row(name: str, nodes: int, stage: int, project: str = "") -> TrainingJob:
    """Return a job that waits (0), runs (1 to 3), is over (4), keeps them (5), or is gone (6)."""
    one = replace(job(name, nodes=nodes, EnableManagedSpotTraining=stage == 2), project=project)
    if stage == 0:
        return one
    attempt = Attempt(number=1, backend="local" if nodes % 2 else "docker", started=NOON)
    if stage == 3:
        warm = job("f").arn if name == "a" else ""
        attempt = replace(attempt, preempted_for="arn:other", pool=warm)
    running = replace(one, attempt=attempt)
    if stage in {2, 3}:
        running = running.moved_to(S.TRAINING, at=NOON + timedelta(seconds=5))
    if stage < 4:
        return running
    done = running.moved_to(S.FAILED, at=NOON + timedelta(seconds=9))
    pool = WarmPool(
        status=WarmPoolStatus.AVAILABLE, since=NOON, until=NOON + timedelta(1), chain_began=NOON
    )
    if stage == 5:
        return replace(done, pool=pool, cleaned=True)
    return replace(done, cleaned=stage == 6)


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 6), st.sampled_from(["", "vision"])),
    max_size=25,
)


@given(ROWS)
def test_counting_each_change_ends_where_counting_everything_anew_does(
    changes: list[tuple[str, int, str]],
) -> None:
    board, last = Board(PLACES, Policy()), {}
    for name, stage, project in changes:
        last[name] = row(name, "abcdef".index(name) % 4 + 1, stage, project)
        note(board, last[name], "local")
    anew = Board(PLACES, Policy())
    for each in last.values():
        note(anew, each, "local")
    for backend in PLACES:
        one, two = board.taken.get(backend), anew.taken.get(backend)
        if one is None or two is None:
            assert (one or two) is None or (one or two).nodes == 0
            continue
        assert (one.nodes, one.starting, one.ends) == (two.nodes, two.starting, two.ends)
        assert +Counter(one.bins) == +Counter(two.bins)
        assert one.preemptible.keys() == two.preemptible.keys()
        assert one.leaving.keys() == two.leaving.keys()
    for project in ("", "vision"):
        one, two = board.use.get(project), anew.use.get(project)
        if one is None or two is None:
            assert (one or two) is None or (one or two).nodes == (one or two).jobs == 0
            continue
        assert (one.jobs, one.nodes, one.gpus) == (two.jobs, two.nodes, two.gpus)
    assert board.waiting.keys() == anew.waiting.keys()
    assert board.users.keys() == anew.users.keys()
    assert board.pools.keys() == anew.pools.keys()
    assert board.victims.keys() == anew.victims.keys()
    now = NOON.timestamp() + 60
    assert schedule(board, now).admissions == schedule(anew, now).admissions


def test_a_row_that_says_nothing_new_changes_nothing() -> None:
    board = Board(PLACES, Policy())
    for stage in range(6):
        assert note(board, row("a", 1, stage), "local")
        assert not note(board, row("a", 1, stage), "local")
    assert note(board, row("a", 1, 6), "local")
    assert "arn" not in board
    assert row("a", 1, 6).arn not in board


def test_what_must_end_when_follows_from_when_it_began_to_train() -> None:
    board = Board(PLACES, Policy())
    note(board, row("a", 1, 1), "local")
    note(board, row("b", 1, 2), "local")
    ends = {
        arn.rpartition("/")[2]: user.ends - NOON.timestamp() for arn, user in board.users.items()
    }
    assert ends == {"a": 3600.0, "b": 3605.0}


def test_an_interrupted_job_waits_since_then_in_its_old_place_with_the_time_it_has_left() -> None:
    trained = row("a", 1, 2)
    assert trained.attempt is not None
    ended = NOON + timedelta(seconds=605)
    past = PastAttempt(
        number=1, backend="local", started=NOON, ended=ended, end=AttemptEnd.PREEMPTED
    )
    waiting = replace(trained.moved_to(S.INTERRUPTED, at=ended), attempt=None, past=(past,))
    board = Board(PLACES, Policy())
    note(board, waiting, "local")
    group, created, since = board.waiting[waiting.arn]
    assert (created, since) == (NOON.timestamp(), ended.timestamp())
    assert group.runtime == 3000.0
    assert version(trained) < version(waiting) < version(replace(trained, attempts=2))


def test_of_two_rows_of_a_job_that_kept_its_nodes_warm_the_later_one_is_known() -> None:
    kept = row("a", 1, 5)
    assert kept.pool is not None
    ended = replace(kept.pool, status=WarmPoolStatus.TERMINATED, ended=NOON)
    walk = [
        row("a", 1, 2),
        replace(kept, cleaned=False),
        kept,
        replace(kept, cleaned=False, pool=ended),
        replace(kept, pool=ended),
    ]
    versions = [version(each) for each in walk]
    assert versions == sorted(set(versions))
    board = Board(PLACES, Policy())
    in_use = []
    for each in walk:
        note(board, each, "local")
        in_use.append((board.taken["local"].nodes, len(board.pools)))
    assert in_use == [(1, 0), (1, 0), (1, 1), (1, 0), (0, 0)]


def test_a_stopped_job_stands_in_line_no_more() -> None:
    board = Board(PLACES, Policy())
    note(board, row("a", 1, 0), "local")
    note(board, replace(row("a", 1, 0), stop_wish=NOON), "local")
    assert not board.waiting


def test_spot_and_preemptible_jobs_make_room_and_no_others() -> None:
    board = Board(PLACES, Policy())
    for each in (row("a", 1, 1), row("b", 1, 2), replace(row("c", 1, 1), preemptible=True)):
        note(board, each, "local")
    found = {
        arn.rpartition("/")[2]: isinstance(user, Running) and user.preemptible
        for arn, user in board.users.items()
    }
    assert found == {"a": False, "b": True, "c": True}


def test_who_ends_anyway_is_known_and_who_keeps_its_nodes_warm_is_not_among_them() -> None:
    board = Board(PLACES, Policy())
    running = row("runs", 1, 1)
    assert running.attempt is not None
    taken = replace(running.attempt, interrupted=("algo-1",))
    warm = replace(row("warm", 1, 5), cleaned=False)
    rows = [
        running,
        replace(row("stops", 1, 1), stop_wish=NOON),
        replace(row("taken", 1, 1), attempt=taken),
        row("over", 1, 4),
        warm,
    ]
    for each in rows:
        note(board, each, "local")
    leaving = {arn.rpartition("/")[2] for arn in board.taken["local"].leaving}
    assert leaving == {"stops", "taken", "over"}
    assert warm.pool is not None
    user = board.users[warm.arn]
    assert user.ends == warm.pool.until.timestamp()


def test_after_a_start_what_running_jobs_have_used_so_far_counts() -> None:
    board = Board(PLACES, Policy())
    note(board, row("a", 3, 1, "vision"), "local")
    note(board, row("b", 1, 1), "local")
    board.now = NOON.timestamp() + 100
    board.recall()
    # Processors of ml.m5.large: two.
    assert board.use["vision"].spent == 3 * 2 * 100
    assert board.use[""].spent == 2 * 100


def test_what_was_used_counts_half_after_its_half_life() -> None:
    use = Use(load=10.0, at=0.0)
    use.advance(100.0, 100.0)
    assert use.spent == 750.0
    use.load = 0.0
    use.advance(200.0, 100.0)
    assert (use.spent, use.at) == (375.0, 200.0)
    use.advance(300.0, 0.0)
    assert use.spent == 0.0


def test_warm_nodes_match_by_what_the_service_compares() -> None:
    one = job("one")

    def key(other: TrainingJob) -> str:
        return pool_key(other, "local", types_of(other))

    assert key(one) == key(replace(job("two"), created=datetime(2027, 1, 1, tzinfo=UTC)))
    different = [
        job("n", nodes=2),
        job("n", RoleArn="arn:aws:iam::123456789012:role/other"),
        job("n", EnableNetworkIsolation=True),
        job("n", EnableInterContainerTrafficEncryption=True),
        job("n", VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}),
        job("n", ResourceConfig={"InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 10}),
        job("n", ResourceConfig={"InstanceType": "ml.m5.large", "VolumeSizeInGB": 11}),
        job("n", SessionChainingConfig={"EnableSessionTagChaining": True}),
        replace(job("n"), project="vision"),
    ]
    unsaid: dict[str, Any] = {"EnableNetworkIsolation": False, "VpcConfig": None}
    unsaid["SessionChainingConfig"] = {"EnableSessionTagChaining": False}
    assert key(one) == key(job("n", **unsaid))
    assert len({key(one), *map(key, different)}) == 1 + len(different)
