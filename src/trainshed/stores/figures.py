"""Counts of what passes, at the price of an addition: whoever is asked for metrics reads them.

They are this process's own and begin at its start, as Prometheus expects of counters: whoever asks
for a rate takes a fall to zero for the restart that it is.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for what a client waits for, in seconds."""
LONG: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0, 259200.0)
"""Bounds for what a job takes, in seconds: up to three days."""
SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
"""Bounds for how many share something."""


class Histogram:
    """How often a value fell below each of some bounds."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Count against ``bounds``, smallest first."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        """Of all values."""

    def note(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values were noted."""
        return sum(self._counts)

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield (bound, how many values were not above it), as Prometheus has them."""
        below = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            below += count
            yield "+Inf" if bound == float("inf") else str(bound), below


class WriteTally:
    """How a database's writes went."""

    def __init__(self) -> None:
        self.batch = Histogram(SIZES)
        """Changes that shared a transaction."""
        self.seconds = Histogram(QUICK)
        """Until a transaction was on disk, or had failed."""
