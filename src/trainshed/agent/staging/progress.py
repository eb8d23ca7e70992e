"""Tells how far a node's channels have come, while they come."""

import os
import threading
from pathlib import Path
from typing import Final

from trainshed.agent.journal import Journal
from trainshed.domain.facts import Kind

_OFTEN_S: Final = 2.0
_SELDOM: Final = 0.02
"""Of the time that has passed: what takes hours need not be told of every two seconds."""


class Progress:
    """Counts what was brought, and writes it down now and then. Safe to share between threads."""

    def __init__(self, journal: Journal, parts: Path) -> None:
        """Tell ``journal``; below ``parts`` is what is on its way."""
        self._journal = journal
        self._parts = parts
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._files = self._bytes = 0
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def add(self, size: int) -> None:
        """Count a file of so many bytes."""
        with self._lock:
            self._files += 1
            self._bytes += size

    def _run(self) -> None:
        told, waited = (0, 0), 0.0
        while not self._over.wait(pause := max(_OFTEN_S, waited * _SELDOM)):
            waited += pause
            with self._lock:
                now = self._files, self._bytes
            now = now[0], now[1] + _on_its_way(self._parts)
            if now == told:
                continue
            told = now
            try:
                self._journal.append(Kind.PROGRESS, files=now[0], bytes=now[1])
            except OSError:  # a full disk is told by those whose work it ends
                return


def _on_its_way(folder: Path) -> int:
    """Return the bytes of files that have arrived in part, as far as they are on the disk."""
    found = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat()
                found += min(status.st_blocks * 512, status.st_size)
    except OSError:  # it was finished just now
        return found
    return found
