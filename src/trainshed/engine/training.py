"""Moves training jobs forward: what was seen -> where the job belongs, and what to do about it.

``decide`` is pure and total. Whatever it wants done is found again from the job and the facts
alone, so the process may be killed between any two lines: the next look decides the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.names import attempt_id
from trainshed.domain.names import hosts as host_names
from trainshed.domain.training import (
    LAUNCHING,
    MESSAGES,
    Attempt,
    AttemptEnd,
    PastAttempt,
    SecondaryStatus,
    TrainingJob,
)
from trainshed.engine import blame, endings, warm
from trainshed.engine.decision import Decision, Seen
from trainshed.engine.endings import Trouble, outcome
from trainshed.engine.following import (
    follow,
    last_of,
    moved,
    stopped_by_limit,
    time_of,
    wait_is_over,
)
from trainshed.engine.scheduling import Admission

__all__ = ["Decision", "Seen", "decide"]

_S = SecondaryStatus
_RELAUNCHES: Final = 3
"""How often an attempt's vanished agents are started over their journals before it is lost."""
_PEER_PATIENCE_SECONDS: Final = 3.0
"""How long the other nodes may take to end after one of them has spoiled the attempt."""

_PENDING: Final = "it was pending for longer than MaxPendingTimeInSeconds provided"


def decide(job: TrainingJob, seen: Seen) -> Decision:
    """Return where ``job`` belongs after what was seen, and what is to be done."""
    if job.over:
        return _decide_over(job, seen)
    if job.attempt is None:
        return _decide_waiting(job, seen)
    if job.attempt.over is not None:
        return _decide_given_up(job, job.attempt, job.attempt.over, seen)
    if seen.refusal:
        refused = Trouble(end=AttemptEnd.REFUSED, reason=seen.refusal, goes_on=False)
        return Decision(job=_given_up(job, job.attempt, refused, seen, seen.now))
    if seen.no_room and not job.attempt.handles:
        unplaced = Trouble(end=AttemptEnd.UNPLACED, reason=seen.no_room, goes_on=True)
        return Decision(job=_given_up(job, job.attempt, unplaced, seen, seen.now))
    return _decide_running(job, job.attempt, seen)


def _decide_over(job: TrainingJob, seen: Seen) -> Decision:
    kept = warm.looked_at(job, seen.now)
    return Decision(job=kept, clean=not kept.cleaned, look_at=warm.ends(kept))


def _decide_waiting(job: TrainingJob, seen: Seen) -> Decision:
    if job.stop_wish is not None:
        return _stopped_waiting(job, _S.STOPPED, seen.now)
    if wait_is_over(job, seen.now):
        return _stopped_waiting(job, _S.MAX_WAIT_TIME_EXCEEDED, seen.now)
    if job.pending_ends is not None and seen.now >= job.pending_ends:
        return _stopped_waiting(job, _S.STOPPED, seen.now, f"{MESSAGES[_S.STOPPED]}: {_PENDING}")
    if seen.refusal:
        return Decision(job=_failed(job, seen.refusal, seen.now))
    if seen.admission is None:
        due = [moment for moment in (job.wait_ends, job.pending_ends) if moment is not None]
        return Decision(job=job, look_at=min(due, default=None))
    if seen.admission.hopeless:
        return Decision(job=_failed(job, seen.admission.hopeless, seen.now))
    if not seen.admission.admitted:
        return Decision(job=_told_to_wait(job, seen.admission.reason, seen.now))
    return _admitted(job, seen.admission, seen)


def _stopped_waiting(
    job: TrainingJob, end: SecondaryStatus, now: datetime, message: str | None = None
) -> Decision:
    stopped = moved(job, _S.STOPPING, now).moved_to(end, at=now, message=message)
    return Decision(job=replace(stopped, training_end=now))


def _admitted(job: TrainingJob, admission: Admission, seen: Seen) -> Decision:
    # Log streams are told apart by this time.
    last = job.past[-1] if job.past else None
    earliest = last.started + timedelta(milliseconds=1) if last else seen.now
    number = max(job.attempts, last.number if last else 0) + 1
    own_chain = attempt_id(job.id, number) if job.keep_alive else ""
    attempt = Attempt(
        number=number,
        backend=admission.backend or seen.backend,
        started=max(seen.now, earliest),
        instance_type=admission.instance_type,
        pool=admission.pool,
        pool_began=admission.pool_began,
        pool_chain=admission.pool_chain or own_chain,
    )
    warning = "" if job.past else job.warning
    launching = job.moved_to(_S.STARTING, at=seen.now, message=f"{LAUNCHING}{warning}")
    launching = replace(launching, attempt=attempt, attempts=attempt.number)
    return Decision(job=launching, launch=True)


