"""A driver with memory instead of machines, for tests of what stands above drivers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainshed.domain.errors import DriverError, NodeTaken
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, NodeState, Sight


@dataclass(kw_only=True)
class FakeDriver:
    """Nodes that exist only as entries here; tests take them away or make launching fail."""

    capabilities: Capabilities = field(default_factory=lambda: Capabilities(max_nodes=4))
    living: dict[str, NodePlan] = field(default_factory=dict)
    """By node id."""
    launched: list[str] = field(default_factory=list)
    """Node ids, in the order their agents were really started."""
    stopped: list[str] = field(default_factory=list)
    hurried: list[str] = field(default_factory=list)
    """Those that were told to stop at once."""
    interrupted: dict[str, float | None] = field(default_factory=dict)
    """Notice by node id, of those that were told that they are taken away."""
    taken: set[str] = field(default_factory=set)
    said: dict[str, Sight] = field(default_factory=dict)
    """What is seen of nodes, by id, where tests have said something of them."""
    looks: list[int] = field(default_factory=list)
    """How many nodes it was asked for, look by look."""
    removed: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Chains of warm pools that keep something."""
    refuse: DriverError | None = None
    """Raised by every launch while set."""
    hints: "asyncio.Queue[Handle]" = field(default_factory=asyncio.Queue)
    """What ``changed`` returns."""

    def get_ready(self) -> None:
        """Nothing makes launching quicker than it is."""

    def close(self) -> None:
        """Hold nothing."""

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the node unless it lives."""
        if plan.node_id in self.taken or plan.node_id in self.removed:
            raise NodeTaken(f"{plan.node_id} was taken away")
        if self.refuse is not None:
            raise self.refuse
        if plan.node_id not in self.living:
            self.living[plan.node_id] = plan
            self.launched.append(plan.node_id)
            self.kept |= {plan.warm_pool} - {""}
        return Handle("fake", plan.node_id)

    async def find(self, node_id: str) -> Handle:
        """Return the node's id as its handle."""
        return Handle("fake", node_id)

    async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Sight]:
        """Return what there is of the nodes."""
        self.looks.append(len(handles))
        return {handle: self._sight(handle.state) for handle in handles}

    async def changed(self) -> frozenset[Handle]:
        """Wait for a node to be lost or taken."""
        found = [await self.hints.get()]
        while not self.hints.empty():
            found.append(self.hints.get_nowait())
        return frozenset(found)

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Note that the node was asked to stop."""
        (self.hurried if at_once else self.stopped).append(handle.state)

    async def interrupt(self, handle: Handle, *, notice: float | None, reason: str) -> None:
        """Note that the node is to be taken away; with no time left, take it."""
        if handle.state in self.living:
            self.interrupted.setdefault(handle.state, notice)
            if notice == 0:
                self.take(handle.state)

    async def remove(self, handle: Handle) -> None:
        """Forget the node."""
        self.living.pop(handle.state, None)
        self.removed.append(handle.state)

    async def release_pool(self, pool: str) -> None:
        """Let go of what was kept, unless a node of the chain is there."""
        if not any(plan.warm_pool == pool for plan in self.living.values()):
            self.kept.discard(pool)

    def lose(self, node_id: str) -> None:
        """Have a node's agent vanish, as a crash of it does."""
        del self.living[node_id]
        self.hints.put_nowait(Handle("fake", node_id))

    def take(self, node_id: str) -> None:
        """Take a node away, as the place of a spot node does."""
        self.living.pop(node_id, None)
        self.taken.add(node_id)
        self.hints.put_nowait(Handle("fake", node_id))

    def say(self, node_id: str, sight: Sight, *, hint: bool = True) -> None:
        """Have a node be seen so from now on; without a hint, the next look finds out."""
        self.said[node_id] = sight
        if hint:
            self.hints.put_nowait(Handle("fake", node_id))

    def _sight(self, node_id: str) -> Sight:
        if node_id in self.said:
            return self.said[node_id]
        if node_id in self.living:
            return Sight(NodeState.LIVES)
        return Sight(NodeState.TAKEN if node_id in self.taken else NodeState.VANISHED)
