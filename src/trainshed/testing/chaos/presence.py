"""When somebody could answer in a chaos run, made out of when each could."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from trainshed.testing.chaos.book import Outage


@dataclass
class Presence:
    """When one server answers; moments of the monotonic clock, told in any order but its own."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None
    """From when on it answers now; None while it does not."""

    def note(self, *, answers: bool, at: float) -> None:
        """Note that it answers from now on, or no more."""
        if answers and self.since is None:
            self.since = at
        elif not answers and self.since is not None:
            self.spans.append((self.since, max(self.since, at)))
            self.since = None

    def all(self) -> list[tuple[float, float]]:
        """Return when it answered, the present time included."""
        return self.spans + ([(self.since, float("inf"))] if self.since is not None else [])


def outages(presences: Iterable[Presence], began: float) -> list[Outage]:
    """Return when nobody answered, since ``began``."""
    found, until = [], began
    for since, end in sorted(span for each in presences for span in each.all()):
        if since > until:
            found.append(Outage(until, since))
        until = max(until, end)
    return found if until == float("inf") else [*found, Outage(until, float("inf"))]
