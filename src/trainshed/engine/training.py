"""Moves training jobs forward: what was seen -> where the job belongs, and what to do about it.

``decide`` is pure and total. Whatever it wants done is found again from the job and the facts
alone, so the process may be killed between any two lines: the next look decides the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from trainshed.domain import sizes
from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.names import hosts as host_names
from trainshed.domain.training import (
    LAUNCHING,
    MESSAGES,
    PREPARING,
    PULLING,
    Attempt,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.engine import checkpoints
from trainshed.engine.scheduling import Admission

_S = SecondaryStatus
_RELAUNCHES: Final = 3
"""How often an attempt's vanished agents are started over their journals before it is lost."""
_PEER_PATIENCE_SECONDS: Final = 3.0
"""How long the other nodes may take to save their work after one has failed the job."""
_REASON_LENGTH: Final = 1024
"""FailureReason's longest text (API model)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was gathered about one job."""

    now: datetime
    backend: str
    """Where a first attempt would go."""
    admission: Admission | None = None
    """For a job without an attempt: whether it may start."""
    facts: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    """By host, of the current attempt."""
    gone: frozenset[str] = frozenset()
    """Hosts whose agents vanished before their last fact was taken."""
    refusal: str = ""
    """Why planning or launching the attempt is hopeless, as a FailureReason; "" when it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The job as it should be, and what is to be done once that is written."""

    job: TrainingJob
    launch: bool = False
    """Launch the attempt's nodes (again, for those that are gone), then store their handles."""
    stop: Mapping[str, int] = field(default_factory=dict)
    """Host name to how it should have been told to stop by now: 1 with its grace, 2 at once."""
    retire: Attempt | None = None
    """An attempt whose nodes are to be removed before the job is written."""
    look_at: datetime | None = None
    """When to look again though nothing tells of a change; None when time alone decides nothing."""
    clean: bool = False
    """Remove the last attempt's nodes, then mark the job as cleaned."""


def decide(job: TrainingJob, seen: Seen) -> Decision:
    """Return where ``job`` belongs after what was seen, and what is to be done."""
    if job.over:
        return Decision(job=job, clean=not job.cleaned)
    if job.attempt is None:
        return _decide_waiting(job, seen)
    if seen.refusal:
        return Decision(job=_failed(job, seen.refusal, seen.now))
    return _decide_running(job, job.attempt, seen)


def _decide_waiting(job: TrainingJob, seen: Seen) -> Decision:
    if job.stop_wish is not None:
        stopped = _moved(job, _S.STOPPING, seen.now).moved_to(_S.STOPPED, at=seen.now)
        return Decision(job=replace(stopped, training_end=seen.now))
    if seen.refusal:
        return Decision(job=_failed(job, seen.refusal, seen.now))
    if seen.admission is None:
        return Decision(job=job)
    if seen.admission.hopeless:
        return Decision(job=_failed(job, seen.admission.hopeless, seen.now))
    if not seen.admission.admitted:
        waiting = job.moved_to(_S.PENDING, at=seen.now, message=seen.admission.reason)
        return Decision(job=waiting)
    attempt = Attempt(number=1, backend=seen.backend, started=seen.now)
    launching = job.moved_to(_S.STARTING, at=seen.now, message=LAUNCHING)
    return Decision(job=replace(launching, attempt=attempt), launch=True)


def _decide_running(job: TrainingJob, attempt: Attempt, seen: Seen) -> Decision:
    nodes = host_names(job.instance_count)
    job = _follow(job, nodes, seen)
    ended = {host: last for host in nodes if (last := _last(seen.facts.get(host, ()), Kind.ENDED))}
    gone = [host for host in nodes if host in seen.gone and host not in ended]
    if gone and attempt.relaunches >= _RELAUNCHES:
        lost = _lost(gone, seen.now)
        ended |= lost
        gone = []
    # Without handles nothing could be removed afterwards, so even nodes that ended are found first.
    if len(ended) == len(nodes) and attempt.handles:
        return _decide_ended(job, attempt, ended, seen)
    if gone or not attempt.handles:
        again = replace(attempt, relaunches=attempt.relaunches + bool(attempt.handles))
        return Decision(job=replace(job, attempt=again), launch=True)
    patience = _patience_ends(ended, seen)
    return Decision(
        job=job,
        stop=_wanted_stops(job, nodes, ended, seen),
        look_at=patience if patience and patience > seen.now else None,
    )


