"""The agents of simulated nodes: they tell what their nodes do, until somebody has heard it."""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from trainshed.domain.errors import DriverError, StoreError
from trainshed.domain.facts import Fact
from trainshed.testing.simulation.life import story
from trainshed.testing.simulation.options import Messages
from trainshed.testing.simulation.shelf import Kept, Shelf

Report = Callable[[str, Sequence[Fact]], Awaitable[int | None]]
"""Takes facts of a node, by its id; returns the number of the last one that was taken, None when
nobody knows the node any more. Raises ``StoreError`` when none could be taken now."""

log = logging.getLogger(__name__)

_AT_ONCE: Final = 256
"""How many agents tell side by side."""
_NEVER: Final = float("inf")


class Agent:
    """Who tells of one node, as far as this process knows."""

    __slots__ = ("due", "forgotten", "heard", "kept", "last", "silent", "taken", "tries")

    def __init__(self, kept: Kept) -> None:
        """Have told nothing yet."""
        self.heard = 0
        """The number of the last fact that was taken."""
        self.tries = 0
        self.forgotten = False
        self.note(kept)

    def note(self, kept: Kept) -> None:
        """Have the node be as the file has it."""
        self.kept = kept
        told = story(kept.life)
        self.taken, self.silent, self.last = told.taken, told.silent, told.last
        self.due = 0.0

    @property
    def finished(self) -> bool:
        """Whether all was heard that it will ever tell."""
        return self.forgotten or self.heard >= self.last


class Agents:
    """Those that this process plays: of nodes that it launched, or was asked for."""

    def __init__(
        self, shelf: Shelf, report: Report, now: Callable[[], float], messages: Messages, seed: int
    ) -> None:
        """Tell ``report`` what nodes do, when they do it by ``now``."""
        self._shelf = shelf
        self._report = report
        self._now = now
        self._messages = messages
        self._seed = seed
        self._agents: dict[str, Agent] = {}
        self._dues: list[tuple[float, str]] = []
        """A heap of (moment, node id); an entry counts only while its agent is due then."""
        self._woken = asyncio.Event()

    def get(self, node_id: str) -> Agent | None:
        """Return the agent of a node that this process plays."""
        return self._agents.get(node_id)

    def play(self, kept: Kept) -> Agent:
        """Play a node's agent from now on, as the file has it."""
        agent = self._agents.get(kept.life.node_id)
        if agent is None:
            agent = self._agents[kept.life.node_id] = Agent(kept)
        else:
            agent.note(kept)
        self._plan(agent, 0.0)
        return agent

    def drop(self, node_id: str) -> None:
        """Play a node's agent no more."""
        self._agents.pop(node_id, None)

    async def act(self) -> frozenset[str]:
        """Tell all that is due; return the ids of nodes whose agents are gone since the last time.

        Returns when there is something to return.
        """
        while True:
            due = self._due()
            if not due:
                await self._wait()
                continue
            try:
                self._settle(due)
            except DriverError:
                log.exception("the agents of simulated nodes can't go on this time")
                again = self._now() + self._messages.again
                for agent in due:
                    self._plan(agent, again)
                continue
            async with asyncio.TaskGroup() as group:
                for agent in due:
                    group.create_task(self._tell(agent))
            gone = frozenset(agent.kept.life.node_id for agent in due if self._gone(agent))
            if gone:
                return gone

    def _due(self) -> list[Agent]:
        """Return the next agents whose time has come."""
        found: list[Agent] = []
        now = self._now()
        while self._dues and self._dues[0][0] <= now and len(found) < _AT_ONCE:
            moment, node_id = heapq.heappop(self._dues)
            agent = self._agents.get(node_id)
            if agent is not None and agent.due == moment:
                agent.due = _NEVER
                found.append(agent)
        return found

    async def _wait(self) -> None:
        """Wait for the next moment, or for somebody new."""
        self._woken.clear()
        seconds = max(self._dues[0][0] - self._now(), 1e-6) if self._dues else None
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def _plan(self, agent: Agent, moment: float) -> None:
        agent.due = moment
        if moment < _NEVER:
            heapq.heappush(self._dues, (moment, agent.kept.life.node_id))
            self._woken.set()

    def _settle(self, agents: Iterable[Agent]) -> None:
        with self._shelf.alone():
            found = self._shelf.settle([agent.kept for agent in agents], self._now())
        for agent in agents:
            kept = found.get(agent.kept.life.node_id)
            if kept is None:
                continue
            if kept.version > agent.kept.version + 1:  # another server was asked something
                agent.note(kept)
                agent.due = _NEVER
            agent.kept = kept

    def _gone(self, agent: Agent) -> bool:
        now = max(self._now(), agent.kept.life.told)
        return agent.finished or now >= agent.taken or agent.silent[0] <= now < agent.silent[1]

    async def _tell(self, agent: Agent) -> None:
        """Report what a node's agent knows and nobody has heard; plan when to go on."""
        life = agent.kept.life
        if life.removed is not None:
            self.drop(life.node_id)
            return
        told = story(life)
        now = self._now()
        chance = random.Random(f"{self._seed}/{life.node_id}/{agent.heard}/{agent.tries}")  # noqa: S311
        news = [fact for fact in told.heard(life.told) if fact.n > agent.heard]
        if news and self._messages.delay and not agent.tries:
            agent.tries = 1
            self._plan(agent, now + chance.random() * self._messages.delay)
            return
        if news and not await self._say(agent, news, chance):
            agent.tries += 1
            self._plan(agent, now + self._messages.again)
            return
        agent.tries = 0
        if agent.due == _NEVER and not agent.finished:
            self._plan(agent, told.next_after(life.told))

    async def _say(self, agent: Agent, news: Sequence[Fact], chance: random.Random) -> bool:
        """Report facts; tell whether there was an answer."""
        node_id = agent.kept.life.node_id
        if (lost := chance.random() < self._messages.lost) and chance.random() < 0.5:
            return False
        try:
            heard = await self._report(node_id, news)
            if chance.random() < self._messages.doubled:
                heard = await self._report(node_id, news)
        except StoreError:
            return False
        if lost:
            return False
        if heard is None:
            agent.forgotten = True
        else:
            agent.heard = max(agent.heard, heard)
        return True
