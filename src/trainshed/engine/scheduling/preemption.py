"""Who ends so that the head of the line starts: few, young, and only if it really makes room."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from trainshed.engine.scheduling.board import Board
from trainshed.engine.scheduling.room import Free
from trainshed.engine.scheduling.values import Group, Need, Pool, Running

U = TypeVar("U", Running, Pool)


def victims(
    board: Board,
    arn: str,
    group: Group,
    wanted: Sequence[Need],
    free: Free,
    before: Collection[str],
) -> list[str]:
    """Return the ARNs of the jobs that are to make room for a head; none where that is no use.

    Only preemptible jobs of lower priority (the one they were given, not the one that waiting has
    brought them), each of them whole. As few as possible; of the same number, the young ones.

    Args:
        board: who runs.
        arn: the head; while others make room for it, nobody else does.
        group: what it asks for.
        wanted: what it may run on and may have, best first.
        free: what is free now.
        before: ARNs of the heads before it: what is made free for them is theirs.
    """
    taken = board.taken.get(group.backend)
    if taken is None or board.victims.get(arn):
        return []
    lower = [
        job
        for job in taken.preemptible.values()
        if job.priority < group.priority and not job.preempted_for and not job.leaving
    ]
    if not lower:
        return []
    room = free.copy()
    for job in taken.leaving.values():
        if job.preempted_for not in before:
            room.add(job.need)
    if any(room.holds(need) for need in wanted):
        return []  # what is needed becomes free anyway
    found = (_fewest(lower, need, room) for need in wanted)
    return [job.arn for job in next(filter(None, found), [])]


def releases(
    board: Board, backend: str, wanted: Sequence[Need], free: Free, taken: Collection[str]
) -> list[str]:
    """Return the ARNs of the jobs whose warm nodes are to be let go, so that a head starts.

    Those that would be let go soonest, and none where all of them together are not enough.

    Args:
        board: what is kept warm.
        backend: where.
        wanted: what the head may run on, best first.
        free: what is free now.
        taken: ARNs of those that somebody takes over just now.
    """
    pools = [
        pool
        for pools in board.pools.values()
        for pool in pools.values()
        if pool.backend == backend and pool.arn not in taken
    ]
    pools.sort(key=lambda pool: (pool.ends, pool.arn))
    for need in wanted:
        room, chosen = free.copy(), list[Pool]()
        for pool in pools:
            if room.holds(need):
                break
            if _helps(pool.need, need, room):
                room.add(pool.need)
                chosen.append(pool)
        if chosen and room.holds(need):
            return [pool.arn for pool in _without_needless(chosen, need, room)]
    return []


def _fewest(lower: Sequence[Running], need: Need, free: Free) -> list[Running]:
    """Return the fewest and youngest that make room for ``need``; none where all are not enough."""
    useful = [job for job in lower if _helps(job.need, need, free)]
    youngest = sorted(useful, key=lambda job: (-job.started, job.arn))
    for job in youngest:
        room = free.copy()
        room.add(job.need)
        if room.holds(need):
            return [job]
    # More than one: the widest first, which makes them few.
    widest = sorted(youngest, key=lambda job: -_gain(job.need, need))
    room, chosen = free.copy(), list[Running]()
    for job in widest:
        room.add(job.need)
        chosen.append(job)
        if room.holds(need):
            break
    else:
        return []
    chosen = _without_needless(chosen, need, room)
    return _younger(chosen, youngest, need, room)


def _younger(
    chosen: list[Running], youngest: Sequence[Running], need: Need, room: Free
) -> list[Running]:
    """Return as many as ``chosen``, each swapped for a younger one where that is enough as well.

    ``room``: what is free without the chosen.
    """
    for old in sorted(chosen, key=lambda job: (job.started, job.arn)):
        for job in youngest:
            if job.started <= old.started:
                break
            if any(job is each for each in chosen):
                continue
            swapped = room.copy()
            swapped.add(old.need, -1)
            swapped.add(job.need)
            if swapped.holds(need):
                chosen = [job if each is old else each for each in chosen]
                room = swapped
                break
    return chosen


def _without_needless(chosen: list[U], need: Need, room: Free) -> list[U]:
    """Return ``chosen`` without those whose end is not needed; ``room`` is what they make."""
    kept = list(chosen)
    for each in chosen:
        room.add(each.need, -1)
        if room.holds(need):
            kept.remove(each)
        else:
            room.add(each.need)
    return kept


def _helps(given: Need, need: Need, free: Free) -> bool:
    """Tell whether what one gives up is of anything that is missing."""
    if free.nodes < need.nodes and given.nodes:
        return True
    gives = dict(given.bins)
    return any(free.bins[n] < nodes and gives.get(n) for n, nodes in need.bins)


def _gain(given: Need, need: Need) -> int:
    """Return how many nodes one gives up that the other can use."""
    if not need.bins:
        return given.nodes
    wanted = {position for position, _ in need.bins}
    return sum(nodes for position, nodes in given.bins if position in wanted)
