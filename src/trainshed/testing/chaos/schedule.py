"""What is killed when: drawn from a seed and nothing else, so that it can be had again.

Two sources. Each life of a server has a point at which it dies, and its agents one at which each
of them does: over the lives, all points in turn. Beside that, somebody strikes at any moment.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from trainshed.testing.faults import points
from trainshed.testing.faults.plan import Do, Fault, Plan

_RARE: Final = 0.25
"""The share of the lives that end at no point that is named for them."""
_ONE_IN: Final = 1500
"""The chance of a server to die at any point that it passes: what it passes often, it dies at."""


class Strike(StrEnum):
    """What somebody may do at any moment."""

    SERVER = "server"
    """SIGKILL of a server."""
    SERVERS = "all servers"
    """SIGKILL of all at once."""
    STOP = "server, asked to end"
    """SIGTERM: no kill, but its lives end at points of their own."""
    PAUSE = "server, paused"
    """SIGSTOP, for longer than a lease lasts; then SIGCONT."""
    AGENT = "agent"
    """SIGKILL of an agent."""
    PROGRAM = "program"
    """SIGKILL of what a job trains."""
    NODE = "agent and program"
    """SIGKILL of all that runs on a node."""
    SESSION = "database session"
    """A server's session at PostgreSQL is ended by an operator."""
    BACKEND = "database backend"
    """SIGKILL of a process of PostgreSQL, which then begins anew."""
    DATABASE = "database"
    """SIGKILL of all of PostgreSQL."""


KILLS: Final = frozenset(Strike) - {Strike.STOP, Strike.PAUSE, Strike.SESSION}
"""What counts as a kill."""
_ONE: Final = {
    Strike.SERVER: 6,
    Strike.STOP: 1,
    Strike.AGENT: 6,
    Strike.PROGRAM: 3,
    Strike.NODE: 5,
}
_SEVERAL: Final = _ONE | {
    Strike.SERVERS: 1,
    Strike.PAUSE: 1,
    Strike.SESSION: 1,
    Strike.BACKEND: 1,
    Strike.DATABASE: 1,
}


@dataclass(frozen=True, slots=True)
class Due:
    """A strike, and how long to wait before it."""

    after: float
    strike: Strike
    choice: float
    """Which of those there are, from 0 to 1."""


def strikes(seed: str, *, several: bool, every: float) -> Iterator[Due]:
    """Yield what somebody does, one every so many seconds on average.

    Args:
        seed: decides.
        several: whether there are several servers, and a database of its own.
        every: seconds.
    """
    chance = Random(f"{seed}/strikes")  # noqa: S311
    weights = _SEVERAL if several else _ONE
    while True:
        (strike,) = chance.choices(list(weights), list(weights.values()))
        yield Due(chance.uniform(0.2, 1.8) * every, strike, chance.random())


class Lives:
    """The plans of one server's lives, and of its agents."""

    def __init__(self, seed: str, only: Collection[str] = ()) -> None:
        """Have all points come in turn, in an order of the seed's; or ``only`` some of them."""
        self._seed = seed
        chance = Random(f"{seed}/points")  # noqa: S311
        self._nth = (1,) if only else (1, 1, 1, 2, 4)
        self._server = [each for each in points.SERVER if each in only] or list(points.SERVER)
        self._agent = [each for each in points.AGENT if each in only] or list(points.AGENT)
        chance.shuffle(self._server)
        chance.shuffle(self._agent)

    def plans(self, life: int) -> tuple[Plan, Plan]:
        """Return what happens in a life, from 1: to the server, and to each of its agents."""
        chance = Random(f"{self._seed}/{life}")  # noqa: S311
        number = int.from_bytes(chance.randbytes(4), "big")
        server, agent = Plan(seed=number), Plan(seed=number)
        if chance.random() >= _RARE:
            point = self._server[life % len(self._server)]
            nth = chance.choice(self._nth)
            fault = Fault(at=point, do=Do.CRASH, nth=nth, life=life)
            anywhere = Fault(at="*", do=Do.CRASH, one_in=_ONE_IN)
            server = Plan(seed=number, faults=(fault, anywhere))
        if chance.random() >= _RARE:
            point = self._agent[life % len(self._agent)]
            fault = Fault(at=point, do=Do.CRASH, nth=chance.choice((1, 1, 2)))
            agent = Plan(seed=number, faults=(fault,))
        return server, agent
