"""The wish to stop: told by SIGTERM, and how urgent it is by the ``stop`` file.

The server writes the file before it signals, and may do both again after a crash, so what stands in
the file counts. Signals are counted only when they come without one: somebody else's.
"""

import contextlib
import os
import select
import threading
from pathlib import Path
from typing import Final

_RINGS: Final = 4096


class Stop:
    """How often the node was asked to stop. Read from any thread, written by a signal handler."""

    def __init__(self, wish: Path) -> None:
        """``wish`` is a file that holds 1, or 2 for at once, or is not there."""
        self._wish = wish
        self._signals = 0
        self._in_file = 0
        self._forgotten = threading.Event()
        self.fd, self._bell = os.pipe()
        """``fd`` is readable after each change."""
        os.set_blocking(self._bell, False)

    def hear(self, *_: object) -> None:
        """Take one more SIGTERM; fit to be a signal handler."""
        self._signals += 1
        self.look()

    def look(self) -> None:
        """Read the file again."""
        with contextlib.suppress(OSError, ValueError):
            self._in_file = int(self._wish.read_text())
        self._ring()

    def remember(self) -> None:
        """Go on from a journal in which the wish stands already."""
        self._signals = max(self._signals, 1)

    def forget_job(self) -> None:
        """Note that the server knows the job no more: nothing it makes is wanted."""
        self._forgotten.set()
        self._ring()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until something changes; for the main thread alone."""
        if select.select([self.fd], [], [], seconds)[0]:
            os.read(self.fd, _RINGS)

    @property
    def asked(self) -> bool:
        """Whether the node was asked to stop."""
        return self._urgency > 0 or self.forgotten

    @property
    def impatient(self) -> bool:
        """Whether it was asked again: neither grace nor peers are to be waited for."""
        return self._urgency > 1 or self.forgotten

    @property
    def forgotten(self) -> bool:
        """Whether the server knows the job no more."""
        return self._forgotten.is_set()

    @property
    def _urgency(self) -> int:
        return self._in_file or self._signals

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b".")
