"""What every driver promises.

A driver starts one agent per node and can find it again. It knows nothing of jobs: what happens
inside a node is told by the agent's facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from trainshed.domain.instances import Instance
from trainshed.domain.plan import NodePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do, as data the planner reads."""

    max_nodes: int
    """Nodes that may run at once; jobs wait beyond that."""
    images: tuple[tuple[str, str], ...] = ()
    """(image name pattern, what runs in its place), the closest counts: an environment path for the
    process runtime, which runs no other image; an image for every other, which runs any."""
    runtime: str = "process"
    """See ``NodePlan.runtime``."""
    engine: str = ""
    """See ``NodePlan.engine``."""
    pull: str = "missing"
    """See ``NodePlan.pull``."""
    instances: tuple[tuple[str, Instance], ...] = ()
    """(instance type pattern, what it means here), the closest counts; else the catalogue's."""
    shm: int = 0
    """Bytes of /dev/shm of every container; 0 for half of its memory."""
    grace: float = 120.0
    """Seconds between SIGTERM and SIGKILL."""
    container_host: str = ""
    """The host by which containers reach the server; "" for the one that nodes use."""
    server_url: str = ""
    """The server as this place's nodes and their containers reach it, ``http://host:port``; "" for
    nodes on the server's machine, which have its address, its files and its cache."""
    capacity: tuple[tuple[str, int], ...] = ()
    """(instance type pattern, nodes of it that may run at once), the closest counts; a type that
    none fits is limited by ``max_nodes`` alone. Patterns of several types share their number."""
    max_launching: int = 0
    """Nodes that may be starting at once, whatever may run; 0 for as many as run."""
    prices: tuple[tuple[str, float], ...] = ()
    """(instance type pattern, money per node and hour), the closest counts; unknown where none."""
    spot_prices: tuple[tuple[str, float], ...] = ()
    """The same for managed spot training; where none fits, ``prices`` count."""


class NodeState(StrEnum):
    """What a driver sees of a node."""

    LIVES = "lives"
    """Its agent is there, or will be: the place may let a node wait before it begins."""
    VANISHED = "vanished"
    """No agent is there, but the node's folder is: launching starts one over its journal."""
    TAKEN = "taken"
    """The place took the node away, and what was on it. It never comes back."""
    HOPELESS = "hopeless"
    """The place will never start it; nothing of it will ever run."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a driver sees of a node, and says of it."""

    state: NodeState
    says: str = ""
    """Of a node that lives, why it has not begun yet, for people; "" for one that has, or soon
    will. Of one that was taken, who took it and why; "" where nobody knows. Of a hopeless one, why,
    as a FailureReason: ``ClientError: …`` where the job must change, ``CapacityError: …`` where the
    place has no room for it."""


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

        The same ``plan.node_id`` again: if its agent lives, nothing is started; if it vanished,
        it is started over its own journal, and goes on where the journal ends.

        Raises:
            NodeTaken: the node was taken away or removed; nothing was started, nor ever will be.
            NoCapacity: nothing was started.
            DriverError: nothing was started, and trying again will not help.
        """
        ...

    async def find(self, node_id: str) -> Handle:
        """Return the handle that a node has, or would have, whether it was ever launched or not.

        A server that died may have launched it and told nobody: so it can be removed all the same.
        """
        ...

    async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Sight]:
        """Return what is seen of nodes, all in one look; nothing of those that can't be seen now.

        ``VANISHED`` and ``TAKEN`` are expected once the node's ``ended`` fact was taken. A job is
        written anew whenever what is said of its nodes changes: leave out what changes by itself,
        such as times and counts of attempts.

        Raises:
            DriverError: the place can't be seen at all.
        """
        ...

    async def changed(self) -> frozenset[Handle]:
        """Wait until nodes may have changed, and return which. A hint, never the truth: observe.

        A driver that can't tell waits for ever; then the next look finds out.
        """
        ...

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Ask the agent to stop its container: SIGTERM, SIGKILL after the plan's grace.

        ``at_once`` tells it to wait no longer: neither for the grace nor for its peers. Asking the
        same again changes nothing; stopping what is gone is no error. A node that waits to begin
        never does then: where no agent will be there to tell its end, it becomes ``HOPELESS``.
        """
        ...

    async def interrupt(self, handle: Handle, *, notice: float | None, reason: str) -> None:
        """Take the node away. Asking again changes nothing; what is gone is no error.

        The agent hears of it (fact ``notice``), has its container stop, keeps the last checkpoints,
        and ends with ``Outcome.INTERRUPTED``. A node that waits to begin never does then: where no
        agent will be there to tell its end, it becomes ``TAKEN``.

        Args:
            handle: which node.
            notice: seconds until the node is gone (``TAKEN``), whatever its agent does then, also
                when this server dies meanwhile; 0 for at once, without a word to the agent; None
                to wait until its checkpoints are safe.
            reason: why, for people.

        Raises:
            DriverError: it can't be; the same call may do it later.
        """
        ...

    async def remove(self, handle: Handle) -> None:
        """Kill what is left of the node and delete its scratch; what is gone is no error.

        It is final: no launch brings a removed node back, however late it comes.

        Raises:
            DriverError: something is still there; the same call may do it later.
        """
        ...

    async def release_pool(self, pool: str) -> None:
        """Delete what the nodes of a chain of warm pools kept for those after them.

        Nodes whose plans name the same ``warm_pool`` and host find the same ``warm_cache``, one
        after the other. As long as such a node is there, nothing is deleted: whoever removes the
        last one calls this after it. What is gone is no error.

        Raises:
            DriverError: something is still there; the same call may do it later.
        """
        ...
