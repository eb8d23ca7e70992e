"""Cuts what a container writes into lines."""

from typing import Final

from trainshed.stores.logs.format import MAX_EVENT_BYTES, pieces

TAIL: Final = 64 * 1024
"""Bytes of a stream's end that are kept to explain a failure."""


class Lines:
    """One stream: bytes in, whole lines out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._tail = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes, without their ends; long ones in pieces."""
        self._tail += data
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        found: list[bytes] = []
        if end:
            for line in bytes(self._rest[: end - 1]).split(b"\n"):
                found += pieces(line.removesuffix(b"\r"))
            del self._rest[:end]
        if len(self._rest) > MAX_EVENT_BYTES:
            *whole, last = pieces(bytes(self._rest))
            found += whole
            self._rest[:] = last
        return found

    def flush(self) -> list[bytes]:
        """Return what stands behind the last line's end."""
        rest = bytes(self._rest)
        self._rest.clear()
        return [rest] if rest else []

    def tail(self) -> str:
        """Return the stream's last ``TAIL`` bytes as text."""
        return bytes(self._tail[-TAIL:]).decode("utf-8", "replace")
