"""Waits for a store that is away, as long as the caller wants, and says so once."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway, StoreFull

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_LOOK_S: Final = 0.5
"""How often a wait is interrupted to see whether anybody still wants it."""

Arrived = Callable[[int], None]
"""Told how many bytes more are here, those of an earlier try among them; from any thread."""
T = TypeVar("T")


def never() -> bool:
    """Return False."""
    return False


def unhurried(away_s: float) -> bool:
    """Return False."""
    return False


def unheard(what: object) -> None:
    """Say nothing."""


class Patience:
    """How long to wait, and who may end it. Safe to share between threads."""

    def __init__(
        self,
        *,
        cancelled: Callable[[], bool] = never,
        hurried: Callable[[float], bool] = unhurried,
        seconds: float = math.inf,
        complain: Callable[[str], None] = unheard,
    ) -> None:
        """Wait for a store that is away, and say so once.

        Args:
            cancelled: asked often, from any thread; True ends what runs with ``Cancelled``.
            hurried: asked while the store is away, with the seconds since it was; True ends the
                waiting for it.
            seconds: how long to go on asking a store that is away.
            complain: is told, once, that a store is away and waited for.
        """
        self._cancelled = cancelled
        self._hurried = hurried
        self._seconds = seconds
        self._complain = complain
        self._lock = threading.Lock()
        self._complained: set[type[StoreAway]] = set()

    def complain(self, text: str) -> None:
        """Say something to whoever is told that a store is away."""
        self._complain(text)

    def check(self, what: object) -> None:
        """Raise ``Cancelled`` when the caller wants no more."""
        if self._cancelled():
            raise Cancelled(f"{what}: cancelled")

    def ask(self, what: object, question: Callable[[], T]) -> T:
        """Ask until there is an answer, a refusal, or no patience left.

        Raises:
            StoreAway: patience ended.
            Cancelled: the caller wants no more.
        """
        waiting = Waiting(self, what)
        while True:
            self.check(what)
            try:
                return question()
            except StoreAway as away:
                waiting.after(away)

    def spent(self, since: float) -> bool:
        """Tell whether that moment of the monotonic clock is too long ago."""
        return time.monotonic() - since > self._seconds or self.hurried(since)

    def hurried(self, since: float) -> bool:
        """Tell whether the caller waits no longer for a store that is away since that moment."""
        return self._hurried(time.monotonic() - since)

    def complain_once(self, away: StoreAway) -> None:
        """Say that a store is waited for, unless it was said before."""
        kind = StoreFull if isinstance(away, StoreFull) else StoreAway
        with self._lock:
            said = kind in self._complained
            self._complained.add(kind)
        if not said:
            until = "full, and waited for until somebody makes room"
            how = until if kind is StoreFull else "away, and waited for"
            self._complain(f"an object store is {how}: {away}")


class Waiting:
    """One thing that is tried again and again."""

    def __init__(self, patience: Patience, what: object) -> None:
        self._patience = patience
        self._what = what
        self.progressed()

    def progressed(self) -> None:
        """Forget earlier troubles: the store is there."""
        self._since = time.monotonic()
        self._wait = _FIRST_WAIT_S

    def after(self, away: StoreAway) -> None:
        """Wait before the next try; raise ``away`` when patience ends, or ``Cancelled``."""
        if self._patience.spent(self._since):
            raise away
        # A restart is over before anybody need hear of it; a full store is not.
        if self._wait >= _LONGEST_WAIT_S or isinstance(away, StoreFull):
            self._patience.complain_once(away)
        until = time.monotonic() + self._wait
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
            self._patience.check(self._what)
            if self._patience.hurried(self._since):
                raise away
        self._wait = min(self._wait * 2, _LONGEST_WAIT_S)
