"""Streams of pieces, read line by line."""

from collections.abc import Iterator
from typing import Final

from trainshed.agent.channels.items import BadInput

_LONGEST: Final = 16 << 20
"""Bytes of a line; a line is parsed whole, so it has to fit in memory."""


def lines(pieces: Iterator[memoryview], name: str) -> Iterator[bytes]:
    """Yield lines without their ends; the last one may have none.

    Raises:
        BadInput: a line of what is called ``name`` is too long to be one.
    """
    rest = b""
    number = 0
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        number += len(whole)
        if len(rest) > _LONGEST:
            raise BadInput(
                f"ClientError: Data download failed:line {number + 1} of {name} has more than "
                f"{_LONGEST >> 20} MiB"
            )
    if rest:
        yield rest
