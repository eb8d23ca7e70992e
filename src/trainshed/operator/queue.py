"""Which objects are to be looked at: each at once by one only, many at the same time.

Level-triggered: an object that is added ten times while it waits is looked at once. One that is
added while somebody works on it is looked at once more afterwards.
"""

import asyncio
import heapq
import random
from collections import deque
from typing import Final

from trainshed.operator.objects import Key

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 120.0
"""Seconds between tries of what does not work: doubled each time, up to this."""
_SPREAD: Final = 0.2
"""By how much a pause may be longer or shorter, so that objects do not come all at once."""


class Queue:
    """For one event loop. There are no timers but one, whatever the number of objects."""

    def __init__(
        self, *, first_pause: float = _FIRST_PAUSE, longest: float = _LONGEST_PAUSE
    ) -> None:
        """Hold nothing yet."""
        self._first, self._longest = first_pause, longest
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        """Those in ``_ready``."""
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        """Those that were added while they were busy."""
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        """When each of ``_later`` is meant to come; another time there is out of date."""
        self._tries: dict[Key, int] = {}
        self._filled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        """Return how many wait to be looked at now."""
        return len(self._ready)

    def is_busy(self, key: Key) -> bool:
        """Tell whether somebody works on an object."""
        return key in self._busy

    def add(self, key: Key) -> None:
        """Have an object looked at."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._filled.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Have an object looked at in so many seconds, unless it will be sooner already."""
        due = asyncio.get_running_loop().time() + max(seconds, 0.0)
        if self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key))
        self._set_timer()

    def retry(self, key: Key) -> float:
        """Have an object looked at after a pause that doubles with each retry; return seconds."""
        tries = self._tries.get(key, 0)
        self._tries[key] = tries + 1
        pause = min(self._first * 2.0 ** min(tries, 30), self._longest)
        pause *= 1 + random.uniform(-_SPREAD, _SPREAD)  # noqa: S311 - spreads load, hides nothing
        self.add_later(key, pause)
        return pause

    def forgive(self, key: Key) -> None:
        """Let the next pause be the first again."""
        self._tries.pop(key, None)

    def forget(self, key: Key) -> None:
        """Look no more at an object that is gone."""
        self._tries.pop(key, None)
        self._due.pop(key, None)

    async def take(self) -> Key | None:
        """Return an object to work on, once there is one; ``done`` must follow.

        None is returned once the queue is closed.
        """
        while not self._ready and not self._closed:
            self._filled.clear()
            await self._filled.wait()
        if self._closed:
            return None
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        """Let others work on an object."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Give out nothing more."""
        self._closed = True
        self._filled.set()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._later and not self._closed:
            self._timer = asyncio.get_running_loop().call_at(self._later[0][0], self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._set_timer()
