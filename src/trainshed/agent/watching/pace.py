"""How often to read from a container that writes very much: often enough, and no more.

Waking up costs as much as handling 64 KiB. So between two reads of a flood there is a rest, always
too short for the pipe to fill up, and too short for anybody to notice. Who writes what a person can
read is read at once.
"""

import fcntl
import time
from collections.abc import Iterable
from typing import Final

_ROOM: Final = 1024 * 1024
"""Bytes that a pipe is to hold; Linux lets everybody have as much, unless there are many pipes."""
_FLOOD: Final = 512 * 1024
"""Bytes a second from which on there are rests: thousands of lines."""
_SURE: Final = 4
"""Reads in a row that show a flood; a traceback is none."""
_LONGEST_S: Final = 0.05
_SHORTEST_S: Final = 0.002


class Pace:
    """The reads of one container, whose outputs are pipes or anything else that can be read."""

    def __init__(self, outputs: Iterable[int]) -> None:
        """Give the pipes among ``outputs`` as much room as they get."""
        self._room = min(map(_room, outputs), default=_ROOM)
        # Once freed, a piece of memory of this size has malloc keep such pieces for the next read.
        bytes(_ROOM)
        self._last = time.monotonic()
        self._reads = 0

    def rest(self, size: int) -> None:
        """Rest as long as it is good for, after ``size`` bytes were read and handled."""
        now = time.monotonic()
        seconds = self.seconds(size, now - self._last)
        if seconds:
            time.sleep(seconds)
        self._last = now

    def seconds(self, size: int, took: float) -> float:
        """Return how long to rest when ``size`` bytes came within ``took`` seconds."""
        rate = size / max(took, 1e-6)
        self._reads = self._reads + 1 if rate >= _FLOOD else 0
        # Whoever writes unevenly is not to be held up either. And what comes in pieces as large as
        # these needs no rest; perhaps more was waiting, and the rate is a higher one.
        if self._reads < _SURE or size >= self._room / 4:
            return 0.0
        seconds = min(self._room / 8 / rate, _LONGEST_S)
        return seconds if seconds >= _SHORTEST_S else 0.0


def _room(output: int) -> int:
    """Return how many bytes may wait in an output."""
    for ask, size in ((fcntl.F_SETPIPE_SZ, _ROOM), (fcntl.F_GETPIPE_SZ, 0)):
        try:
            return fcntl.fcntl(output, ask, size)
        except OSError:
            continue  # there are too many large pipes, or this is none
    return _ROOM
