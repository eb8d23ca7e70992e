"""A container's log as container runtimes keep it and kubelets tell it, in memory.

Source: kubelet's ``ReadLogs`` (kuberuntime/logs), before and after Kubernetes 1.25, which took the
times out of the middle of long lines.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

PIECE = 16 * 1024
"""Bytes of a line that a runtime keeps as one piece."""
_NS = 1_000_000_000


class Entry(NamedTuple):
    """What a runtime took at once."""

    at: int
    """When, in nanoseconds since the epoch."""
    text: bytes
    r"""At most ``PIECE`` bytes and a ``\n``, which is missing where the line goes on."""


def entries(at: int, written: bytes) -> Iterator[Entry]:
    """Yield what a runtime makes of whole lines, or of a container's last words."""
    for line in written.splitlines(keepends=True) if b"\r" not in written else _lines(written):
        while len(line.removesuffix(b"\n")) >= PIECE and line != b"\n":
            yield Entry(at, line[:PIECE])
            line = line[PIECE:]
        if line:
            yield Entry(at, line)


def told(
    found: Sequence[Entry], *, since: str = "", old: bool = False, begins: bool = True
) -> bytes:
    """Return what a kubelet tells of a log, with times.

    Args:
        found: the log.
        since: whole seconds, as the API takes them.
        old: whether each piece of a line has its time before it.
        begins: whether the log begins with a line, and not in the middle of one.
    """
    first = int(datetime.fromisoformat(since).timestamp()) * _NS if since else 0
    parts = []
    for entry in found:
        if entry.at >= first:
            parts.append(stamp(entry.at) + b" " + entry.text if begins or old else entry.text)
        begins = entry.text.endswith(b"\n")
    return b"".join(parts)


def stamp(at: int) -> bytes:
    """Return a time as it stands before a line."""
    second = datetime.fromtimestamp(at // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at % _NS:09d}Z".encode()


def _lines(written: bytes) -> list[bytes]:
    lines = written.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [lines[-1]]
