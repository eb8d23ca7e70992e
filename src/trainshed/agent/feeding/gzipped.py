"""Unpacks gzip while it streams."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

try:
    from isal import isal_zlib as _zlib
except ImportError:  # no wheel for this machine; the standard library takes three times as long
    import zlib as _zlib  # type: ignore[no-redef]

_ERRORS: Final[Any] = (zlib.error, _zlib.error)
_PIECE: Final = 1 << 20
"""Bytes unpacked at once: a packed piece may unfold to a thousand times its size."""
_GZIP: Final = 16 + zlib.MAX_WBITS


class NotGzip(Exception):
    """It is no gzip, broken, or ends too early; the text says which."""


def unpacked(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Yield what gzip's members hold, one after the other; no bytes hold nothing.

    Raises:
        NotGzip: an end was not reached. What was yielded before is what is there.
    """
    member: Any = None
    begun = False
    for piece in pieces:
        data = bytes(piece)
        while True:
            if member is None:
                data = data.lstrip(b"\0") if begun else data  # tapes are filled up with zeros
                if not data:
                    break
                member, begun = _zlib.decompressobj(wbits=_GZIP), True
            try:
                found = member.decompress(data, _PIECE)
            except _ERRORS as error:
                raise NotGzip(f"it is not gzip, or broken: {error}") from error
            if found:
                yield found
            if member.eof:
                data, member = member.unused_data, None
            else:
                data = member.unconsumed_tail
                if not data and len(found) < _PIECE:
                    break
    if member is not None:
        raise NotGzip("it ends in the middle of what was packed")
