"""What is measured from the moment on when somebody first asks for metrics, and never before."""

import asyncio
import os
from pathlib import Path
from typing import Final

from trainshed.stores.figures import QUICK, Histogram

_TICK_SECONDS: Final = 0.5
_WAIT_SECONDS: Final = 1.0
"""How long an answer waits for a folder to be looked through; else it tells what it found last."""


class LoopLag:
    """By how much the event loop is late: what every request waits for besides its own work."""

    def __init__(self) -> None:
        self.seconds = Histogram(QUICK)
        self._begun = False

    def begin(self) -> None:
        """Measure twice a second from now on; again is no error."""
        if not self._begun:
            self._begun = True
            self._tick(asyncio.get_running_loop().time())

    def _tick(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.seconds.note(max(0.0, now - due))
        following = now + _TICK_SECONDS
        loop.call_at(following, self._tick, following)


class FolderSize:
    """The bytes of all files below a folder, looked through on a thread now and then."""

    def __init__(self, folder: Path, every: float = 300.0) -> None:
        """Look ``folder`` through again once ``every`` seconds have passed."""
        self._folder = folder
        self._every = every
        self._looking: asyncio.Future[int] | None = None
        self._looked = 0.0
        self._last: int | None = None

    async def bytes(self) -> int | None:
        """Return what was found last; None while the first look is not done."""
        loop = asyncio.get_running_loop()
        if self._looking is None and (
            self._last is None or loop.time() - self._looked >= self._every
        ):
            self._looking = loop.run_in_executor(None, _size_of, self._folder)
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=_WAIT_SECONDS)
        if self._looking is not None and self._looking.done():
            self._last, self._looked = self._looking.result(), loop.time()
            self._looking = None
        return self._last


def _size_of(folder: Path) -> int:
    found = 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        found += entry.stat(follow_symlinks=False).st_size
        except OSError:  # it went meanwhile
            continue
    return found
