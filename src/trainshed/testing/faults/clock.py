"""A clock that can be set wrong."""

from collections.abc import Callable
from datetime import datetime, timedelta


class JumpingClock:
    """Another clock's time, off by as much as it has jumped."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Tell what ``clock`` tells."""
        self._clock = clock
        self._off = timedelta()

    def __call__(self) -> datetime:
        """Return what time it is, as far as this clock knows."""
        return self._clock() + self._off

    def jump(self, seconds: float) -> None:
        """Be off by so much more; a negative number sets the clock back."""
        self._off += timedelta(seconds=seconds)
