"""What is left of a place while the scheduler deals it out, and when more becomes free."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from math import inf

from trainshed.engine.scheduling.board import Taken
from trainshed.engine.scheduling.values import Need, Place, Pool, Running


@dataclass(slots=True)
class Free:
    """Nodes that nobody uses."""

    nodes: int
    bins: list[int]
    """By position in ``Place.capacity``."""

    def add(self, need: Need, times: int = 1) -> None:
        """Count what becomes free; -1 times what is taken."""
        self.nodes += times * need.nodes
        for position, nodes in need.bins:
            self.bins[position] += times * nodes

    def holds(self, need: Need) -> bool:
        """Tell whether there is room for all of a job."""
        return self.nodes >= need.nodes and all(
            self.bins[position] >= nodes for position, nodes in need.bins
        )

    def copy(self) -> "Free":
        """Return the same, to be counted on."""
        return Free(self.nodes, list(self.bins))


@dataclass(slots=True)
class Reservation:
    """Room that is kept for the head of the line, from when it surely is there."""

    arn: str
    at: float
    """When it starts at the latest."""
    spare: Free
    """What is free then beside it; below nothing where the room is not there yet."""


class Room:
    """What is left of one place."""

    def __init__(
        self, place: Place, taken: Taken, users: Mapping[str, Running | Pool], now: float
    ) -> None:
        """Begin with what nobody of ``users`` (by ARN) uses."""
        self.place = place
        self.free = Free(
            place.nodes - taken.nodes,
            [limit - taken.bins.get(n, 0) for n, (_, limit) in enumerate(place.capacity)],
        )
        self.starting = taken.starting
        self.reservations: list[Reservation] = []
        self.keys: set[tuple[int, ...]] = set()
        """What has a head that waits for it: positions in ``Place.capacity``."""
        self.promised = 0
        """Nodes that heads wait for."""
        self.full_of_starts = False
        """Whether a head waits for other nodes to have started."""
        self._taken = taken
        self._users = users
        self._now = now
        self._admitted: list[tuple[float, Need]] = []
        self._gone: set[str] = set()
        """Pools that were taken over by those admitted."""

    def fits(self, need: Need) -> bool:
        """Tell whether there is room for all of a job now."""
        return self.free.holds(need)

    def short_of(self, need: Need) -> list[int]:
        """Return of which of ``Place.capacity`` there is too little, where nodes are enough."""
        if self.free.nodes < need.nodes:
            return []
        return [n for n, nodes in need.bins if self.free.bins[n] < nodes]

    def may_start(self, need: Need) -> bool:
        """Tell whether its nodes may be started now; what is wider than the limit starts alone."""
        limit = self.place.max_launching
        return not limit or not self.starting or self.starting + need.nodes <= limit

    def ever(self, need: Need) -> bool:
        """Tell whether there would be room if nobody used the place."""
        return need.nodes <= self.place.nodes and all(
            nodes <= self.place.capacity[position][1] for position, nodes in need.bins
        )

    def delays(self, need: Need, ends: float, pool: Pool | None = None) -> str:
        """Return the ARN of a head that this job could delay; "" when it delays none.

        Args:
            need: what the job takes.
            ends: when it must be over.
            pool: whose nodes it takes over, instead of free ones.
        """
        for each in self.reservations:
            if self._in_the_way(each, ends, pool) and not each.spare.holds(need):
                return each.arn
        return ""

    def take(self, need: Need, ends: float, pool: Pool | None = None) -> None:
        """Give a job its nodes."""
        for each in self.reservations:
            if self._in_the_way(each, ends, pool):
                each.spare.add(need, -1)
        self._admitted.append((ends, need))
        if pool is not None:
            self._gone.add(pool.arn)
            return
        self.free.add(need, -1)
        self.starting += need.nodes

    def reserve(self, arn: str, needs: Sequence[Need], *, patient: bool) -> float:
        """Keep room for a head; return when it starts at the latest, ``inf`` when nothing tells.

        Args:
            arn: the head.
            needs: what it may run on, best first.
            patient: False to let nobody pass but who needs nothing of what it waits for.
        """
        at, need, free = self._surely(needs) if patient else (self._now, needs[0], self.free.copy())
        free.add(need, -1)
        self.promised += need.nodes
        self.reservations.append(Reservation(arn, at, free))
        return at

    def surely(self, needs: Sequence[Need]) -> float:
        """Return when there is room for one of ``needs`` at the latest, whoever waits besides."""
        return self._surely(needs)[0]

    def _in_the_way(self, head: Reservation, ends: float, pool: Pool | None) -> bool:
        if ends <= head.at:
            return False
        return pool is None or max(pool.ends, self._now) <= head.at

    def _surely(self, needs: Sequence[Need]) -> tuple[float, Need, Free]:
        """Return when there is room for one of ``needs``, for which, and all that is free then."""
        free = self.free.copy()
        at, found = self._now, next((need for need in needs if free.holds(need)), None)
        for ends, need in self._endings():
            if found is not None and max(ends, self._now) > at:
                return at, found, free
            free.add(need)
            if found is None:
                at = max(ends, self._now)
                found = next((each for each in needs if free.holds(each)), None)
        if found is None:
            return inf, needs[0], free
        return at, found, free

    def _endings(self) -> Iterator[tuple[float, Need]]:
        """Yield (when it must be over, what becomes free then), soonest first."""
        running = (
            (ends, self._users[arn].need) for ends, arn in self._taken.ends if arn not in self._gone
        )
        admitted = sorted(self._admitted, key=lambda each: each[0])
        yield from merge(running, admitted, key=lambda each: each[0])
