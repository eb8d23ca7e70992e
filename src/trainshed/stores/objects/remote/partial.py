"""A file on its way: what has arrived stays, and is known to have arrived, whoever dies meanwhile.

One file beside the target holds the bytes where they belong and, behind them, a note of what they
are and a record for each piece that is whole::

    bytes of the object | SHA-256 of (what, which version, this start of the machine) | records

A record is written after its piece, so it tells the truth as long as the machine runs on. After a
crash of the machine itself nothing is believed: the note names the start of the machine.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

PIECE: Final = 16 << 20
"""Bytes of an object that a record stands for; as much is fetched again at most, per stream."""
_RECORD: Final = 9
"""Bytes: 1 for a piece that is whole, and its CRC."""
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def partial(target: Path) -> Path:
    """Return where the bytes of ``target`` are while they arrive.

    In the same folder; its name is as long for all, so that it fits where the target's does.
    """
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:24]
    return target.with_name(f".{digest}.part")


class Partial:
    """An open partial file. Threads may write different pieces of it."""

    def __init__(self, path: Path, identity: str, size: int) -> None:
        """Go on with the file at ``path``, or begin it.

        Args:
            path: see ``partial``.
            identity: changes whenever the bytes do, or what their records mean.
            size: bytes of the whole.
        """
        self._path = path
        self._size = size
        self._note = hashlib.sha256(
            f"{identity}\n{size}\n{_boot()}".encode(errors="surrogatepass")
        ).digest()
        self.pieces = -(-size // PIECE)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.pread(self._fd, len(self._note), size) != self._note:
            os.ftruncate(self._fd, 0)
            os.ftruncate(self._fd, self._record(self.pieces))
            os.pwrite(self._fd, self._note, size)

    def whole(self) -> dict[int, bytes]:
        """Return the pieces that have arrived, with what was noted of each, in 8 bytes."""
        records = os.pread(self._fd, self.pieces * _RECORD, self._record(0))
        cut = (records[at : at + _RECORD] for at in range(0, len(records), _RECORD))
        return {number: record[1:] for number, record in enumerate(cut) if record[0]}

    def missing(self, most: int) -> list[tuple[int, int]]:
        """Return up to about ``most`` runs of pieces (first, behind the last) that are missing."""
        whole = self.whole()
        left = [number for number in range(self.pieces) if number not in whole]
        longest = max(-(-len(left) // most), 1)
        return list(_runs(left, longest))

    def write(self, data: memoryview, offset: int) -> None:
        """Put bytes where they belong."""
        while data:
            written = os.pwrite(self._fd, data, offset)
            data, offset = data[written:], offset + written

    def done(self, piece: int, crc: bytes) -> None:
        """Say that a piece has arrived, with its CRC: up to 8 bytes, none for none."""
        os.pwrite(self._fd, b"\1" + crc.rjust(_RECORD - 1, b"\0"), self._record(piece))

    def lengths(self) -> Iterator[int]:
        """Yield how many bytes each piece has."""
        for number in range(self.pieces):
            yield min(PIECE, self._size - number * PIECE)

    def become(self, target: Path) -> None:
        """Be ``target`` from now on, whole."""
        os.ftruncate(self._fd, self._size)
        self._path.replace(target)

    def drop(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def close(self) -> None:
        """Close it; what has arrived stays."""
        os.close(self._fd)

    def _record(self, piece: int) -> int:
        return self._size + len(self._note) + piece * _RECORD


def _runs(numbers: Sequence[int], longest: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of neighbours, none longer than ``longest``."""
    first = previous = -2
    for number in numbers:
        if number != previous + 1 or number - first >= longest:
            if first >= 0:
                yield first, previous + 1
            first = number
        previous = number
    if first >= 0:
        yield first, previous + 1


def _boot() -> str:
    try:
        return _BOOT.read_text()
    except OSError:
        return ""
