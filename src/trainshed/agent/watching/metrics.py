"""Finds the numbers that MetricDefinitions ask for in a job's lines."""

import contextlib
import math
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from trainshed.agent.watching.literals import literal_of

_PATIENCE_S: Final = 3.0
"""Processor time a pattern may take for lines that arrived together. One that backtracks without
end would otherwise hold up everything, the time limit and the wish to stop included."""


class _TooSlow(Exception):
    """A pattern has used up its time."""


class Metrics:
    """The last number that each pattern found. Used from the main thread, which gets signals."""

    def __init__(
        self, definitions: Iterable[Mapping[str, str]], complain: Callable[[str], None]
    ) -> None:
        """``complain`` is told of patterns that can't be used, once each."""
        self._complain = complain
        self._patterns: dict[str, tuple[re.Pattern[str], bytes]] = {}
        """By name, with what a line must contain to match; empty when that is not known."""
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
            literal = literal_of(compiled).encode("utf-8", "surrogatepass")
            # What is no UTF-8 in a line is read as U+FFFD.
            known = "\ufffd".encode() not in literal
            self._patterns[name] = compiled, literal if known else b""

    def scan(self, lines: bytes, ms: int) -> None:
        r"""Take the points of lines seen at ``ms`` (milliseconds since the epoch).

        Args:
            lines: end to end, each with ``\n`` behind it.
            ms: they all bear this time, so the last one of each name is the one that counts.
        """
        for name, (pattern, literal) in list(self._patterns.items()):
            if literal not in lines:
                continue
            try:
                with _at_most(_PATIENCE_S):
                    self._search(name, pattern, literal, lines, ms / 1000)
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

    def _search(
        self, name: str, pattern: re.Pattern[str], literal: bytes, lines: bytes, at: float
    ) -> None:
        for line in _backward(lines, literal):
            found = pattern.search(line.decode("utf-8", "replace"))
            if found is not None and (value := _number(found[1])) is not None:
                self._latest[name] = (value, at)
                return


def _backward(lines: bytes, literal: bytes) -> Iterator[bytes]:
    """Yield the lines that contain ``literal``, the last one first."""
    end = len(lines)
    while end > 0 and (at := lines.rfind(literal, 0, end - 1)) >= 0:
        start = lines.rfind(b"\n", 0, at) + 1
        yield lines[start : lines.index(b"\n", at)]
        end = start


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None  # JSON and CloudWatch know no others


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
