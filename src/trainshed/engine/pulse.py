"""Whether the engine still goes round, and how far behind it is. Noted by its loop, read by others.

Times are seconds of a clock that only goes forward, the event loop's.
"""

from typing import Final

_ROUNDS: Final = 3.0
"""How many rounds may be missed before the engine counts as stuck: one may be long."""


class Pulse:
    """The engine's heartbeat."""

    def __init__(self, every: float) -> None:
        """Expect a beat every so many seconds."""
        self._every = every
        self._last: float | None = None
        self.late = 0.0
        """Seconds by which the last round ended after it was due."""
        self.rounds = 0
        """How many there were."""

    def beat(self, now: float) -> None:
        """Note that a round is done."""
        if self._last is not None:
            self.late = max(0.0, now - self._last - self._every)
        self._last = now
        self.rounds += 1

    def lag(self, now: float) -> float:
        """Return by how many seconds the engine is behind: of the last round, or of one due now."""
        overdue = 0.0 if self._last is None else now - self._last - self._every
        return max(self.late, overdue, 0.0)

    def trouble(self, now: float) -> str:
        """Return why the engine counts as stuck; "" when it does not."""
        if self._last is None:
            return "the engine has not looked at the jobs yet"
        silent = now - self._last
        if silent > _ROUNDS * self._every:
            return (
                f"the engine last went round {silent:.0f} s ago, which it does every "
                f"{self._every:g} s"
            )
        return ""