def _told_to_wait(job: TrainingJob, reason: str, now: datetime) -> TrainingJob:
    if not job.past:
        return job.moved_to(_S.PENDING, at=now, message=reason)
    return job.moved_to(_S.INTERRUPTED, at=now, message=f"{_interruption(job)}. {reason}")


def _interruption(job: TrainingJob) -> str:
    """Return what the status says of the last attempt's end."""
    return f"{MESSAGES[_S.INTERRUPTED]}: {job.past[-1].reason}".rstrip(": ")


def _decide_running(job: TrainingJob, attempt: Attempt, seen: Seen) -> Decision:
    nodes = host_names(job.instance_count)
    job = follow(job, nodes, seen)
    ended = _ended(job, attempt, seen)
    gone = [host for host in nodes if host in seen.gone and host not in ended]
    if gone and attempt.relaunches >= _RELAUNCHES:
        why = (
            "vanished, and again each time it was started over its journal "
            f"({_RELAUNCHES} times); see its agent.log"
        )
        ended |= {host: endings.lost(host, seen.now, why) for host in gone}
        gone = []
    # Without handles nothing could be removed afterwards, so even nodes that ended are found first.
    if len(ended) == len(nodes) and attempt.handles:
        return _decide_ended(job, attempt, ended, seen)
    if gone or not attempt.handles:
        again = replace(attempt, relaunches=attempt.relaunches + bool(attempt.handles))
        return Decision(job=replace(job, attempt=again), launch=True)
    alive = tuple(host for host in nodes if host not in ended)
    giving_up = _gives_up(job, attempt, ended, seen)
    patience = None if giving_up else _patience_ends(ended, seen)
    return Decision(
        job=job,
        stop={} if giving_up else _wanted_stops(job, alive, patience, seen),
        interrupt=_wanted_interrupts(job, attempt, alive, seen, everybody=giving_up),
        look_at=_next_look(job, patience, seen.now),
    )


def _ended(job: TrainingJob, attempt: Attempt, seen: Seen) -> dict[str, Fact]:
    """Return the last fact of each node that ended; of those that can't tell it, what they lack."""
    found = {}
    for host in host_names(job.instance_count):
        facts = seen.facts.get(host, ())
        if last := last_of(facts, Kind.ENDED):
            found[host] = last
        elif host in seen.hopeless:
            stopped = job.secondary is _S.STOPPING or host in attempt.stops
            found[host] = endings.hopeless(seen.hopeless[host], stopped=stopped)
        elif host in seen.taken:
            found[host] = endings.taken(host, facts, seen.taken[host], seen.now)
    return found


def _gives_up(job: TrainingJob, attempt: Attempt, ended: Mapping[str, Fact], seen: Seen) -> bool:
    """Tell whether the attempt is to end, with its checkpoints kept, so that another follows."""
    if job.secondary is _S.STOPPING:
        return False
    what = endings.trouble(job, attempt, ended, seen.facts)
    if attempt.preempted_for or (what is not None and what.goes_on):
        return True
    return any(last_of(facts, Kind.NOTICE) for facts in seen.facts.values())


def _wanted_interrupts(
    job: TrainingJob, attempt: Attempt, alive: tuple[str, ...], seen: Seen, *, everybody: bool
) -> dict[str, float | None]:
    """Return whose drivers are still to be told to take them away, and after which notice."""
    if job.secondary is _S.STOPPING:
        return {}
    wanted: dict[str, float | None] = {}
    # What nobody keeps is not waited for.
    keeps = attempt.preempted_for or job.request.get("CheckpointConfig")
    patience = None if keeps else _PEER_PATIENCE_SECONDS
    for host in alive:
        told = host in attempt.interrupted or last_of(seen.facts.get(host, ()), Kind.NOTICE)
        if everybody and not told:
            wanted[host] = patience
    drill = job.drill
    if drill and not drill.told and drill.attempt == attempt.number and drill.host in alive:
        wanted[drill.host] = drill.notice
    return wanted


def _decide_ended(
    job: TrainingJob, attempt: Attempt, ended: Mapping[str, Fact], seen: Seen
) -> Decision:
    at = max(time_of(fact.at, job, seen.now) for fact in ended.values())
    what = endings.trouble(job, attempt, ended, seen.facts)
    stopping = job.secondary is _S.STOPPING
    if what is not None and not endings.told_by_all(ended, seen.facts):
        return Decision(job=_given_up(job, attempt, what, seen, at))
    if what is not None and what.goes_on and not stopping:
        return Decision(job=_given_up(job, attempt, what, seen, at))
    if what is not None and not (stopping and what.end is not AttemptEnd.LOST):
        return Decision(job=_failed(job, endings.final_reason(what.end, what.reason), at))
    if what is None and (failed := blame.to_blame(ended, seen.facts)):
        reason = blame.failure_reason(failed, ended, seen.facts)
        return Decision(job=warm.kept(_failed(job, reason, at)))
    if stopping or Outcome.STOPPED in map(outcome, ended.values()):
        final = _stopped_as(job, seen)
        job = moved(job, _S.STOPPING, at)
    else:
        final = _S.COMPLETED
        if job.secondary is _S.STARTING:
            job = job.moved_to(_S.TRAINING, at=at)
        job = moved(job, _S.UPLOADING, at)
    return Decision(job=warm.kept(replace(job.moved_to(final, at=at), training_end=at)))


