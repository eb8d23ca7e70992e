"""The frame around a record: MXNet's RecordIO, as Pipe channels carry it.

    magic (4 bytes)  flag and length (4 bytes)  payload  zeros up to a multiple of 4

All little-endian. The length has 29 bits. What is longer goes in several frames, flagged as first,
inner and last; readers put the payloads together again as they are. Source: Apache MXNet,
"Efficient Data Loaders", and the reader in Amazon's TensorFlow extensions.
"""

import struct
from collections.abc import Iterator
from typing import Final

MAGIC: Final = 0xCED7230A
LONGEST: Final = (1 << 29) - 4
"""Bytes in a frame; a multiple of 4, so that only the last frame of a record has padding."""

_WHOLE, _FIRST, _INNER, _LAST = range(4)


def frames(size: int, longest: int = LONGEST) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield what frames a record of ``size`` bytes: (header, bytes of payload, padding)."""
    done = 0
    while not done or done < size:
        length = min(size - done, longest)
        yield (
            struct.pack("<II", MAGIC, _flag(done, length, size) << 29 | length),
            length,
            bytes(-length % 4),
        )
        done += length
        if not size:
            return


def _flag(done: int, length: int, size: int) -> int:
    if length == size:
        return _WHOLE
    if not done:
        return _FIRST
    return _LAST if done + length == size else _INNER
