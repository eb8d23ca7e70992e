"""Time that passes only when nothing is left to do: hours of waiting take no time at all.

``run`` has a program's event loop live by it, so ``asyncio.sleep``, ``timeout`` and ``call_later``
mean its seconds, for the code under test as for the test. What such a program does is the same each
time, as long as it waits for nothing outside (no threads, no sockets) and does not go through sets:
those of texts have another order in each process, but for PYTHONHASHSEED.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

T = TypeVar("T")

BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PATIENCE: Final = 10.0
"""Real seconds to wait for something outside when nothing else is left."""


class VirtualClock:
    """A clock that a virtual loop turns."""

    def __init__(self, beginning: datetime = BEGINNING) -> None:
        """Stand at ``beginning``."""
        self._beginning = beginning
        self.seconds = 0.0
        """Since then."""

    def now(self) -> datetime:
        """Return what time it is."""
        return self._beginning + timedelta(seconds=self.seconds)


class _Turning(selectors.DefaultSelector):
    """A selector that, instead of waiting, has time pass."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is None:
            if outside := super().select(_PATIENCE):
                return outside
            raise RuntimeError("nothing is left to do, and nothing will ever happen")
        self._clock.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that lives by a virtual clock."""

    def __init__(self, clock: VirtualClock) -> None:
        """Have ``clock`` turned by waiting."""
        self._virtual = clock
        super().__init__(_Turning(clock))

    def time(self) -> float:
        """Return the loop's time, in seconds."""
        return self._virtual.seconds


def run(main: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> T:
    """Run a program on virtual time, from its beginning; return what it returns."""
    clock = VirtualClock()
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main(clock))
