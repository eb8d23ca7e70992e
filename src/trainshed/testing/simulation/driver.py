"""A driver whose instances do not exist: its nodes are entries in a file.

It plays the agents too, while somebody waits in ``changed``: they tell what nodes do at the moments
of a clock that is passed in, the real one or a test's.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from trainshed.domain.errors import NoCapacity, NodeTaken
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, NodeState, Sight
from trainshed.testing.simulation.agents import Agent, Agents, Report
from trainshed.testing.simulation.life import Life
from trainshed.testing.simulation.options import SimulatedBackend
from trainshed.testing.simulation.script import Script
from trainshed.testing.simulation.shelf import Kept, Shelf

_AT_ONCE: Final = 1000
"""How many nodes are looked at in one go."""
_NEVER: Final = float("inf")
_AFTER: Final = 1e-6
"""What is asked of a node counts from just after the last moment that somebody may know of."""


class SimulatedDriver:
    """Nodes that are entries in a file, which outlives ``kill -9`` of the server."""

    def __init__(
        self,
        *,
        name: str,
        report: Report,
        clock: Callable[[], datetime],
        options: SimulatedBackend | None = None,
        file: Path | None = None,
    ) -> None:
        """Launch nothing yet.

        Args:
            name: the backend's.
            report: takes what agents tell.
            clock: what time it is.
            options: what the place is like.
            file: where nodes are kept; None for memory. Several servers may share one.
        """
        self._name = name
        self._options = options or SimulatedBackend()
        self._clock = clock
        self._shelf = Shelf(file)
        self._agents = Agents(
            self._shelf, report, self._now, self._options.messages, self._options.seed
        )
        self._launches = 0
        self._capabilities = self._options.capabilities()

    @property
    def capabilities(self) -> Capabilities:
        """What was configured."""
        return self._capabilities

    def get_ready(self) -> None:
        """Nothing makes launching quicker than it is."""

    def close(self) -> None:
        """Let go of the file; nodes live on."""
        self._shelf.close()

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the plan's agent; see ``drivers.base``."""
        now = self._now()
        with self._shelf.alone():
            known = self._shelf.find(plan.node_id)
            kept = self._begin(plan, now) if known is None else self._again(known, now)
        if known is None or kept != known or self._agents.get(plan.node_id) is None:
            self._agents.play(kept)
        return Handle(self._name, plan.node_id)

    async def find(self, node_id: str) -> Handle:
        """Return the handle that a node has, or would have."""
        return Handle(self._name, node_id)

    async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Sight]:
        """Return what is seen of nodes; see ``drivers.base``."""
        now, seen = self._now(), {}
        for first in range(0, len(handles), _AT_ONCE):
            if first:
                await asyncio.sleep(0)  # others have their turn
            for handle in handles[first : first + _AT_ONCE]:
                seen[handle] = Sight(self._state(handle.state, now))
        return seen

    async def changed(self) -> frozenset[Handle]:
        """Play the agents until some of them are gone; return whose."""
        return frozenset(Handle(self._name, node_id) for node_id in await self._agents.act())

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Ask the agent to stop its container; see ``drivers.base``."""

        def asked(life: Life, now: float) -> Life:
            if life.stop is None:
                life = replace(life, stop=now)
            return replace(life, hurry=now) if at_once and life.hurry is None else life

        self._ask(handle, asked)

    async def interrupt(self, handle: Handle, *, notice: float | None, reason: str) -> None:
        """Take the node away; see ``drivers.base``."""

        def asked(life: Life, now: float) -> Life:
            if life.notice is not None:
                return life
            deadline = None if notice is None else now + notice
            return replace(life, notice=now, deadline=deadline, reason=reason)

        self._ask(handle, asked)

    async def remove(self, handle: Handle) -> None:
        """End what is left of the node; see ``drivers.base``."""
        node_id, now = handle.state, self._now()
        with self._shelf.alone():
            known = self._shelf.find(node_id)
            if known is None:  # a launch may still be on its way
                known = self._shelf.add(Life(node_id=node_id, script=Script(), began=now), "")
            if known.life.removed is None:
                moment = max(now, known.life.told) + _AFTER
                self._shelf.change(node_id, lambda life: replace(life, removed=moment, told=moment))
                self._cool(known.life, now)
        self._agents.drop(node_id)

    async def release_pool(self, pool: str) -> None:
        """Have nothing of a chain of warm pools be warm any more; see ``drivers.base``."""
        with self._shelf.alone():
            self._shelf.release(pool)

    def _now(self) -> float:
        return self._clock().timestamp()

    def _cool(self, life: Life, now: float) -> None:
        """Have the instance of a node that is removed be warm for another one."""
        if life.pool:
            self._shelf.cool(_kept_for(life.pool, life.node_id), _NEVER, life.pool)
        elif life.instance_type and self._options.warm_for:
            self._shelf.cool(life.instance_type, now + self._options.warm_for)

    def _begin(self, plan: NodePlan, now: float) -> Kept:
        """Keep a new node.

        Raises:
            NoCapacity: the place has no instance for it now.
            DriverError: its hyperparameters say what can't be.
        """
        options = self._options
        script = options.job.of(plan.hyperparameters)
        stock = options.stock_of(plan.instance_type)
        self._launches += 1
        luck = random.Random(f"{options.seed}/{plan.node_id}/{self._launches}")  # noqa: S311
        has = options.stock_at(stock, now) if stock else None
        if luck.random() < options.launch_failures or (
            has is not None and self._shelf.in_use(stock, now) >= has
        ):
            raise NoCapacity(f"{self._name} has no {plan.instance_type} at the moment")
        _, attempt, host = plan.node_id.split(".")
        spot = bool(plan.request.get("EnableManagedSpotTraining"))
        fate = random.Random(f"{options.seed}/{plan.node_id}")  # noqa: S311
        script = script.in_attempt(int(attempt), host).befallen(
            fate,
            notices=options.interruptions_per_hour if spot else 0.0,
            losses=options.losses_per_hour,
        )
        kind = _kept_for(plan.warm_pool, plan.node_id) if plan.warm_pool else plan.instance_type
        warm = self._shelf.take_warm(kind, now)
        done, kept_at = self._work_kept(plan, now)
        life = Life(
            node_id=plan.node_id,
            script=script,
            began=now + (options.warm_launch_seconds if warm else options.launch_seconds),
            instance_type=plan.instance_type,
            checkpoints=_checkpoints(plan, host),
            pool=plan.warm_pool,
            done=done,
            kept_at=kept_at,
            grace=plan.grace,
            max_runtime=plan.max_runtime,
            told=now,
        )
        return self._shelf.add(life, stock)

    def _again(self, known: Kept, now: float) -> Kept:
        """Return a node that was launched before, with an agent if it has lost its own.

        Raises:
            NodeTaken: it is no more.
        """
        agent = Agent(known)
        life = known.life
        now = max(now, life.told)
        if life.removed is not None or now >= agent.taken:
            raise NodeTaken(f"{life.node_id} was taken away")
        if not agent.silent[0] <= now < agent.silent[1]:
            return known
        moment = now + _AFTER
        put = self._shelf.change(
            life.node_id, lambda life: replace(life, relaunched=moment, told=moment)
        )
        return put or known

    def _work_kept(self, plan: NodePlan, now: float) -> tuple[float, float]:
        """Return (seconds of work, moment) that every node of the job finds kept."""
        places = [_checkpoints(plan, host) for host in plan.hosts]
        if not all(places):
            return 0.0, 0.0
        for place in places:
            self._shelf.settle_keepers(place, now)
        return min(self._shelf.work(place) for place in places)

    def _state(self, node_id: str, now: float) -> NodeState:
        agent = self._agents.get(node_id)
        if agent is None:
            kept = self._shelf.find(node_id)
            if kept is None or kept.life.removed is not None:
                return NodeState.VANISHED
            agent = self._agents.play(kept)
        now = max(now, agent.kept.life.told)
        if now >= agent.taken:
            return NodeState.TAKEN
        silent = agent.silent[0] <= now < agent.silent[1]
        return NodeState.VANISHED if silent or agent.finished else NodeState.LIVES

    def _ask(self, handle: Handle, change: Callable[[Life, float], Life]) -> None:
        """Have a node know what is asked of it, unless it is no more."""
        with self._shelf.alone():
            known = self._shelf.find(handle.state)
            if known is None or known.life.removed is not None:
                return
            moment = max(self._now(), known.life.told) + _AFTER
            kept = self._shelf.change(
                handle.state, lambda life: replace(change(life, moment), told=moment)
            )
        if kept is not None:
            self._agents.play(kept)


def _kept_for(pool: str, node_id: str) -> str:
    """Return what the warm instance of a pool is called that a node takes over, or leaves."""
    return f"{pool} {node_id.rpartition('.')[2]}"


def _checkpoints(plan: NodePlan, host: str) -> str:
    """Return where a host's checkpoints are kept; "" where none are."""
    where = str((plan.request.get("CheckpointConfig") or {}).get("S3Uri") or "")
    return where and f"{where} {host}"
