"""What the nodes of an attempt tell, as the transitions of its job. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from trainshed.domain import sizes
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import (
    MESSAGES,
    PREPARING,
    PULLING,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.engine import checkpoints
from trainshed.engine.decision import Seen

_S = SecondaryStatus
_WHY_LENGTH: Final = 1024
"""Longest text about nodes that wait, in characters."""
_ORDER: Final = (_S.PENDING, _S.STARTING, _S.DOWNLOADING, _S.TRAINING, _S.UPLOADING)

Facts = Mapping[str, tuple[Fact, ...]]


def follow(job: TrainingJob, nodes: tuple[str, ...], seen: Seen) -> TrainingJob:
    """Return the job with the transitions that the facts tell of, at the facts' own times."""
    if job.stop_wish is not None or wait_is_over(job, seen.now):
        job = moved(job, _S.STOPPING, seen.now)
    if job.attempt is not None and job.attempt.handles and job.secondary is _S.STARTING:
        warning = "" if job.past else job.warning
        why = _why_waiting(nodes, seen.waiting)
        why = why.rstrip(".") if warning else why
        job = job.moved_to(_S.STARTING, at=seen.now, message=f"{PREPARING}{why}{warning}")
    firsts = {kind: _firsts(seen.facts, kind) for kind in Kind}
    busy = firsts[Kind.PULLING] + firsts[Kind.DOWNLOADING] + firsts[Kind.TRAINING]
    if busy and job.training_start is None:
        job = replace(job, training_start=time_of(min(busy), job, seen.now))
    job = replace(job, image_digest=job.image_digest or _first_image(seen.facts))
    if bringing := firsts[Kind.PULLING] + firsts[Kind.DOWNLOADING]:
        job = _advanced(job, _S.DOWNLOADING, min(bringing), seen.now)
    if job.secondary is _S.DOWNLOADING:
        what = _bringing(seen.facts) if firsts[Kind.DOWNLOADING] else PULLING
        job = job.moved_to(_S.DOWNLOADING, at=job.modified, message=what)
    if firsts[Kind.TRAINING]:
        job = _advanced(job, _S.TRAINING, min(firsts[Kind.TRAINING]), seen.now)
        told = checkpoints.message(seen.facts)
        if told:
            job = job.noted(_S.TRAINING, f"{MESSAGES[_S.TRAINING]} {told}", at=seen.now)
    if stopped_by_limit(seen.facts):
        job = _advanced(job, _S.STOPPING, min(firsts[Kind.STOPPING]), seen.now)
    # The job uploads once no node computes any more.
    if len(firsts[Kind.UPLOADING]) == len(nodes):
        job = _advanced(job, _S.UPLOADING, max(firsts[Kind.UPLOADING]), seen.now)
    return _told(job, nodes, seen.facts)


def wait_is_over(job: TrainingJob, now: datetime) -> bool:
    """Tell whether the job was given MaxWaitTimeInSeconds, and they have passed."""
    return job.wait_ends is not None and now >= job.wait_ends


def stopped_by_limit(facts: Facts) -> bool:
    """Tell whether a node stopped its container because MaxRuntimeInSeconds were over."""
    return any(
        fact.kind is Kind.STOPPING and fact.detail.get("reason") == "max_runtime"
        for each in facts.values()
        for fact in each
    )


def moved(job: TrainingJob, to: SecondaryStatus, at: datetime) -> TrainingJob:
    """Return the job in ``to``, as it is when it stands there."""
    return job if job.secondary is to else job.moved_to(to, at=at)


def last_of(facts: tuple[Fact, ...], kind: Kind) -> Fact | None:
    """Return the last fact of a kind, or None."""
    return next((fact for fact in reversed(facts) if fact.kind is kind), None)


def time_of(at: float, job: TrainingJob, now: datetime) -> datetime:
    """Return a fact's time; a node's clock may be off, but time never runs backwards in a job."""
    told = datetime.fromtimestamp(at, UTC)
    earliest = job.transitions[-1].start if job.transitions else job.created
    return max(earliest, min(told, now))


def _why_waiting(nodes: tuple[str, ...], waiting: Mapping[str, str]) -> str:
    """Return why nodes have not begun yet, as the end of a message; "" where none says it."""
    hosts: dict[str, list[str]] = {}
    for host in nodes:
        if text := waiting.get(host):
            hosts.setdefault(text, []).append(host)
    if not hosts:
        return ""
    told = [f"{_named(of)}: {text}" if len(nodes) > 1 else text for text, of in hosts.items()]
    return f": {'; '.join(told)}"[:_WHY_LENGTH]


def _named(hosts: list[str]) -> str:
    first, *others = hosts
    return f"{first} and {len(others)} more" if len(others) > 1 else ", ".join(hosts)


def _bringing(facts: Facts) -> str:
    """Return how far the input data has come, over all nodes."""
    lasts = [last for each in facts.values() if (last := last_of(each, Kind.PROGRESS))]
    if not lasts:
        return MESSAGES[_S.DOWNLOADING]
    files = sum(int(last.detail.get("files", 0)) for last in lasts)
    size = sum(int(last.detail.get("bytes", 0)) for last in lasts)
    return f"{MESSAGES[_S.DOWNLOADING]}: {sizes.files(files, size)}"


def _told(job: TrainingJob, nodes: tuple[str, ...], facts: Facts) -> TrainingJob:
    """Return the job with what its nodes tell of their uploading: that it waits, what clashed."""
    if job.secondary not in {_S.UPLOADING, _S.STOPPING}:
        return job
    last = (last_of(facts.get(host, ()), Kind.UPLOADING) for host in nodes)
    told = [str(fact.detail["message"]) for fact in last if fact and fact.detail.get("message")]
    message = ". ".join([MESSAGES[job.secondary], *told[:1]])
    return job.moved_to(job.secondary, at=job.modified, message=message)


def _advanced(job: TrainingJob, to: SecondaryStatus, at: float, now: datetime) -> TrainingJob:
    """Return the job moved forward to ``to``; where it is already there or past, as it is."""
    if job.secondary not in _ORDER:
        return job
    if to in _ORDER and _ORDER.index(to) <= _ORDER.index(job.secondary):
        return job
    if to is _S.UPLOADING and job.secondary is _S.STARTING:
        return job
    return job.moved_to(to, at=time_of(at, job, now))


def _firsts(facts: Facts, kind: Kind) -> list[float]:
    """Return when each node that reported ``kind`` first did, in seconds since the epoch."""
    return [
        next(fact.at for fact in each if fact.kind is kind)
        for each in facts.values()
        if any(fact.kind is kind for fact in each)
    ]


def _first_image(facts: Facts) -> str:
    """Return what the first node that knows its image calls it; "" while none does."""
    for each in facts.values():
        if known := last_of(each, Kind.IMAGE):
            return str(known.detail.get("digest") or known.detail.get("id") or "")
    return ""
