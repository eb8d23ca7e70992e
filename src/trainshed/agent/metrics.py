"""Finds the numbers that MetricDefinitions ask for in a job's lines."""

import math
import re
from collections.abc import Callable, Iterable, Mapping


class Metrics:
    """Searches every line for every pattern."""

    def __init__(
        self, definitions: Iterable[Mapping[str, str]], complain: Callable[[str], None]
    ) -> None:
        """``complain`` is told of patterns that can't be used, once each."""
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        self._points: list[tuple[str, float, float]] = []
        for definition in definitions:
            name, pattern = definition["Name"], definition["Regex"]
            try:
                compiled = re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                complain(f"metric {name}: the regex {pattern!r} cannot be used: {error}")
                continue
            if not compiled.groups:
                complain(f"metric {name}: the regex {pattern!r} has no group to take a number from")
                continue
            self._patterns.append((name, compiled))

    def scan(self, lines: Iterable[bytes], ms: int) -> None:
        """Take the points of lines seen at ``ms`` (milliseconds since the epoch)."""
        if not self._patterns:
            return
        for line in lines:
            text = line.decode("utf-8", "replace")
            for name, pattern in self._patterns:
                if (found := pattern.search(text)) is not None:
                    self._take(name, found[1], ms / 1000)

    @property
    def pending(self) -> bool:
        """Whether points were found since the last ``drain``."""
        return bool(self._points)

    def drain(self) -> list[tuple[str, float, float]]:
        """Return (name, value, seconds since the epoch) of what was found since the last call."""
        points, self._points = self._points, []
        return points

    def _take(self, name: str, text: str | None, at: float) -> None:
        try:
            value = float(text or "")
        except ValueError:
            return
        if math.isfinite(value):  # JSON and CloudWatch know no others
            self._points.append((name, value, at))
