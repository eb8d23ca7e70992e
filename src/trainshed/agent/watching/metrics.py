"""Finds the numbers that MetricDefinitions ask for in a job's lines."""

import contextlib
import math
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

_PATIENCE_S: Final = 3.0
"""Processor time a pattern may take for lines that arrived together. One that backtracks without
end would otherwise hold up everything, the time limit and the wish to stop included."""


class _TooSlow(Exception):
    """A pattern has used up its time."""


class Metrics:
    """Searches every line for every pattern. Used from the main thread, which gets signals."""

    def __init__(
        self, definitions: Iterable[Mapping[str, str]], complain: Callable[[str], None]
    ) -> None:
        """``complain`` is told of patterns that can't be used, once each."""
        self._complain = complain
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._latest: dict[str, tuple[float, float]] = {}
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
            self._patterns[name] = compiled

    def scan(self, lines: Iterable[bytes], ms: int) -> None:
        """Take the points of lines seen at ``ms`` (milliseconds since the epoch)."""
        if not self._patterns:
            return
        texts = [line.decode("utf-8", "replace") for line in lines]
        for name, pattern in list(self._patterns.items()):
            try:
                with _at_most(_PATIENCE_S):
                    self._search(name, pattern, texts, ms / 1000)
            except _TooSlow:
                del self._patterns[name]
                self._complain(
                    f"metric {name}: the regex {pattern.pattern!r} took more than "
                    f"{_PATIENCE_S:g} s for a few lines, and is not looked for any more"
                )

    @property
    def pending(self) -> bool:
        """Whether points were found since the last ``drain``."""
        return bool(self._latest)

    def drain(self) -> list[tuple[str, float, float]]:
        """Return the last (name, value, seconds since the epoch) of each since the last call."""
        points = [(name, value, at) for name, (value, at) in self._latest.items()]
        self._latest = {}
        return points

    def _search(self, name: str, pattern: re.Pattern[str], texts: Sequence[str], at: float) -> None:
        for text in texts:
            if (found := pattern.search(text)) is not None:
                self._take(name, found[1], at)

    def _take(self, name: str, text: str | None, at: float) -> None:
        try:
            value = float(text or "")
        except ValueError:
            return
        if math.isfinite(value):  # JSON and CloudWatch know no others
            self._latest[name] = (value, at)


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise ``_TooSlow`` in a block that uses more processor time; ``re`` looks for signals."""

    def ring(*_: object) -> None:
        raise _TooSlow

    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
