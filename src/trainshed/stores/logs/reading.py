"""Reads one stream: by offset, forwards and backwards, and by time.

A stream is one long run of lines, kept in segments that are named by the offset of their first
byte; no line lies in two segments. Offsets count over the whole stream and mean the same for ever.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from trainshed.domain.errors import StoreError
from trainshed.stores.logs.format import decode

SUFFIX: Final = ".log"
UNORDERED: Final = "unordered"
"""A file of this name marks a stream in which a later line may bear an earlier time."""
COPIED: Final = "copied"
"""A file of this name marks a stream that is the copy of an agent's file."""

_FIRST: Final = 4 * 1024
"""Bytes to read first: a search over many streams needs but a line or two of most."""
_CHUNK: Final = 64 * 1024
_PEEK: Final = 512
"""Bytes in which one end of a line is mostly found."""
_TIME: Final = 17
"""Bytes that hold a line's time and the space behind it."""


class StreamDeleted(StoreError):
    """A stream was deleted while it was read."""


class Event(NamedTuple):
    """One line."""

    offset: int
    """Where the line begins."""
    end: int
    """Where the next one begins."""
    ms: int
    text: str


class Segment(NamedTuple):
    """One file of a stream."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.start + self.size


class StreamReader:
    """A stream as it stood when this was made; half a line at its end is not there yet.

    Reads block: use it in a thread. Holds no file open.
    """

    def __init__(self, folder: Path) -> None:
        """Look at a stream's folder.

        Raises:
            FileNotFoundError: there is no such stream.
        """
        self._folder = folder
        entries = {entry.name: entry for entry in os.scandir(folder)}
        self.ordered = UNORDERED not in entries
        """Whether times never decrease from line to line."""
        self.copied = COPIED in entries
        """Whether this is the copy of an agent's file."""
        self.segments = sorted(
            Segment(int(name.removesuffix(SUFFIX)), entry.stat().st_size)
            for name, entry in entries.items()
            if name.endswith(SUFFIX)
        )
        self._starts = [segment.start for segment in self.segments]
        self.start = self._starts[0] if self._starts else 0
        """The offset of the first line."""
        self.size = self.segments[-1].end if self.segments else 0
        """The offset behind the last byte, whether or not it ends a line."""

    @cached_property
    def end(self) -> int:
        """The offset behind the last line."""
        if not self.segments:
            return 0
        first, end, length = self.segments[-1].start, self.size, _PEEK
        while end > first:
            start = max(end - length, first)
            if found := self._read(start, end - start).rfind(b"\n") + 1:
                return start + found
            end, length = start, _CHUNK
        return first

    @property
    def first_ms(self) -> int | None:
        """The earliest time of a line; None when there is none."""
        if not self.ordered:
            return min((event.ms for event in self.forward(self.start)), default=None)
        return self._ms_at(self.start) if self.start < self.end else None

    @property
    def last_ms(self) -> int | None:
        """The latest time of a line; None when there is none."""
        if not self.ordered:
            return max((event.ms for event in self.forward(self.start)), default=None)
        if self.start == self.end:
            return None
        return self._ms_at(self._line_start(self.end - 1))

    def begins_line(self, offset: int) -> bool:
        """Tell whether a line begins, or the next will begin, at ``offset``."""
        if not self.start < offset < self.end:
            return offset in {self.start, self.end}
        return self._line_start(offset) == offset

    def forward(self, offset: int) -> Iterator[Event]:
        """Yield the lines from the one that begins at ``offset`` on.

        Raises:
            StoreError: no line ends where a file does: the files were damaged.
        """
        length = _FIRST
        while offset < self.end:
            limit = min(self._segment(offset).end, self.end)
            chunk = self._read(offset, min(length, limit - offset))
            whole = chunk.rfind(b"\n") + 1
            if not whole:
                if offset + len(chunk) == limit:
                    raise StoreError(f"{self._folder}: no line ends at {limit}, where a file does")
                length *= 2
                continue
            length = max(length, _CHUNK)
            for line in chunk[: whole - 1].split(b"\n"):
                end = offset + len(line) + 1
                yield Event(offset, end, *decode(line))
                offset = end

    def backward(self, offset: int) -> Iterator[Event]:
        """Yield the lines before ``offset``, where a line must end, from the last to the first."""
        length = _FIRST
        while offset > self.start:
            first = self._segment(offset - 1).start
            start = max(offset - length, first)
            chunk = self._read(start, offset - start)
            torn = 0 if start == first else chunk.find(b"\n") + 1
            if torn == len(chunk):
                length *= 2
                continue
            length = max(length, _CHUNK)
            for line in reversed(chunk[torn:-1].split(b"\n")):
                start = offset - len(line) - 1
                yield Event(start, offset, *decode(line))
                offset = start

    def seek(self, ms: int) -> int:
        """Return where the first line of time ``ms`` or later begins; the end if there is none.

        The stream must be ordered.
        """
        if (last := self.last_ms) is None or last < ms:
            return self.end  # what most streams of a search for the last minutes answer
        low, high = self.start, self.end
        while low < high:  # lines before low are earlier; those from high on are not
            middle = self._line_start((low + high) // 2)
            if self._ms_at(middle) < ms:
                low = self._line_end(middle)
            else:
                high = middle
        return low

    def _segment(self, offset: int) -> Segment:
        return self.segments[bisect_right(self._starts, offset) - 1]

    def _ms_at(self, offset: int) -> int:
        return decode(self._read(offset, min(_TIME, self._segment(offset).end - offset)))[0]

    def _line_start(self, offset: int) -> int:
        """Return where the line begins that the byte at ``offset`` belongs to."""
        first, length = self._segment(offset).start, _PEEK
        while offset > first:
            start = max(offset - length, first)
            if found := self._read(start, offset - start).rfind(b"\n") + 1:
                return start + found
            offset, length = start, _CHUNK
        return first

    def _line_end(self, offset: int) -> int:
        """Return where the line behind that of ``offset`` begins."""
        length = _PEEK
        while offset < self.end:
            chunk = self._read(offset, min(length, self._segment(offset).end - offset))
            if found := chunk.find(b"\n") + 1:
                return offset + found
            offset, length = offset + len(chunk), _CHUNK
        return self.end

    def _read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes that lie within one segment."""
        start = self._segment(offset).start
        try:
            with (self._folder / segment_name(start)).open("rb", buffering=0) as file:
                found = os.pread(file.fileno(), length, offset - start)
        except FileNotFoundError as error:
            raise StreamDeleted(
                f"{self._folder}: the stream was deleted while it was read"
            ) from error
        if len(found) != length:
            raise StoreError(f"{self._folder}: the segment of offset {start} has lost bytes")
        return found


def segment_name(start: int) -> str:
    """Return the name of the segment whose first byte has the offset ``start``."""
    return f"{start:020}{SUFFIX}"
