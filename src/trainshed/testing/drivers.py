"""A driver with memory instead of machines, for tests of what stands above drivers."""

from dataclasses import dataclass, field

from trainshed.domain.errors import DriverError, NodeGone
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle


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
    removed: list[str] = field(default_factory=list)
    refuse: DriverError | None = None
    """Raised by every launch while set."""

    def get_ready(self) -> None:
        """Nothing makes launching quicker than it is."""

    def close(self) -> None:
        """Hold nothing."""

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the node unless it lives."""
        if self.refuse is not None:
            raise self.refuse
        if plan.node_id not in self.living:
            self.living[plan.node_id] = plan
            self.launched.append(plan.node_id)
        return Handle("fake", plan.node_id)

    async def observe(self, handle: Handle) -> None:
        """Raise ``NodeGone`` unless the node lives."""
        if handle.state not in self.living:
            raise NodeGone(f"{handle.state} was taken away")

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Note that the node was asked to stop."""
        (self.hurried if at_once else self.stopped).append(handle.state)

    async def remove(self, handle: Handle) -> None:
        """Forget the node."""
        self.living.pop(handle.state, None)
        self.removed.append(handle.state)

    def lose(self, node_id: str) -> None:
        """Take a node away, as a crash of its agent does."""
        del self.living[node_id]
