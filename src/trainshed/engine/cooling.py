"""What had no capacity when it was asked for, and until when it is left alone."""

from collections.abc import Mapping
from typing import Final

_FIRST: Final = 10.0
"""Seconds for which a place is left alone after it refused something once."""
_LONGEST: Final = 300.0
"""Seconds after which it is asked again at the latest, however often it refused."""


class Cooling:
    """Backends and instance types that were refused; each time in a row for twice as long."""

    def __init__(self) -> None:
        """Begin with none."""
        self._refused: dict[tuple[str, str], tuple[float, float]] = {}
        """(seconds, until when) by backend and instance type."""

    def refused(self, backend: str, instance_type: str, now: float) -> None:
        """Note that there was nothing to be had; what is refused meanwhile changes nothing."""
        seconds, until = self._refused.get((backend, instance_type), (0.0, 0.0))
        if now < until:
            return
        again = seconds and now < until + seconds + _LONGEST
        seconds = min(2 * seconds, _LONGEST) if again else _FIRST
        self._refused[backend, instance_type] = (seconds, now + seconds)

    def at(self, now: float) -> Mapping[tuple[str, str], float]:
        """Return until when what is left alone now is, by backend and instance type."""
        self._refused = {
            key: (seconds, until)
            for key, (seconds, until) in self._refused.items()
            if now < until + seconds + _LONGEST
        }
        return {key: until for key, (_, until) in self._refused.items() if now < until}
