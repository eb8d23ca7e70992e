"""Nodes of this machine: each one a detached agent with a folder of its own.

The folder is the handle: whoever holds ``agent.lock`` in it is the node's agent, so a server that
was killed finds its nodes again, and a node can't be started twice. Agents outlive the server, and
several servers of one machine may share the folders.

    nodes/<node_id>/plan.json    what to run (written here)
                    stop, notice, taken   see ``marks``
                    agent.lock   held while the agent lives: "<pid> <start time>"
                    to-clean     there while a container engine may hold something of the node
                    uploads/     a file for each upload under way
                    …            what the agent makes: journal, log, the /opt/ml tree
    removed/<node_id>            the node was removed
    unsent/<job>/<node_id>/      results that no store would take; never removed
    pools/<chain>/               what warm pools keep, see ``pools``
"""

import asyncio
import contextlib
import functools
import logging
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from trainshed.domain.errors import DriverError, NodeTaken
from trainshed.domain.notice import Notice
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, NodeState, Sight
from trainshed.drivers.local import leaving
from trainshed.drivers.local.agents import Agents
from trainshed.drivers.local.marks import Marks, Taken, tombstone
from trainshed.drivers.local.pools import Pools, hosts_of
from trainshed.drivers.local.spare import Spare

_WARM_UP_SECONDS: Final = 0.5
"""How long after a launch the next spare agent is started."""
_AT_ONCE: Final = 200
"""Nodes that are looked at before others on the event loop have their turn: 5 ms."""
_AGENT: Final = (sys.executable, "-I", "-m", "trainshed.agent")
_WAIT: Final = {"process": ("--wait",), "docker": ("--wait", "docker")}
"""How an agent is told to wait for work, with all loaded that a runtime needs."""

log = logging.getLogger(__name__)


