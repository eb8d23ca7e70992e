"""The journal: what the agent has seen, on disk before anything is done about it.

An agent that starts over finds here how far the last one came. A line that a crash cut short was
never acted upon, so it is dropped. Only the last fact of each kind is kept in memory: a job may run
for weeks and tell its metrics every second.
"""

import json
import os
import threading
import time
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from trainshed.agent.appending import append
from trainshed.domain.facts import Fact, Kind

_DURABLE: Final = frozenset({Kind.EXITED, Kind.STOPPING, Kind.ENDED})
"""Facts that must outlive a crash of the machine. Others need only outlive the agent, and a
write to the page cache does: nothing on the way to the user's first line waits for a disk."""


class Journal:
    """The facts of one node. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the journal, and read what a former agent left there."""
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._last: dict[Kind, Fact] = {}
        self._ends = array("Q")
        """Where in the file each fact ends."""
        self._settled = 0
        """How much of the file outlives a crash of the machine."""
        self._recover()

    def append(self, kind: Kind, **detail: Any) -> Fact:  # noqa: ANN401 - whatever JSON holds
        """Write the next fact; it is on disk when this returns (see ``_DURABLE``).

        Raises:
            OSError: the disk has no room for it.
        """
        with self._lock:
            fact = self._written(kind, detail)
        for tell in self._listeners:
            tell()
        return fact

    def tell(self, kind: Kind, **detail: Any) -> bool:  # noqa: ANN401 - as ``append``
        """Write a fact unless the last of its kind says the same, or the node has ended.

        Fit for threads that do not know how far the node is. Returns whether it was written.
        """
        with self._lock:
            last = self._last.get(kind)
            if Kind.ENDED in self._last or (last is not None and last.detail == detail):
                return False
            self._written(kind, detail)
        for tell in self._listeners:
            tell()
        return True

    def once(self, kind: Kind, **detail: Any) -> None:  # noqa: ANN401 - as ``append``
        """Write a fact unless one of its kind stands there already."""
        if self.last(kind) is None:
            self.append(kind, **detail)

    def last(self, kind: Kind) -> Fact | None:
        """Return the last fact of a kind, or None."""
        with self._lock:
            return self._last.get(kind)

    def after(self, n: int, limit: int) -> list[Fact]:
        """Return up to ``limit`` facts whose number is greater than ``n``."""
        with self._lock:
            wanted = self._ends[n : n + limit]
            start = self._ends[n - 1] if n and wanted else 0
        if not wanted:
            return []
        lines = os.pread(self._fd, wanted[-1] - start, start).splitlines()
        return [Fact.parse(json.loads(line)) for line in lines]

    @property
    def length(self) -> int:
        """How many facts there are; also the number of the last one."""
        with self._lock:
            return len(self._ends)

    def on_append(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called after every fact, in the thread that appends it."""
        self._listeners.append(tell)

    def exists(self) -> bool:
        """Tell whether the file is still there; nobody can find a node whose folder was deleted."""
        return self._path.exists()

    def settle(self) -> None:
        """Have every fact so far outlive a crash of the machine too.

        Before a fact is reported: else its number is given away again after a power cut, and the
        server, which has that number, passes the new fact over.
        """
        with self._lock:
            end = self._ends[-1] if self._ends else 0
        if self._settled < end:
            os.fsync(self._fd)
            self._settled = max(self._settled, end)

    def _written(self, kind: Kind, detail: Mapping[str, Any]) -> Fact:
        """Write the next fact; the lock is held."""
        fact = Fact(len(self._ends) + 1, time.time(), kind, detail)
        line = json.dumps(fact.line()).encode() + b"\n"
        end = append(self._fd, line, self._ends[-1] if self._ends else 0)
        if kind in _DURABLE:
            os.fsync(self._fd)
            self._settled = end
        self._note(fact, end)
        return fact

    def _note(self, fact: Fact, end: int) -> None:
        self._last[fact.kind] = fact
        self._ends.append(end)

    def _recover(self) -> None:
        whole = 0
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            for line in file:
                try:
                    fact = Fact.parse(json.loads(line))
                except ValueError:
                    break
                if not line.endswith(b"\n") or fact.n != len(self._ends) + 1:
                    break
                whole += len(line)
                self._note(fact, whole)
        os.ftruncate(self._fd, whole)
