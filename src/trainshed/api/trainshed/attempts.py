"""What became of each attempt: what it went on from, what it lost, how long the gap was. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trainshed.api.trainshed.timeline import Journals, Launch, launches, moment
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import TrainingJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Checkpoints that an attempt went on from."""

    files: int
    size: int
    newest: datetime | None
    """When the newest was made; None when that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an attempt went."""

    launch: Launch
    trained_from: datetime | None = None
    """When its first program began; None when none did."""
    trained_to: datetime | None = None
    """When its first program to end did; None while all run, or when none began."""
    kept_at: datetime | None = None
    """When its checkpoints were last kept, by the slowest of its nodes; None for never."""
    restored: Restored | None = None
    """None when nothing was brought, or that is not known yet."""
    lost: float | None = None
    """Seconds of work that were done and not kept; None while that can't be said."""
    gap: float | None = None
    """Seconds from the end of its program to the next attempt's begin; None without a next one."""


def courses(job: TrainingJob, journals: Journals) -> list[Course]:
    """Return how each attempt of a job went, oldest first."""
    found: list[Course] = []
    after: Course | None = None
    for launch in reversed(launches(job)):
        course = _course(launch, journals.get(launch.number, {}), after)
        found.append(course)
        after = course
    return found[::-1]


def _course(launch: Launch, facts: Mapping[str, tuple[Fact, ...]], after: Course | None) -> Course:
    began = [first.at for each in facts.values() if (first := _first(each, Kind.TRAINING))]
    trained_from = moment(min(began)) if began else None
    if trained_from is None and launch.past is not None:
        trained_from = launch.past.trained_from
    trained_to = _trained_to(launch, facts) if trained_from else None
    kept_at = launch.past.kept_at if launch.past else _kept_at(facts)
    lost = gap = None
    if launch.past is not None:
        lost = _lost(trained_from, trained_to, kept_at, after)
        if trained_to and after and after.trained_from:
            gap = _between(trained_to, after.trained_from)
    return Course(
        launch=launch,
        trained_from=trained_from,
        trained_to=trained_to,
        kept_at=kept_at,
        restored=_restored(facts),
        lost=lost,
        gap=gap,
    )


def _trained_to(launch: Launch, facts: Mapping[str, tuple[Fact, ...]]) -> datetime | None:
    """Return when the first program ended; of nodes that told nothing, when the attempt was over.

    An attempt computes together: with one program the work of all is at an end.
    """
    ends = [
        moment(float(last.detail.get("over") or last.at))
        for each in facts.values()
        if (last := _last(each, Kind.EXITED))
    ]
    if launch.ended is not None:
        ends.append(launch.ended)
    return min(ends, default=None)


def _lost(
    trained_from: datetime | None,
    trained_to: datetime | None,
    kept_at: datetime | None,
    after: Course | None,
) -> float:
    """Return the seconds of work that were done after the last that was kept.

    What the next attempt really went on from counts; until it tells, what was kept.
    """
    if trained_from is None or trained_to is None:
        return 0.0
    kept = kept_at
    if after is not None and after.trained_from is not None:
        kept = (after.restored.newest or kept_at) if after.restored else None
    return _between(max(trained_from, kept) if kept else trained_from, trained_to)


def _kept_at(facts: Mapping[str, tuple[Fact, ...]]) -> datetime | None:
    kept = [
        float(last.detail.get("kept_at") or 0.0)
        for each in facts.values()
        if (last := _last(each, Kind.CHECKPOINT))
    ]
    slowest = min(kept, default=0.0)
    return moment(slowest) if slowest else None


def _restored(facts: Mapping[str, tuple[Fact, ...]]) -> Restored | None:
    told = [
        last.detail
        for each in facts.values()
        if (last := _last(each, Kind.RESTORED)) and last.detail.get("files")
    ]
    if not told:
        return None
    newest = max(float(detail.get("newest") or 0.0) for detail in told)
    # Every node is brought all that lies under S3Uri.
    return Restored(
        files=max(int(detail["files"]) for detail in told),
        size=max(int(detail.get("bytes") or 0) for detail in told),
        newest=moment(newest) if newest else None,
    )


def _between(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())


def _first(facts: tuple[Fact, ...], kind: Kind) -> Fact | None:
    return next((fact for fact in facts if fact.kind is kind), None)


def _last(facts: tuple[Fact, ...], kind: Kind) -> Fact | None:
    return next((fact for fact in reversed(facts) if fact.kind is kind), None)