def _follow(job: TrainingJob, nodes: tuple[str, ...], seen: Seen) -> TrainingJob:
    """Return the job with the transitions that the facts tell of, at the facts' own times."""
    if job.stop_wish is not None and job.secondary is not _S.STOPPING:
        job = _moved(job, _S.STOPPING, seen.now)
    if job.attempt is not None and job.attempt.handles and job.secondary is _S.STARTING:
        job = job.moved_to(_S.STARTING, at=seen.now, message=PREPARING)
    firsts = {kind: _firsts(seen, kind) for kind in Kind}
    busy = firsts[Kind.PULLING] + firsts[Kind.DOWNLOADING] + firsts[Kind.TRAINING]
    if busy and job.training_start is None:
        job = replace(job, training_start=_time(min(busy), job, seen.now))
    job = replace(job, image_digest=job.image_digest or _first_image(seen))
    if bringing := firsts[Kind.PULLING] + firsts[Kind.DOWNLOADING]:
        job = _advanced(job, _S.DOWNLOADING, min(bringing), seen.now)
    if job.secondary is _S.DOWNLOADING:
        what = _bringing(seen) if firsts[Kind.DOWNLOADING] else PULLING
        job = job.moved_to(_S.DOWNLOADING, at=job.modified, message=what)
    if firsts[Kind.TRAINING]:
        job = _advanced(job, _S.TRAINING, min(firsts[Kind.TRAINING]), seen.now)
        told = checkpoints.message(seen.facts)
        if told:
            job = job.noted(_S.TRAINING, f"{MESSAGES[_S.TRAINING]} {told}", at=seen.now)
    if _stopped_by_limit(seen):
        job = _advanced(job, _S.STOPPING, min(firsts[Kind.STOPPING]), seen.now)
    # The job uploads once no node computes any more.
    if len(firsts[Kind.UPLOADING]) == len(nodes):
        job = _advanced(job, _S.UPLOADING, max(firsts[Kind.UPLOADING]), seen.now)
    return _told(job, nodes, seen)


def _bringing(seen: Seen) -> str:
    """Return how far the input data has come, over all nodes."""
    lasts = [last for each in seen.facts.values() if (last := _last(each, Kind.PROGRESS))]
    if not lasts:
        return MESSAGES[_S.DOWNLOADING]
    files = sum(int(last.detail.get("files", 0)) for last in lasts)
    size = sum(int(last.detail.get("bytes", 0)) for last in lasts)
    return f"{MESSAGES[_S.DOWNLOADING]}: {sizes.files(files, size)}"


def _told(job: TrainingJob, nodes: tuple[str, ...], seen: Seen) -> TrainingJob:
    """Return the job with what its nodes tell of their uploading: that it waits, what clashed."""
    if job.secondary not in {_S.UPLOADING, _S.STOPPING}:
        return job
    last = (_last(seen.facts.get(host, ()), Kind.UPLOADING) for host in nodes)
    told = [str(fact.detail["message"]) for fact in last if fact and fact.detail.get("message")]
    message = ". ".join([MESSAGES[job.secondary], *told[:1]])
    return job.moved_to(job.secondary, at=job.modified, message=message)


def _decide_ended(
    job: TrainingJob, attempt: Attempt, ended: Mapping[str, Fact], seen: Seen
) -> Decision:
    outcomes = {host: Outcome(fact.detail["outcome"]) for host, fact in ended.items()}
    at = max(_time(fact.at, job, seen.now) for fact in ended.values())
    failed = [host for host, outcome in outcomes.items() if outcome is Outcome.FAILED]
    if failed:
        return Decision(job=_failed(job, _reason(failed, ended, seen), at))
    lost = [host for host, outcome in outcomes.items() if outcome is Outcome.LOST]
    if lost and job.secondary is not _S.STOPPING and attempt.number <= _retries(job):
        # Log streams are told apart by this time.
        started = max(seen.now, attempt.started + timedelta(milliseconds=1))
        again = Attempt(number=attempt.number + 1, backend=attempt.backend, started=started)
        interrupted = _moved(job, _S.INTERRUPTED, at).moved_to(
            _S.STARTING, at=seen.now, message=LAUNCHING
        )
        return Decision(job=replace(interrupted, attempt=again), launch=True, retire=attempt)
    if lost:
        return Decision(job=_failed(job, _reason(lost, ended, seen), at))
    if job.secondary is _S.STOPPING or Outcome.STOPPED in outcomes.values():
        limit = job.stop_wish is None and _stopped_by_limit(seen)
        final = _S.MAX_RUNTIME_EXCEEDED if limit else _S.STOPPED
        job = _moved(job, _S.STOPPING, at)
    else:
        final = _S.COMPLETED
        if job.secondary is _S.STARTING:
            job = job.moved_to(_S.TRAINING, at=at)
        job = _moved(job, _S.UPLOADING, at)
    return Decision(job=replace(job.moved_to(final, at=at), training_end=at))


