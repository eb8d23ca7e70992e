"""The node's log on disk: lines with the time they were seen, as they will be reported.

Times never run backwards. Lines are written whole, and ``read`` hands out whole lines only.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from trainshed.agent.appending import append
from trainshed.stores.logs.format import MAX_EVENT_BYTES, decode, encode

_TAIL: Final = 2 * MAX_EVENT_BYTES + 64
"""Bytes that surely hold the last whole line: each byte may be escaped, and there is a stamp."""


class OutputLog:
    """Appends lines, and hands out what was written. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the log; cut off what a crash left half-written, and go on behind the last time."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._size, self._latest = self._recovered()

    @property
    def size(self) -> int:
        """Bytes of whole lines so far."""
        return self._size

    def add(self, lines: Sequence[bytes]) -> int:
        """Append lines seen now; return the time they bear (milliseconds since the epoch).

        Raises:
            OSError: the disk has no room for them.
        """
        with self._lock:
            stamp = self._latest = max(self._latest, time.time_ns() // 1_000_000)
            data = b"".join(encode(stamp, text) for text in lines)
            self._size = append(self._fd, data, self._size)
        for tell in self._listeners:
            tell()
        return stamp

    def say(self, text: str) -> None:
        """Append the platform's own words."""
        self.add(
            [
                f"[trainshed] {line}".encode("utf-8", "backslashreplace")
                for line in text.splitlines()
            ]
        )

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes behind ``offset``, ending with the end of a line."""
        data = os.pread(self._fd, min(limit, max(self._size - offset, 0)), offset)
        end = data.rfind(b"\n") + 1
        return data[:end] if end else data

    def on_append(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called after every write, in the thread that writes."""
        self._listeners.append(tell)

    def _recovered(self) -> tuple[int, int]:
        end = os.fstat(self._fd).st_size
        start = max(end - _TAIL, 0)
        tail = os.pread(self._fd, end - start, start)
        whole = tail.rfind(b"\n") + 1
        os.ftruncate(self._fd, start + whole)
        lines = tail[:whole].split(b"\n")[:-1]
        latest = decode(lines[-1])[0] if lines else 0
        return start + whole, latest
