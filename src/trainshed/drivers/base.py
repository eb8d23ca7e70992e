"""What every driver promises.

A driver starts one agent per node and can find it again. It knows nothing of jobs: what happens
inside a node is told by the agent's facts.
"""

from dataclasses import dataclass
from typing import Protocol

from trainshed.domain.instances import Instance
from trainshed.domain.plan import NodePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do, as data the planner reads."""

    max_nodes: int
    """Nodes that may run at once; jobs wait beyond that."""
    images: tuple[tuple[str, str], ...] = ()
    """(image name pattern, what runs in its place), first match wins: an environment path for the
    process runtime, which runs no other image; an image for every other, which runs any."""
    runtime: str = "process"
    """See ``NodePlan.runtime``."""
    engine: str = ""
    """See ``NodePlan.engine``."""
    pull: str = "missing"
    """See ``NodePlan.pull``."""
    instances: tuple[tuple[str, Instance], ...] = ()
    """(instance type pattern, what it means here), first match wins; else the catalogue's."""
    shm: int = 0
    """Bytes of /dev/shm of every container; 0 for half of its memory."""
    grace: float = 120.0
    """Seconds between SIGTERM and SIGKILL."""
    container_host: str = ""
    """The host by which containers reach the server; "" for the one that nodes use."""


@dataclass(frozen=True, slots=True)
class Handle:
    """Points at a node. Stored as text, so it outlives our restarts."""

    driver: str
    state: str


class Driver(Protocol):
    """A place where nodes run. Every method may be repeated after a crash at any line."""

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do. Constant while the server runs."""
        ...

    def get_ready(self) -> None:
        """Do ahead what makes launching quick; called once, on the loop that launches."""
        ...

    def close(self) -> None:
        """Let go of what this process holds; nodes live on."""
        ...

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the plan's agent and return how to find it; return at once, do not wait for it.

        The same ``plan.node_id`` again: if its agent lives, nothing is started; if it is gone,
        it is started over its own journal, and goes on where the journal ends.

        Raises:
            NoCapacity: nothing was started.
            DriverError: nothing was started, and trying again will not help.
        """
        ...

    async def observe(self, handle: Handle) -> None:
        """Return if the node's agent lives.

        Raises:
            NodeGone: no agent lives. Expected once its ``ended`` fact was taken, else a loss.
        """
        ...

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Ask the agent to stop its container: SIGTERM, SIGKILL after the plan's grace.

        ``at_once`` tells it to wait no longer: neither for the grace nor for its peers. Asking the
        same again changes nothing; stopping what is gone is no error.
        """
        ...

    async def remove(self, handle: Handle) -> None:
        """Kill what is left of the node and delete its scratch; what is gone is no error.

        Raises:
            DriverError: something is still there; the same call may do it later.
        """
        ...
