r"""One event as one line on disk: ``<milliseconds since the epoch> <text>\n``.

Agents write it on the node, the server keeps it byte for byte; so both count in the same offsets.
In the text a backslash is ``\\`` and a newline ``\n`` (two characters each); all other bytes stand
as they came, whatever their encoding. Standard library only: agents import it.
"""

import re
from collections.abc import Iterator
from typing import Final

MAX_EVENT_BYTES: Final = 256 * 1024
"""Longest text of one event; whoever writes splits longer ones with ``pieces``. Source: CloudWatch
Logs quotas."""

_LINE = re.compile(rb"(\d{1,15}) (.*?)\n?", re.DOTALL)
_ESCAPE = re.compile(rb"\\([\\n])")
_MEANING: Final = {b"\\": b"\\", b"n": b"\n"}


def encode(ms: int, text: bytes) -> bytes:
    """Return the line of one event, its newline included."""
    if b"\\" in text or b"\n" in text:
        text = text.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    return b"%d %b\n" % (ms, text)


def encode_lines(ms: int, texts: bytes) -> tuple[bytes, int]:
    r"""Return the lines of many events seen at once, and how many they are.

    Like ``encode`` of each, at the speed of copying.

    Args:
        ms: the time of all.
        texts: end to end, each with ``\n`` behind it, which is no part of it.
    """
    if not texts:
        return b"", 0
    if b"\\" in texts:
        texts = texts.replace(b"\\", b"\\\\")
    stamp = b"%d " % ms
    stamped = texts.replace(b"\n", b"\n" + stamp)
    count = (len(stamped) - len(texts)) // len(stamp)  # what replace has counted already
    return b"".join((stamp, memoryview(stamped)[: -len(stamp)])), count


def decode(line: bytes) -> tuple[int, str]:
    """Return the time (milliseconds since the epoch) and the text of a line.

    Total: bytes that are no UTF-8 become U+FFFD, and a line without a time, which none of our
    writers makes, is given time 0.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return 0, line.removesuffix(b"\n").decode("utf-8", "replace")
    text = found[2]
    if b"\\" in text:
        text = _ESCAPE.sub(lambda escape: _MEANING[escape[1]], text)
    return int(found[1]), text.decode("utf-8", "replace")


def pieces(text: bytes, size: int = MAX_EVENT_BYTES) -> Iterator[bytes]:
    """Yield ``text`` in parts of at most ``size`` bytes (at least 4), no UTF-8 character torn."""
    start = 0
    while len(text) - start > size:
        end = start + size
        # A character has at most 4 bytes; where none begins it is no UTF-8 and may be cut anywhere.
        cut = next((end - n for n in range(4) if text[end - n] & 0xC0 != 0x80), end)
        yield text[start:cut]
        start = cut
    yield text[start:]