def _wanted_stops(
    job: TrainingJob, nodes: tuple[str, ...], ended: Mapping[str, Fact], seen: Seen
) -> dict[str, int]:
    """Return how each living node should have been told to stop: 1 with its grace, 2 at once."""
    patience = _patience_ends(ended, seen)
    spoiled = patience is not None
    out_of_patience = patience is not None and seen.now >= patience
    wanted = {}
    for host in nodes:
        if host in ended:
            continue
        # Who has exited is told as well that somebody wants an end: its results may wait.
        exited = _last(seen.facts.get(host, ()), Kind.EXITED) is not None
        # Having exited, it waits to merge what its peers made; from those that ended comes no more.
        waits_in_vain = exited and len(ended) == len(nodes) - 1
        if spoiled and (out_of_patience or waits_in_vain):
            wanted[host] = 2
        elif job.stop_wish is not None or (
            not exited and (spoiled or job.secondary is _S.STOPPING)
        ):
            wanted[host] = 1
    return wanted


def _patience_ends(ended: Mapping[str, Fact], seen: Seen) -> datetime | None:
    """Return until when the others may save their work; None while no node went wrong by itself."""
    bad = (Outcome.FAILED, Outcome.LOST)
    ends = [fact.at for fact in ended.values() if fact.detail["outcome"] in bad]
    exits = [
        last.at
        for facts in seen.facts.values()
        if (last := _last(facts, Kind.EXITED))
        and last.detail.get("reason")
        and _last(facts, Kind.STOPPING) is None
    ]
    spoiled_at = min(ends + exits, default=None)
    if spoiled_at is None:
        return None
    return datetime.fromtimestamp(spoiled_at + _PEER_PATIENCE_SECONDS, UTC)


def _moved(job: TrainingJob, to: SecondaryStatus, at: datetime) -> TrainingJob:
    return job if job.secondary is to else job.moved_to(to, at=at)


_ORDER: Final = (_S.PENDING, _S.STARTING, _S.DOWNLOADING, _S.TRAINING, _S.UPLOADING)


def _advanced(job: TrainingJob, to: SecondaryStatus, at: float, now: datetime) -> TrainingJob:
    """Return the job moved forward to ``to``; where it is already there or past, as it is."""
    if job.secondary not in _ORDER:
        return job
    if to in _ORDER and _ORDER.index(to) <= _ORDER.index(job.secondary):
        return job
    if to is _S.UPLOADING and job.secondary is _S.STARTING:
        return job
    return job.moved_to(to, at=_time(at, job, now))


def _failed(job: TrainingJob, reason: str, at: datetime) -> TrainingJob:
    failed = job.moved_to(_S.FAILED, at=at)
    return replace(failed, failure_reason=reason[:_REASON_LENGTH], training_end=at)


def _reason(hosts: list[str], ended: Mapping[str, Fact], seen: Seen) -> str:
    """Return the reason of the node that failed first; of several nodes, with its name."""

    def when(host: str) -> float:
        exited = _last(seen.facts.get(host, ()), Kind.EXITED)
        return exited.at if exited else ended[host].at

    first = min(hosts, key=when)
    reason = str(ended[first].detail.get("reason") or "InternalServerError: no reason was reported")
    if len(ended) == 1:
        return reason
    suffix = f" ({first})"
    return reason[: _REASON_LENGTH - len(suffix)] + suffix


def _lost(hosts: list[str], now: datetime) -> dict[str, Fact]:
    return {
        host: Fact(
            1,
            now.timestamp(),
            Kind.ENDED,
            {
                "outcome": Outcome.LOST.value,
                "reason": f"InternalServerError: the agent on {host} vanished, and again each "
                f"time it was started over its journal ({_RELAUNCHES} times); see its agent.log",
            },
        )
        for host in hosts
    }


def _retries(job: TrainingJob) -> int:
    strategy = job.request.get("RetryStrategy") or {}
    return int(strategy.get("MaximumRetryAttempts") or 0)


def _stopped_by_limit(seen: Seen) -> bool:
    return any(
        fact.kind is Kind.STOPPING and fact.detail.get("reason") == "max_runtime"
        for facts in seen.facts.values()
        for fact in facts
    )


def _firsts(seen: Seen, kind: Kind) -> list[float]:
    """Return when each node that reported ``kind`` first did, in seconds since the epoch."""
    return [
        next(fact.at for fact in facts if fact.kind is kind)
        for facts in seen.facts.values()
        if any(fact.kind is kind for fact in facts)
    ]


def _first_image(seen: Seen) -> str:
    """Return what the first node that knows its image calls it; "" while none does."""
    for facts in seen.facts.values():
        if known := _last(facts, Kind.IMAGE):
            return str(known.detail.get("digest") or known.detail.get("id") or "")
    return ""


def _last(facts: tuple[Fact, ...], kind: Kind) -> Fact | None:
    return next((fact for fact in reversed(facts) if fact.kind is kind), None)


def _time(at: float, job: TrainingJob, now: datetime) -> datetime:
    """Return a fact's time; a node's clock may be off, but time never runs backwards in a job."""
    told = datetime.fromtimestamp(at, UTC)
    earliest = job.transitions[-1].start if job.transitions else job.created
    return max(earliest, min(told, now))
