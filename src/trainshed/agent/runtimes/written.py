"""What a container wrote, on its way from the thread that hears it to the one that reads it."""

import contextlib
import os
import threading
from typing import Final

from trainshed.agent.runtimes.base import Stream

_ROOM: Final = 4 * 1024 * 1024
"""Bytes read ahead of the one who reads; a container that writes faster waits."""

Piece = tuple[Stream, bytes]


class Written:
    """Pieces in their order. Put in by one thread, taken out by another."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Readable when ``take`` has something to say."""
        self._changed = threading.Condition()
        self._pieces: list[Piece] = []
        self._held = 0
        self._ended = False
        self._closed = False

    def put(self, pieces: list[Piece]) -> bool:
        """Hand pieces on, once there is room; return False when nobody takes them any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._held < _ROOM or self._closed)
            if self._closed:
                return False
            self._pieces += pieces
            self._held += sum(len(data) for _, data in pieces)
            os.eventfd_write(self.fd, 1)
        return True

    def end(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self._ended = True
            if not self._closed:
                os.eventfd_write(self.fd, 1)

    def take(self) -> list[Piece] | None:
        """Return what has come since; None after the last."""
        with self._changed:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.fd)
            found, self._pieces, self._held = self._pieces, [], 0
            if self._ended:
                os.eventfd_write(self.fd, 1)
            self._changed.notify_all()
        return found if found or not self._ended else None

    @property
    def full(self) -> bool:
        """Whether it waits for the one who reads."""
        return self._held >= _ROOM

    def close(self) -> None:
        """Let go of it; whoever puts something into it is sent away."""
        with self._changed:
            if not self._closed:
                self._closed = True
                os.close(self.fd)
            self._changed.notify_all()