class LocalDriver:
    """Starts agents as processes of this machine."""

    def __init__(
        self,
        *,
        name: str,
        root: Path,
        capabilities: Capabilities,
        environment: Mapping[str, str],
        clock: Callable[[], datetime],
        agent: Sequence[str] = _AGENT,
    ) -> None:
        """Start nothing yet.

        Args:
            name: the backend's.
            root: the folder that holds a folder per node.
            capabilities: what was configured.
            environment: what agents get.
            clock: returns the time.
            agent: the command that starts one.
        """
        self._name = name
        self._root = root
        self._capabilities = capabilities
        self._environment = dict(environment)
        self._clock = clock
        self._agent = tuple(agent)
        self._spare = Spare((*agent, *_WAIT[capabilities.runtime]), environment)
        self._agents = Agents()
        self._pools = Pools(root)
        self._warming: asyncio.TimerHandle | None = None
        self._deadlines: dict[Path, tuple[float, asyncio.TimerHandle]] = {}
        self._taking: dict[Path, asyncio.Task[None]] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What was configured."""
        return self._capabilities

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the plan's agent; see ``drivers.base``.

        A removal in another server may come at any line here, and this server may stand still
        between any two. A removal sets the node's tombstone first, for ever, and kills then who
        holds the node's lock. An agent looks for the tombstone once it holds the lock: if it finds
        none, the removal has yet to look at the lock. No folder is deleted before that in which
        somebody holds it. So who is not killed does not begin. We look as well, just before an
        agent is started, and remove a folder that we made too late.
        """
        folder = self._root / plan.node_id
        marks, new = Marks(folder), False
        try:
            self._is_due(marks, marks.taken)
            _refuse_ended(marks)
            new = _make(folder)
            if not self._agents.lives(folder):
                marks.lay()
                _write(folder / "plan.json", self._kept(plan, folder).to_json())
                _refuse_ended(marks)
                self._agents.add(folder, self._spare.take(folder))
                self._warm_up_later()
        except (OSError, NodeTaken) as error:
            if new:  # nobody will hear of it, so nobody would remove it
                self._undo(folder)
            if isinstance(error, OSError):
                _refuse_ended(marks)  # whoever removed it took its folder from under our hands
                raise DriverError(f"cannot start a node in {folder}: {error}") from error
            raise
        return Handle(self._name, str(folder))

    async def find(self, node_id: str) -> Handle:
        """Return the node's folder as its handle."""
        return Handle(self._name, str(self._root / node_id))

    async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Sight]:
        """Return whose agents live; have those taken away whose time is over."""
        found = {}
        for number, handle in enumerate(handles, 1):
            found[handle] = self._seen(Path(handle.state))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    async def changed(self) -> frozenset[Handle]:
        """Wait until an agent that was launched or observed here ends, or a node is taken."""
        found = await self._agents.changed()
        return frozenset(Handle(self._name, str(folder)) for folder in found)

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Write the wish down, then wake the agent by SIGTERM.

        An agent that starts later finds the wish in the file.
        """
        folder = Path(handle.state)
        if folder.is_dir():
            Marks(folder).note_wish(at_once=at_once)
            self._agents.terminate(folder)

    async def interrupt(self, handle: Handle, *, notice: float | None, reason: str) -> None:
        """Give the node word, or take it away at once; see ``drivers.base``.

        Of several notices the one counts that leaves the node the least time.
        """
        folder = Path(handle.state)
        if not folder.is_dir():
            return
        if notice is not None and notice <= 0:
            self._begin_to_take(folder)
            await asyncio.shield(self._taking[folder])
            return
        now = self._clock().timestamp()
        deadline = 0.0 if notice is None else now + notice
        marks = Marks(folder)
        try:
            marks.note_notice(Notice(at=now, deadline=deadline, reason=reason))
        except OSError as error:
            raise DriverError(f"{folder} cannot be given notice: {error}") from error
        self._agents.terminate(folder)
        self._is_due(marks, marks.taken)

    async def remove(self, handle: Handle) -> None:
        """Kill the agent, and with it the container; delete the folder; leave a tombstone.

        ``launch`` says why no agent can begin once the tombstone stands. A full disk may have no
        room for it: then the mark in the folder stands for it until what took the room is gone.
        """
        folder = Path(handle.state)
        marks = Marks(folder)
        self._forget_deadline(folder)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(marks.note_removed)
        try:
            if folder.is_dir():
                with contextlib.suppress(OSError):  # no room for a mark that nobody has laid
                    marks.note_taken(max(Taken.BEING, marks.taken))
                await self._end(folder)
                await leaving.delete(folder, but="taken")
            await asyncio.to_thread(marks.note_removed)
        except OSError as error:
            raise DriverError(f"{folder} cannot be removed: {error}") from error
        await leaving.delete(folder)

    async def release_pool(self, pool: str) -> None:
        """Delete what a chain of warm pools kept, unless a node of it is there."""
        try:
            for folder in await asyncio.to_thread(self._pools.leave, pool):
                with contextlib.suppress(FileNotFoundError):  # another server deletes it as well
                    for host in hosts_of(folder):
                        await self._end(host)
                await leaving.delete(folder)
        except OSError as error:
            raise DriverError(f"the warm pool {pool} cannot be deleted: {error}") from error

    def get_ready(self) -> None:
        """Have an agent ready for the next launch."""
        self._spare.prepare()

    def close(self) -> None:
        """Let the spare agent go; nodes live on, and other servers see to their deadlines."""
        if self._warming is not None:
            self._warming.cancel()
        for folder in list(self._deadlines):
            self._forget_deadline(folder)
        for task in self._taking.values():
            task.cancel()
        self._agents.close()
        self._spare.close()

    def _undo(self, folder: Path) -> None:
        """Delete a folder just made, unless an agent that another server started works in it."""
        try:
            held = self._agents.lives(folder)
        except OSError:  # such as a path too long: nobody else can have opened it either
            held = False
        if not held:
            shutil.rmtree(folder, ignore_errors=True)

    def _kept(self, plan: NodePlan, folder: Path) -> NodePlan:
        """Return the plan as its agent reads it, with the folders that outlive the node."""
        cache = ""
        if plan.warm_pool:
            cache = str(self._pools.join(plan.warm_pool, plan.host, plan.node_id))
        return replace(
            plan,
            warm_cache=cache,
            unsent=str(self._root.parent / "unsent"),
            uploads=str(folder / leaving.UPLOADS),
            removed=str(tombstone(folder)),
        )

    def _seen(self, folder: Path) -> Sight:
        marks = Marks(folder)
        taken = marks.taken
        if taken is Taken.GONE or not os.path.isdir(folder):  # noqa: PTH112 - quicker
            notice = marks.notice()
            return Sight(NodeState.TAKEN, "" if notice is None else notice.reason)
        # What is being taken may have a container still: it is not said to be gone.
        if self._is_due(marks, taken) or self._agents.lives(folder):
            return Sight(NodeState.LIVES)
        return Sight(NodeState.VANISHED)

    def _is_due(self, marks: Marks, taken: Taken) -> bool:
        """Tell whether a node's time is over, and have it taken then; else have it taken in time.

        The deadline is in the node's folder, so that every server that sees the node keeps it.
        """
        folder = marks.folder
        notice = marks.notice()
        deadline = notice.deadline if notice is not None else 0.0
        left = deadline - self._clock().timestamp()
        if taken is Taken.BEING or (taken is Taken.NOT and deadline and left <= 0):
            self._begin_to_take(folder)
            return True
        if deadline and self._deadlines.get(folder, (0.0, None))[0] != deadline:
            self._forget_deadline(folder)
            timer = asyncio.get_running_loop().call_later(left, self._begin_to_take, folder)
            self._deadlines[folder] = (deadline, timer)
        return False

    def _forget_deadline(self, folder: Path) -> None:
        _, timer = self._deadlines.pop(folder, (0.0, None))
        if timer is not None:
            timer.cancel()

    def _begin_to_take(self, folder: Path) -> None:
        """Have a node taken away, once at a time; what fails is tried again by the next look."""
        if folder not in self._taking:
            with contextlib.suppress(OSError):  # tried again, and told, by who takes it
                Marks(folder).note_taken(max(Taken.BEING, Marks(folder).taken))
            task = asyncio.get_running_loop().create_task(self._take(folder))
            task.add_done_callback(functools.partial(self._note_taken, folder))
            self._taking[folder] = task

    async def _take(self, folder: Path) -> None:
        marks = Marks(folder)
        if not folder.is_dir() or marks.taken is Taken.GONE:
            return
        try:
            marks.note_taken(Taken.BEING)
            await self._end(folder)
            marks.note_taken(Taken.GONE)
        except OSError as error:
            raise DriverError(f"{folder} cannot be taken away: {error}") from error

    def _note_taken(self, folder: Path, task: "asyncio.Task[None]") -> None:
        del self._taking[folder]
        self._forget_deadline(folder)
        if not task.cancelled():
            if (error := task.exception()) is not None:
                log.warning("a node is not taken away yet: %s", error)
            else:
                log.info("the node %s was taken away", folder.name)
            self._agents.note_change(folder)

    async def _end(self, folder: Path) -> None:
        """End all that a node runs, and remove what it has in an engine.

        Raises:
            DriverError: something is still there; the same call may do it later.
        """
        await leaving.kill(self._agents, folder)
        await leaving.end(folder, (*self._agent, "--clean", str(folder)), self._environment)

    def _warm_up_later(self) -> None:
        """Prepare the next spare once the job just launched has had the processor to itself."""
        if self._warming is not None:
            self._warming.cancel()
        loop = asyncio.get_running_loop()
        self._warming = loop.call_later(_WARM_UP_SECONDS, self._spare.prepare)


def _refuse_ended(marks: Marks) -> None:
    """Raise ``NodeTaken`` when no agent may begin for a node."""
    if marks.ended:
        node_id = marks.folder.name
        raise NodeTaken(f"the node {node_id} was taken away or removed, and never comes back")


def _make(folder: Path) -> bool:
    """Make a node's folder; tell whether it is new."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    return True


def _write(path: Path, text: str) -> None:
    """Write a file that holds either its old content or the new, readable by the owner only."""
    # Two servers may start the same node at once.
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    with open(temporary, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)
    temporary.replace(path)