def _given_up(
    job: TrainingJob, attempt: Attempt, what: Trouble, seen: Seen, at: datetime
) -> TrainingJob:
    """Return the job with its attempt written down as over: only then are its nodes removed."""
    return replace(job, attempt=replace(attempt, over=endings.past(attempt, what, seen.facts, at)))


def _decide_given_up(job: TrainingJob, attempt: Attempt, over: PastAttempt, seen: Seen) -> Decision:
    """Have the job stand in line again, or fail, once no node of its last attempt is left.

    What its nodes told until they were removed counts: an end that was taken meanwhile is one.
    """
    if not attempt.removed:
        return Decision(job=replace(job, attempt=replace(attempt, removed=True)), retire=attempt)
    ended = _ended(job, attempt, seen)
    if len(ended) == job.instance_count and not endings.trouble(job, attempt, ended, seen.facts):
        job = follow(job, host_names(job.instance_count), seen)
        return _decide_ended(job, attempt, ended, seen)
    waiting = replace(job, attempt=None)
    if over.end is not AttemptEnd.UNPLACED:
        waiting = replace(waiting, past=(*job.past, over))
    hopeless = over.end in {AttemptEnd.LOST, AttemptEnd.REFUSED}
    if job.secondary is _S.STOPPING and not hopeless:
        return Decision(job=waiting)
    if job.secondary is _S.STOPPING or not endings.goes_on(job, over.end):
        reason = endings.final_reason(over.end, over.reason)
        return Decision(job=_failed(job, reason, over.ended))
    if over.end is AttemptEnd.UNPLACED:
        reason = f"{MESSAGES[_S.PENDING]}: {over.reason}"
        return Decision(job=_told_to_wait(waiting, reason, seen.now))
    message = _interruption(waiting)
    return Decision(job=waiting.moved_to(_S.INTERRUPTED, at=over.ended, message=message))


def _stopped_as(job: TrainingJob, seen: Seen) -> SecondaryStatus:
    if job.stop_wish is None and stopped_by_limit(seen.facts):
        return _S.MAX_RUNTIME_EXCEEDED
    if job.stop_wish is None and wait_is_over(job, seen.now):
        return _S.MAX_WAIT_TIME_EXCEEDED
    return _S.STOPPED


def _wanted_stops(
    job: TrainingJob, alive: tuple[str, ...], patience: datetime | None, seen: Seen
) -> dict[str, int]:
    """Return how each living node should have been told to stop: 1 with its grace, 2 at once."""
    spoiled = patience is not None
    out_of_patience = patience is not None and seen.now >= patience
    wanted = {}
    for host in alive:
        # Who has exited is told as well that somebody wants an end: its results may wait.
        exited = last_of(seen.facts.get(host, ()), Kind.EXITED) is not None
        # Having exited, it waits to merge what its peers made; from those that ended comes no more.
        waits_in_vain = exited and len(alive) == 1
        if spoiled and (out_of_patience or waits_in_vain):
            wanted[host] = 2
        elif job.stop_wish is not None or (
            not exited and (spoiled or job.secondary is _S.STOPPING)
        ):
            wanted[host] = 1
    return wanted


def _patience_ends(ended: Mapping[str, Fact], seen: Seen) -> datetime | None:
    """Return until when the others may save their work; None while no node went wrong by itself."""
    good = (Outcome.COMPLETED, Outcome.STOPPED)
    ends = [fact.at for fact in ended.values() if outcome(fact) not in good]
    exits = [
        last.at
        for facts in seen.facts.values()
        if (last := last_of(facts, Kind.EXITED))
        and last.detail.get("reason")
        and last_of(facts, Kind.STOPPING) is None
    ]
    spoiled_at = min(ends + exits, default=None)
    if spoiled_at is None:
        return None
    return datetime.fromtimestamp(spoiled_at + _PEER_PATIENCE_SECONDS, UTC)


def _next_look(job: TrainingJob, patience: datetime | None, now: datetime) -> datetime | None:
    due = [moment for moment in (patience, job.wait_ends) if moment is not None and moment > now]
    return min(due, default=None)


def _failed(job: TrainingJob, reason: str, at: datetime) -> TrainingJob:
    failed = job.moved_to(_S.FAILED, at=at)
    return replace(failed, failure_reason=reason[: blame.REASON_LENGTH], training_end=at)
