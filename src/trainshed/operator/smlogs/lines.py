"""Lines of several nodes as one text: in the order of time, each written as it always was.

The form is that of the first ``kubectl smlogs``, which scripts read::

    digits-fa964bf8…/algo-1-1574553166 2019-11-26 15:41:13.449 -0800 PST epoch 1 loss 0.31
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a node wrote."""

    stream: str
    """``<job>/<host>-<number>``: one for each node of each attempt."""
    at: int
    """Milliseconds since the epoch."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a line is written."""

    stream: bool = True
    time: bool = True
    zone: tzinfo | None = None
    """Where the reader is; None for where this machine is."""

    def of(self, line: Line) -> str:
        """Return the line, without an end."""
        parts = [line.stream] if self.stream else []
        if self.time:
            parts.append(written_time(line.at, self.zone))
        return " ".join([*parts, line.text])


def written_time(ms: int, zone: tzinfo | None) -> str:
    """Return a moment as Go writes one: ``2019-11-26 15:41:13.449 -0800 PST``.

    Zeros at the end of the fraction are left out, and so is a fraction of nothing.
    """
    seconds, rest = divmod(ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    fraction = f".{rest:03}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} {moment:%z %Z}"


class Unread(Protocol):
    """Lines of one stream that were not told yet."""

    def head(self) -> Line | None:
        """Return the next one, and leave it there; None when there is none for now."""
        ...

    def take(self) -> Line:
        """Return the next one, and have it told."""
        ...


def merged(streams: Iterable[Unread]) -> Iterator[Line]:
    """Yield all lines by time, and take each from its stream just then.

    Lines of one stream keep the order in which they were written, also where a node's clock was set
    back meanwhile. Where a stream breaks off with an error, those of others are still to be told.
    """
    heap = []
    for rank, stream in enumerate(streams):
        if (line := stream.head()) is not None:
            heap.append((line.at, rank, stream))
    heapq.heapify(heap)
    while heap:
        _, rank, stream = heap[0]
        yield stream.take()
        if (line := stream.head()) is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (line.at, rank, stream))
