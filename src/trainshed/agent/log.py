"""The node's log on disk: lines with the time they were seen, as they will be reported.

Times never run backwards, and lines are written whole: the log always ends with the end of a line.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from trainshed.agent.appending import append
from trainshed.stores.logs.format import MAX_EVENT_BYTES, decode, encode_lines

_SIGNED: Final = "[trainshed] "
_CHUNK: Final = 1024 * 1024
_TAIL: Final = 2 * MAX_EVENT_BYTES + 64
"""Bytes that surely hold the last whole line: each byte may be escaped, and there is a stamp."""


class Added(NamedTuple):
    """What became of some lines."""

    ms: int
    """The time they bear, milliseconds since the epoch."""
    lines: int
    """How many they are."""


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

    def add(self, lines: bytes) -> Added:
        r"""Append lines seen now.

        Args:
            lines: whole lines end to end, each with ``\n`` behind it; may be empty.

        Raises:
            OSError: the disk has no room for them.
        """
        with self._lock:
            added = self._add(lines)
        if lines:
            for tell in self._listeners:
                tell()
        return added

    def say(self, text: str) -> None:
        """Append the platform's own words."""
        lines = text.splitlines()
        signed = "".join(f"{_SIGNED}{line}\n" for line in lines)
        with self._lock:
            # Before the lines: without them the entry counts for nothing.
            with self._own.open("a") as own:
                own.write(f"{self._size} {len(lines)}\n")
            self._add(signed.encode("utf-8", "backslashreplace"))
        for tell in self._listeners:
            tell()

    def lines_since(self, offset: int) -> int:
        """Return how many lines the container has written behind ``offset``: all but our own."""
        with self._lock:
            found = sum(chunk.count(b"\n") for chunk in self._chunks(offset))
            return found - sum(count for at, count in self._own_lines() if at >= offset)

    def fileno(self) -> int:
        """Return the descriptor of the file, from which the log's bytes may be read."""
        return self._fd

    def on_append(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called after every write, in the thread that writes."""
        self._listeners.append(tell)

    def _add(self, lines: bytes) -> Added:
        self._latest = max(self._latest, time.time_ns() // 1_000_000)
        data, count = encode_lines(self._latest, lines)
        self._size = append(self._fd, data, self._size)
        return Added(self._latest, count)

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
