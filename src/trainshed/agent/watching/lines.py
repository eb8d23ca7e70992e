"""Cuts what a container writes into lines.

Lines are never taken apart: what a container wrote since the last look is looked through as a whole
for what has to change, which in nearly all of it is nothing.
"""

from typing import Final

from trainshed.stores.logs.format import MAX_EVENT_BYTES, pieces

TAIL: Final = 64 * 1024
"""Bytes of a stream's end that are kept to explain a failure."""


class Lines:
    """One stream: bytes in, whole lines out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._tail = bytearray()

    def feed(self, data: bytes) -> bytes:
        r"""Return the lines that ``data`` completes, end to end, each with ``\n`` behind it.

        A ``\r`` before the end is left out; lines longer than an event may be come in pieces. Which
        lines these are does not depend on how the stream is cut into ``data``.
        """
        self._tail += data[-TAIL:]
        if len(self._tail) > 4 * TAIL:
            del self._tail[:-TAIL]
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            return self._overlong()
        whole = data[:end]
        if self._rest:
            whole = bytes(self._rest) + whole
        self._rest[:] = memoryview(data)[end:]
        if b"\r" in whole:
            whole = whole.replace(b"\r\n", b"\n")
        return _split(whole) + self._overlong()

    def flush(self) -> bytes:
        r"""Return what stands behind the last line's end, with a ``\n`` if that is anything."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest + b"\n" if rest else b""

    def tail(self) -> str:
        """Return the stream's last ``TAIL`` bytes as text."""
        return bytes(self._tail[-TAIL:]).decode("utf-8", "replace")

    def _overlong(self) -> bytes:
        """Return the pieces of a line without an end that will not change any more."""
        if len(self._rest) <= MAX_EVENT_BYTES:
            return b""
        ending = b"\r" if self._rest.endswith(b"\r") else b""  # perhaps of its end
        *whole, last = pieces(bytes(self._rest).removesuffix(ending))
        self._rest[:] = last + ending
        return b"".join(piece + b"\n" for piece in whole)


def _split(lines: bytes) -> bytes:
    """Return whole lines with those too long for one event in pieces."""
    start, end = 0, len(lines)
    while end - start > MAX_EVENT_BYTES:
        last = lines.rfind(b"\n", start, start + MAX_EVENT_BYTES + 1)
        if last < 0:
            break
        start = last + 1
    else:
        return lines
    texts = lines[:-1].split(b"\n")
    return b"".join(piece + b"\n" for text in texts for piece in pieces(text))


def behind(lines: bytes, count: int) -> bytes:
    """Return whole lines without the first ``count``."""
    if count > 0 and count >= lines.count(b"\n"):
        return b""
    start = 0
    for _ in range(count):
        start = lines.index(b"\n", start) + 1
    return lines[start:]
