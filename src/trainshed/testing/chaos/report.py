"""What a chaos run tells at its end: tables for people, JSON for programs, and if it passed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainshed.testing.chaos.judge import RULES, Violation
from trainshed.testing.chaos.rounds import Outcome
from trainshed.testing.faults import points


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a run has to reach, besides no violation."""

    kills: int
    every_point: bool = False
    """Whether each point has to kill somebody at least once."""


@dataclass(frozen=True, slots=True)
class Report:
    """All rounds of a run."""

    seed: int
    goal: Goal
    rounds: Sequence[Outcome]

    @property
    def violations(self) -> list[tuple[Outcome, Violation]]:
        """Return each with the round where it was found."""
        return [(each, found) for each in self.rounds for found in each.violations]

    @property
    def kills(self) -> int:
        """How many there were."""
        return sum(each.killed for each in self.rounds)

    @property
    def unstruck(self) -> list[str]:
        """Return the points at which nobody died."""
        struck = set().union(*(each.struck for each in self.rounds)) if self.rounds else set()
        return [point for point in (*points.SERVER, *points.AGENT) if point not in struck]

    @property
    def shortcomings(self) -> list[str]:
        """Return why the run shows less than it should; nothing when it shows all."""
        found = []
        if self.kills < self.goal.kills:
            found.append(f"{self.kills} kills, of {self.goal.kills} that were asked for")
        if self.goal.every_point and self.unstruck:
            found.append(f"nobody died at {', '.join(self.unstruck)}")
        return found

    @property
    def lacks_only_points(self) -> bool:
        """Whether all is shown but that somebody dies at each point."""
        return self.goal.every_point and self.kills >= self.goal.kills and bool(self.unstruck)

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong, and there was enough that could have gone wrong."""
        return not self.violations and not self.shortcomings

    def json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "seed": self.seed,
            "passed": self.passed,
            "shortcomings": self.shortcomings,
            "kills": self.kills,
            "rounds": [_round(each) for each in self.rounds],
        }

    def text(self) -> Iterator[str]:
        """Yield the lines for people."""
        yield f"seed {self.seed}"
        yield ""
        yield from _table(
            ["KILLS", "WHERE", "RECORDS", "COUNT"],
            [
                [kind, place, database, str(count)]
                for (kind, place, database), count in sorted(self._kills().items())
            ],
        )
        yield ""
        yield from _table(
            ["JOBS", "ON", "RECORDS", "COUNT"],
            [
                [end, backend, database, str(count)]
                for (backend, end, database), count in sorted(self._jobs().items())
            ],
        )
        yield ""
        wrong = Counter(found.rule for _, found in self.violations)
        yield from _table(
            ["VIOLATIONS", "COUNT"], [[rule, str(wrong.get(rule, 0))] for rule in RULES]
        )
        yield ""
        yield from self._sums()
        for outcome in self.rounds:
            if outcome.violations:
                yield ""
                yield from outcome.told()
        for what in self.shortcomings:
            yield f"not shown: {what}"

    def _sums(self) -> Iterator[str]:
        rounds = self.rounds
        others: Counter[str] = sum((each.others for each in rounds), Counter())
        calls = sum(sum(each.calls.values()) for each in rounds)
        struck = len(points.SERVER) + len(points.AGENT) - len(self.unstruck)
        yield (
            f"{self.kills} kills in {sum(each.seconds for each in rounds):.0f} s, "
            f"{len(rounds)} rounds; {struck} of {len(points.SERVER) + len(points.AGENT)} points"
        )
        for what, count in sorted(others.items()):
            yield f"besides: {count} times {what}"
        yield f"{sum(each.attempts for each in rounds)} attempts of jobs"
        yield (
            f"{calls} calls answered; {sum(each.excused for each in rounds)} failed while nobody "
            "could answer"
        )

    def _kills(self) -> Counter[tuple[str, str, str]]:
        found: Counter[tuple[str, str, str]] = Counter()
        for each in self.rounds:
            for (kind, place), count in each.kills.items():
                found[kind, place, each.task.database] += count
        return found

    def _jobs(self) -> Counter[tuple[str, str, str]]:
        found: Counter[tuple[str, str, str]] = Counter()
        for each in self.rounds:
            for (backend, end), count in each.jobs.items():
                found[backend, end, each.task.database] += count
        return found


def _round(outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": outcome.task.seed,
        "records": outcome.task.database,
        "seconds": round(outcome.seconds, 1),
        "kills": [
            {"kind": kind, "where": place, "count": count}
            for (kind, place), count in sorted(outcome.kills.items())
        ],
        "points": dict(sorted(outcome.struck.items())),
        "others": dict(sorted(outcome.others.items())),
        "jobs": [
            {"backend": backend, "end": end, "count": count}
            for (backend, end), count in sorted(outcome.jobs.items())
        ],
        "attempts": outcome.attempts,
        "calls": dict(sorted(outcome.calls.items())),
        "excused_calls": outcome.excused,
        "violations": [
            {
                "rule": found.rule,
                "job": found.job,
                "what": found.what,
                "evidence": list(found.evidence),
            }
            for found in outcome.violations
        ],
        "last": list(outcome.last) if outcome.violations else [],
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
