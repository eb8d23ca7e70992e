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

PIECE: Final = 1 << 20
"""Bytes of an object that a record stands for. Who is killed has not noted, of what it had read
and written, less than this per stream; that is fetched again."""
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
            f"{identity}\n{size}\n{PIECE}\n{_boot()}".encode(errors="surrogatepass")
        ).digest()
        self._pieces = -(-size // PIECE)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if os.pread(self._fd, len(self._note), size) != self._note:
            os.ftruncate(self._fd, 0)
            os.ftruncate(self._fd, self._record(self._pieces))
            os.pwrite(self._fd, self._note, size)

    def missing(self, most: int, least: int) -> list[tuple[int, int]]:
        """Return up to about ``most`` stretches of bytes (first, behind the last) that are missing.

        One that is cut off a longer one has ``least`` bytes at least.
        """
        left = [number for number, known in enumerate(self._records()[::_RECORD]) if not known]
        longest = max(-(-len(left) // most), least // PIECE)
        return [
            (first * PIECE, min(last * PIECE, self._size)) for first, last in _runs(left, longest)
        ]

    def crcs(self, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield what was noted of each piece, in ``size`` bytes, and how many bytes it has."""
        records = self._records()
        for number in range(self._pieces):
            behind = (number + 1) * _RECORD
            yield records[behind - size : behind], min(PIECE, self._size - number * PIECE)

    def write(self, data: memoryview, offset: int) -> None:
        """Put bytes where they belong."""
        while data:
            written = os.pwrite(self._fd, data, offset)
            data, offset = data[written:], offset + written

    def done(self, piece: int, crc: bytes) -> None:
        """Say that a piece has arrived, with its CRC: up to 8 bytes, none for none."""
        os.pwrite(self._fd, b"\1" + crc.rjust(_RECORD - 1, b"\0"), self._record(piece))

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

    def _records(self) -> bytes:
        return os.pread(self._fd, self._pieces * _RECORD, self._record(0))

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
