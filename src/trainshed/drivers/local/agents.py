"""The agents of this machine: who lives, who has just ended, whoever of several servers started it.

Whoever holds ``agent.lock`` in a node's folder is its agent. The kernel tells by a file descriptor
when a process ends, also one that is no child of ours, so nobody looks again and again.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
from pathlib import Path

from trainshed.drivers.local.spare import Child


class Agents:
    """The agents that this server has started or met. Used on one event loop."""

    def __init__(self) -> None:
        self._children: dict[Path, Child] = {}
        self._watched: dict[Path, int] = {}
        """A descriptor of each living agent's process."""
        self._changed: set[Path] = set()
        self._news = asyncio.Event()

    def add(self, folder: Path, child: Child) -> None:
        """Take up an agent that was just told to work on ``folder``."""
        self._children[folder] = child
        with contextlib.suppress(OSError):  # it is gone already, or we have no descriptors left
            self._watch(folder, os.pidfd_open(child.pid))

    def lives(self, folder: Path) -> bool:
        """Tell whether an agent works on the folder, or was just started to."""
        watched = self._watched.get(folder)
        if watched is not None:
            if not _is_over(watched):
                return True
            self._note_end(folder)
        child = self._children.get(folder)
        if child is not None and not child.ended():  # where nothing could be watched
            return True
        self._children.pop(folder, None)
        if not _is_locked(folder):
            return False
        if (process := _opened(folder)) is not None:
            self._watch(folder, process)
        return True

    def terminate(self, folder: Path) -> None:
        """Wake the folder's agent; one that is just being started finds why in its folder."""
        _signal_agent(folder, signal.SIGTERM)

    def kill(self, folder: Path) -> None:
        """Kill the folder's agent, whoever has started it."""
        child = self._children.get(folder)
        if child is not None:
            child.kill()
        _signal_agent(folder, signal.SIGKILL)

    async def changed(self) -> frozenset[Path]:
        """Wait until agents have ended, or nodes were noted to have changed; return whose."""
        await self._news.wait()
        self._news.clear()
        found, self._changed = frozenset(self._changed), set()
        return found

    def note_change(self, folder: Path) -> None:
        """Have ``changed`` tell of a node."""
        self._changed.add(folder)
        self._news.set()

    def close(self) -> None:
        """Watch nobody any more."""
        for folder in list(self._watched):
            self._forget(folder)

    def _watch(self, folder: Path, process: int) -> None:
        self._forget(folder)
        self._watched[folder] = process
        asyncio.get_running_loop().add_reader(process, self._note_end, folder)

    def _note_end(self, folder: Path) -> None:
        self._forget(folder)
        child = self._children.get(folder)
        if child is not None and child.ended():
            del self._children[folder]
        self.note_change(folder)

    def _forget(self, folder: Path) -> None:
        watched = self._watched.pop(folder, None)
        if watched is not None:
            with contextlib.suppress(RuntimeError):  # no loop runs any more
                asyncio.get_running_loop().remove_reader(watched)
            os.close(watched)


def _is_over(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))


def _is_locked(folder: Path) -> bool:
    try:
        lock = os.open(f"{folder}/agent.lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _opened(folder: Path) -> int | None:
    """Return a descriptor of the living agent's process; None when it can't be had now."""
    if not _is_locked(folder):
        return None
    match (folder / "agent.lock").read_text().split():
        case [pid, started]:
            pass
        case _:
            return None  # it has not said yet
    try:
        process = os.pidfd_open(int(pid))
    except OSError:  # the file names an agent before it, or we have no descriptors left
        return None
    if _started(int(pid)) == started:
        return process
    os.close(process)
    return None


def _started(pid: int) -> str:
    """Return when a process began, as the kernel counts; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _signal_agent(folder: Path, number: int) -> None:
    """Send a signal to the folder's living agent, and to nobody who got its number since."""
    process = _opened(folder)
    if process is not None:
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)
