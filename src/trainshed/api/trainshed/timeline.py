"""How a job's time was spent: its attempts, and the phases of each node, from facts alone. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from trainshed.domain import names
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import PastAttempt, TrainingJob

Journals = Mapping[int, Mapping[str, tuple[Fact, ...]]]
"""What the nodes of a job reported: attempt number, then host, then facts in order."""


class Phase(StrEnum):
    """What a job's time goes into."""

    QUEUE = "Queue"
    CAPACITY = "Capacity"
    STARTING = "Starting"
    IMAGE_PULL = "ImagePull"
    DOWNLOAD = "Download"
    TRAINING = "Training"
    UPLOAD = "Upload"
    INTERRUPTED = "Interrupted"


BILLED: Final = frozenset({Phase.IMAGE_PULL, Phase.DOWNLOAD, Phase.TRAINING, Phase.UPLOAD})
"""Phases in which a node is paid for; the service bills neither waiting nor starting."""

_BEGINS: Final = {
    Kind.STARTED: Phase.STARTING,
    Kind.PULLING: Phase.IMAGE_PULL,
    Kind.DOWNLOADING: Phase.DOWNLOAD,
    Kind.TRAINING: Phase.TRAINING,
    Kind.EXITED: Phase.UPLOAD,
    Kind.UPLOADING: Phase.UPLOAD,
}
"""Which phase of a node begins with which fact."""
_ORDER: Final = tuple(Phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One phase."""

    phase: Phase
    start: datetime
    end: datetime | None = None
    """None while it lasts."""
    attempt: int = 0
    """0 for what lies between attempts."""
    host: str = ""
    """"" for what the whole job does."""

    def seconds(self, now: datetime) -> float:
        """Return how long it took, or has taken so far."""
        return max(0.0, ((self.end or now) - self.start).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One attempt, past or present."""

    number: int
    backend: str
    instance_type: str
    started: datetime
    ended: datetime | None
    past: PastAttempt | None = None
    """None for the last one, if its job ended with it or it still runs."""


def launches(job: TrainingJob) -> list[Launch]:
    """Return a job's attempts, oldest first."""
    asked = str(job.request.get("ResourceConfig", {}).get("InstanceType", ""))
    gone = list(job.past)
    last = job.attempt
    if last is not None and last.over is not None:  # only its nodes are still to be removed
        gone.append(last.over)
    found = [
        Launch(
            number=past.number,
            backend=past.backend,
            instance_type=past.instance_type or asked,
            started=past.started,
            ended=past.ended,
            past=past,
        )
        for past in gone
    ]
    if last is not None and last.number not in {each.number for each in found}:
        present = Launch(
            number=last.number,
            backend=last.backend,
            instance_type=last.instance_type or asked,
            started=last.started,
            ended=over_at(job),
        )
        found.append(present)
    return found


def over_at(job: TrainingJob) -> datetime | None:
    """Return when a job was over; None while it is not."""
    return (job.training_end or job.modified) if job.over else None


def timeline(job: TrainingJob, journals: Journals) -> list[Span]:
    """Return all phases, in order of their start."""
    spans: list[Span] = []
    waiting, since = Phase.QUEUE, job.created
    for launch in launches(job):
        spans.append(Span(phase=waiting, start=since, end=max(since, launch.started)))
        facts = journals.get(launch.number, {})
        for host in names.hosts(job.instance_count):
            spans += _node(launch, host, facts.get(host, ()))
        if launch.past is None:
            break
        waiting, since = Phase.INTERRUPTED, launch.past.ended
    else:
        spans.append(Span(phase=waiting, start=since, end=over_at(job)))
    return sorted(spans, key=lambda each: each.start)


def _node(launch: Launch, host: str, facts: tuple[Fact, ...]) -> Iterator[Span]:
    """Yield the phases of one node, each up to where the next begins."""
    phase, start = Phase.CAPACITY, launch.started
    for fact in facts:
        begins = _BEGINS.get(fact.kind)
        if begins is None and fact.kind is not Kind.ENDED:
            continue
        # An agent that was started over tells again that it began; its container went on.
        if begins is not None and _ORDER.index(begins) <= _ORDER.index(phase):
            continue
        # A node's clock may be off; its phases still follow one another.
        at = max(start, moment(fact.at))
        if launch.ended is not None:
            at = max(start, min(at, launch.ended))
        yield Span(phase=phase, start=start, end=at, attempt=launch.number, host=host)
        if begins is None:
            return
        phase, start = begins, at
    end = None if launch.ended is None else max(start, launch.ended)
    yield Span(phase=phase, start=start, end=end, attempt=launch.number, host=host)


def moment(at: float) -> datetime:
    """Return the time of a fact."""
    return datetime.fromtimestamp(at, UTC)
