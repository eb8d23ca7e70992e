"""Where an object's bytes are written to."""

from typing import Protocol


class Sink(Protocol):
    """Takes bytes, piece by piece."""

    def write(self, data: bytes, /) -> int:
        """Take all of ``data`` and return its length."""
        ...
