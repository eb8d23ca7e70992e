"""Finds the user's container among the processes of the pod, and signals it.

The pod shares its process namespace. A container's first process has no parent there, and all of
them name the container in their control group. The kubelet has no other way to stop one container
and leave another.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PARENT, _BEGAN = 1, 19
"""Fields of ``/proc/<pid>/stat`` behind the program's name. Source: proc(5)."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process, told from any that gets its number later."""

    pid: int
    began: int
    """When, as the kernel counts."""


class Processes:
    """The processes of one container."""

    def __init__(self, proc: Path, container: str) -> None:
        """Look in ``proc`` for processes whose control group names ``container``, an id."""
        self._proc = proc
        self._container = container

    def first(self) -> Process | None:
        """Return the container's own program; None when it is over, or can't be seen."""
        # Those that are started in a container later ("kubectl exec") have no parent either.
        found = [process for process, parent in self._all() if parent == 0]
        return min(found, key=lambda process: process.began, default=None)

    def terminate(self) -> bool:
        """Send SIGTERM to the container's own program; False when it can't be seen.

        Raises:
            PermissionError: it is another user's.
        """
        first = self.first()
        if first is not None:
            _signal(first, signal.SIGTERM)
        return first is not None

    def kill(self) -> bool:
        """Kill all of them, the first one first; False when none can be seen; raise as above."""
        found = sorted(self._all(), key=lambda each: (each[1] != 0, each[0].began))
        for process, _ in found:
            _signal(process, signal.SIGKILL)
        return bool(found)

    def lives(self, process: Process) -> bool:
        """Tell whether a process is not over yet."""
        return self._stat(process.pid)[0] == process

    def _all(self) -> list[tuple[Process, int]]:
        """Return the container's processes, each with its parent's number."""
        found = []
        for entry in os.listdir(self._proc):  # noqa: PTH208 - half the time
            if not entry.isdigit():
                continue
            try:
                groups = (self._proc / entry / "cgroup").read_text(errors="replace")
            except OSError:  # it has just ended
                continue
            if self._container in groups:
                process, parent = self._stat(int(entry))
                if process is not None:
                    found.append((process, parent))
        return found

    def _stat(self, pid: int) -> tuple[Process | None, int]:
        """Return a process and its parent's number; None when it is over."""
        try:
            fields = (self._proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None, 0
        if fields[0] in {b"Z", b"X"}:
            return None, 0
        return Process(pid, int(fields[_BEGAN])), int(fields[_PARENT])


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
