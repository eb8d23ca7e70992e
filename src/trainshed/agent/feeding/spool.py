"""A list on disk: what a channel has, in order, however much that is.

Ten million lines must not lie in memory for as long as a job runs; eight bytes for each do.
"""

import os
from array import array
from pathlib import Path
from typing import BinaryIO, Final

_BUFFER: Final = 1 << 20


class Spool:
    """Records of bytes by number. Filled by one thread, then read by any."""

    def __init__(self, path: Path) -> None:
        """Keep the records in a file that has no name any more once this returns.

        Raises:
            OSError: it can't be made.
        """
        path.unlink(missing_ok=True)
        self._file: BinaryIO = path.open("x+b", buffering=_BUFFER)
        path.unlink()
        self._ends = array("Q")

    def add(self, record: bytes) -> None:
        """Add a record; ``settle`` makes it readable.

        Raises:
            OSError: the disk has no room for it.
        """
        self._file.write(record)
        self._ends.append((self._ends[-1] if self._ends else 0) + len(record))

    def settle(self) -> None:
        """Have all records readable.

        Raises:
            OSError: the disk has no room for them.
        """
        self._file.flush()

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> bytes:
        """Return a record; numbers count from 0."""
        start = self._ends[number - 1] if number else 0
        return os.pread(self._file.fileno(), self._ends[number] - start, start)

    def close(self) -> None:
        """Let go of the file, and with it of the disk's room."""
        self._file.close()
