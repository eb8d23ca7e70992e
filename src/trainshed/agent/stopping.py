"""The wish to stop and the notice that the node is taken away: told by SIGTERM, kept in files.

The server writes a file before it signals, and may do both again after a crash, so what stands in
the files ``stop`` and ``notice`` counts. Signals are counted only when they come without either:
somebody else's.
"""

import contextlib
import os
import select
import threading
from pathlib import Path
from typing import Final

from trainshed.domain.notice import Notice

_RINGS: Final = 4096


class Stop:
    """How often the node was asked to stop. Read from any thread, written by a signal handler."""

    def __init__(self, wish: Path) -> None:
        """Look into ``wish``, a file with 1, or 2 for at once, and ``notice`` beside it."""
        self._wish = wish
        self._word = wish.with_name("notice")
        self._notice: Notice | None = None
        self._signals = 0
        self._in_file = 0
        self._forgotten = threading.Event()
        self.fd, self._bell = os.pipe()
        """``fd`` is readable after each change."""
        self.notice_fd, self._notice_bell = os.pipe()
        """``notice_fd`` is readable after each change of the notice."""
        for bell in (self._bell, self._notice_bell):
            os.set_blocking(bell, False)

    def hear(self, *_: object) -> None:
        """Take one more SIGTERM; fit to be a signal handler."""
        self.look()
        if not self._in_file and self._notice is None:
            self._signals += 1
            self._ring()

    def look(self) -> None:
        """Read the files again."""
        with contextlib.suppress(OSError, ValueError):
            self._in_file = int(self._wish.read_text())
        with contextlib.suppress(OSError):
            self.note_notice(Notice.parse(self._word.read_bytes()))
        self._ring()

    def note_wish(self, *, at_once: bool) -> None:
        """Take a wish that stands elsewhere than in the file; it is not taken back."""
        self._in_file = max(self._in_file, 2 if at_once else 1)
        self._ring()

    def note_notice(self, notice: Notice | None) -> None:
        """Take a notice, unless there is one already that leaves no more time."""
        if notice is not None and notice.replaces(self._notice):
            self._notice = notice
            self._ring()
            with contextlib.suppress(BlockingIOError):
                os.write(self._notice_bell, b".")

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
    def notice(self) -> Notice | None:
        """The word that the node is to be taken away; None while there is none."""
        return self._notice

    @property
    def called_off(self) -> bool:
        """Whether nothing more should begin: the node was asked to stop, or is taken away."""
        return self.asked or self._notice is not None

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
