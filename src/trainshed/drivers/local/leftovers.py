"""Finds what nodes of this machine leave: folders, tombstones, processes, mounts, warm pools.

A process is a node's when its environment carries the node's folder, or when it holds the lock
there, as its agent does; so it is found also when somebody has deleted that folder. Who only reads
a file of a node is left alone.
"""

import asyncio
import contextlib
import os
import re
import select
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from trainshed.domain.errors import DriverError
from trainshed.domain.garbage import Item
from trainshed.domain.names import NODE_VARIABLE
from trainshed.drivers.base import Driver, Handle
from trainshed.drivers.local.pools import Pools

_PROC: Final = Path("/proc")
_LOCK: Final = "agent.lock"
_TOMBSTONE_AGE: Final = timedelta(days=1)
"""How long a removed node is remembered: a server that stood still for so long is restarted."""
_END_MS: Final = 10_000
"""How long a killed process may take to vanish before it is an error."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
"""How the kernel writes white space and backslashes in its table of mounts."""


class NodeLeftovers:
    """What is below the folder of nodes."""

    name = "nodes of this machine"

    def __init__(self, root: Path, driver: Driver, clock: Callable[[], datetime]) -> None:
        """Look below ``root``; ``driver`` is any whose nodes have their folders there."""
        self._root = root
        self._driver = driver
        self._clock = clock

    async def find(self) -> list[Item]:
        """Return what is left of nodes, and tombstones that have served; see ``Finder``."""
        return await asyncio.to_thread(self._find)

    async def remove(self, item: Item) -> None:
        """Remove one of these; of a node its processes, containers and mounts as well."""
        match item.kind:
            case "node" | "mount":
                folder = self._root / item.owner
                if folder.is_dir():
                    await self._driver.remove(Handle("", str(folder)))
            case "warm pool":
                await self._driver.release_pool(item.owner)
            case "tombstone":
                Path(item.name).unlink(missing_ok=True)
            case _:
                await asyncio.to_thread(_end, int(item.name), self._root)

    def _find(self) -> list[Item]:
        here = [*self._folders(), *self._tombstones(), *self._processes(), *self._mounts()]
        return [*here, *self._pools()]

    def _folders(self) -> Iterator[Item]:
        for folder in _entries(self._root):
            if folder.is_dir():
                why = "no open job has this node"
                yield Item(kind="node", name=str(folder), owner=folder.name, reason=why)

    def _pools(self) -> Iterator[Item]:
        for chain, folder in Pools(self._root).chains():
            why = "no open job has nodes of this warm pool"
            yield Item(kind="warm pool", name=str(folder), owner=chain, reason=why)

    def _tombstones(self) -> Iterator[Item]:
        before = (self._clock() - _TOMBSTONE_AGE).timestamp()
        for stone in _entries(self._root.parent / "removed"):
            with contextlib.suppress(FileNotFoundError):
                if stone.stat().st_mtime < before:
                    why = "the node was removed more than a day ago"
                    yield Item(kind="tombstone", name=str(stone), owner=stone.name, reason=why)

    def _processes(self) -> Iterator[Item]:
        for entry in _entries(_PROC):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                node = _node_of(entry, self._root)
                if node:
                    why = f"works for the node {node}, which no open job has"
                    yield Item(kind="process", name=entry.name, owner=node, reason=why)

    def _mounts(self) -> Iterator[Item]:
        root = f"{self._root.resolve()}/"
        for line in (_PROC / "self/mountinfo").read_text(errors="surrogateescape").splitlines():
            place = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])
            if place.startswith(root):
                node = place.removeprefix(root).partition("/")[0]
                why = f"is mounted in the node {node}, which no open job has"
                yield Item(kind="mount", name=place, owner=node, reason=why)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _node_of(process: Path, root: Path) -> str:
    """Return the node that a process works for; "" when it works for none of ``root``."""
    below = f"{root.resolve()}/"
    try:
        for variable in (process / "environ").read_bytes().split(b"\0"):
            name, _, text = variable.partition(b"=")
            if name == NODE_VARIABLE.encode() and os.fsdecode(text).startswith(below):
                return os.fsdecode(text).removeprefix(below).partition("/")[0]
        for descriptor in (process / "fd").iterdir():
            held = os.readlink(descriptor)  # noqa: PTH115 - it may name no path at all
            node, _, file = held.removeprefix(below).partition("/")
            if held.startswith(below) and file.removesuffix(" (deleted)") == _LOCK:
                return node
    except OSError:  # it ended meanwhile, or is another user's
        return ""
    return ""


def _end(pid: int, root: Path) -> None:
    """Kill a process, if it is still one that works below ``root``."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError as error:
        raise DriverError(f"process {pid} cannot be ended: {error}") from error
    try:
        if _node_of(_PROC / str(pid), root):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
            poll = select.poll()
            poll.register(process, select.POLLIN)
            if not poll.poll(_END_MS):
                raise DriverError(f"process {pid} does not die of SIGKILL")
    finally:
        os.close(process)
