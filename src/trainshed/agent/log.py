"""The node's log on disk: lines with the time they were seen, as they will be reported.

Times never run backwards. Lines are written whole, and ``read`` hands out whole lines only.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from trainshed.agent.appending import append
from trainshed.stores.logs.format import MAX_EVENT_BYTES, decode, encode

_SIGNED: Final = "[trainshed] "
_CHUNK: Final = 1024 * 1024
_TAIL: Final = 2 * MAX_EVENT_BYTES + 64
"""Bytes that surely hold the last whole line: each byte may be escaped, and there is a stamp."""


class OutputLog:
    """Appends lines, and hands out what was written. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the log; cut off what a crash left half-written, and go on behind the last time."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._own = path.with_name(path.name + ".own")
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
            stamp = self._add(lines)
        for tell in self._listeners:
            tell()
        return stamp

    def say(self, text: str) -> None:
        """Append the platform's own words."""
        lines = [
            f"{_SIGNED}{line}".encode("utf-8", "backslashreplace") for line in text.splitlines()
        ]
        with self._lock:
            # Before the lines: without them the entry counts for nothing.
            with self._own.open("a") as own:
                own.write(f"{self._size} {len(lines)}\n")
            self._add(lines)
        for tell in self._listeners:
            tell()

    def lines_since(self, offset: int) -> int:
        """Return how many lines the container has written behind ``offset``: all but our own."""
        with self._lock:
            found = sum(chunk.count(b"\n") for chunk in self._chunks(offset))
            return found - sum(count for at, count in self._own_lines() if at >= offset)

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes behind ``offset``, ending with the end of a line."""
        data = os.pread(self._fd, min(limit, max(self._size - offset, 0)), offset)
        end = data.rfind(b"\n") + 1
        return data[:end] if end else data

    def on_append(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called after every write, in the thread that writes."""
        self._listeners.append(tell)

    def _add(self, lines: Sequence[bytes]) -> int:
        stamp = self._latest = max(self._latest, time.time_ns() // 1_000_000)
        data = b"".join(encode(stamp, text) for text in lines)
        self._size = append(self._fd, data, self._size)
        return stamp

    def _chunks(self, offset: int) -> Iterator[bytes]:
        while offset < self._size:
            yield os.pread(self._fd, min(_CHUNK, self._size - offset), offset)
            offset += _CHUNK

    def _own_lines(self) -> Iterator[tuple[int, int]]:
        """Yield (offset, how many) of the platform's own words that really stand in the log."""
        if not self._own.exists():
            return
        for entry in self._own.read_text().splitlines():
            at, count = map(int, entry.split())
            first = os.pread(self._fd, _TAIL, at).partition(b"\n")[0]
            if first and decode(first)[1].startswith(_SIGNED):
                yield at, count

    def _recovered(self) -> tuple[int, int]:
        end = os.fstat(self._fd).st_size
        start = max(end - _TAIL, 0)
        tail = os.pread(self._fd, end - start, start)
        whole = tail.rfind(b"\n") + 1
        os.ftruncate(self._fd, start + whole)
        lines = tail[:whole].split(b"\n")[:-1]
        latest = decode(lines[-1])[0] if lines else 0
        return start + whole, latest
