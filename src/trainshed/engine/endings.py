"""What it means for a job that the nodes of an attempt have ended. Pure.

A node that was lost or taken away pulls its peers down: their programs fail as well. So what failed
only after the last sign of life of such a node is not held against the user's program.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.training import Attempt, AttemptEnd, PastAttempt, TrainingJob
from trainshed.engine import blame
from trainshed.engine.decision import Hopeless
from trainshed.engine.following import Facts, last_of

_TROUBLE: Final = (Outcome.LOST, Outcome.INTERRUPTED)
_FOR_GOOD: Final = (
    "; a job goes on after that when it has EnableManagedSpotTraining, or attempts left in "
    "RetryStrategy"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why an attempt can't end well although no program of the user's is to blame."""

    end: AttemptEnd
    reason: str
    """Of the first node that was lost or taken, as a FailureReason."""
    goes_on: bool
    """Whether the job gets another attempt."""


def outcome(ended: Fact) -> Outcome:
    """Return how a node ended."""
    return Outcome(ended.detail["outcome"])


def trouble(
    job: TrainingJob, attempt: Attempt, ended: Mapping[str, Fact], facts: Facts
) -> Trouble | None:
    """Return what the platform did to an attempt; None while it did nothing.

    Args:
        job: as it stands.
        attempt: its present one.
        ended: the last fact of each node that has ended, or was found lost or taken.
        facts: all that the nodes told, by host.
    """
    bad = {
        host: last_sign(facts.get(host, ())) for host in ended if outcome(ended[host]) in _TROUBLE
    }
    if not bad:
        return None
    since = min(bad.values())
    blamed = [
        host
        for host in failures(ended)
        if blame.failed_at(facts.get(host, ()), ended[host]) < since
    ]
    if blamed:
        return None
    first = min(bad, key=lambda host: (bad[host], host))
    reason = str(ended[first].detail.get("reason") or blame.UNSAID)
    lost = [host for host in bad if outcome(ended[host]) is Outcome.LOST]
    if attempt.preempted_for and not lost:
        end = AttemptEnd.PREEMPTED
    else:
        end = AttemptEnd.LOST if lost else AttemptEnd.INTERRUPTED
    if lost:
        reason = blame.failure_reason(lost, ended, facts)
    return Trouble(end=end, reason=reason, goes_on=goes_on(job, end))


def goes_on(job: TrainingJob, end: AttemptEnd) -> bool:
    """Tell whether a job gets another attempt after one that ended so."""
    match end:
        case AttemptEnd.PREEMPTED | AttemptEnd.UNPLACED:
            return True
        case AttemptEnd.REFUSED:
            return False
        case AttemptEnd.INTERRUPTED | AttemptEnd.LOST:
            return job.outlives_its_nodes


def failures(ended: Mapping[str, Fact]) -> list[str]:
    """Return the hosts whose programs failed."""
    return [host for host, fact in ended.items() if outcome(fact) is Outcome.FAILED]


def final_reason(end: AttemptEnd, reason: str) -> str:
    """Return the FailureReason of a job that gets no other attempt after one that ended so."""
    if end is AttemptEnd.INTERRUPTED:
        return f"InternalServerError: a node was taken away: {reason}{_FOR_GOOD}"
    return reason


def told_by_all(ended: Mapping[str, Fact], facts: Facts) -> bool:
    """Tell whether all nodes have told their ends themselves, so that nothing can follow."""
    return all(last_of(facts.get(host, ()), Kind.ENDED) is not None for host in ended)


def past(attempt: Attempt, what: Trouble, facts: Facts, at: datetime) -> PastAttempt:
    """Return what is remembered of an attempt that ended at ``at``."""
    trained = [fact.at for each in facts.values() for fact in each if fact.kind is Kind.TRAINING]
    kept = [_kept_at(each) for each in facts.values()]
    oldest = min(kept, default=0.0)
    return PastAttempt(
        number=attempt.number,
        backend=attempt.backend,
        instance_type=attempt.instance_type,
        started=attempt.started,
        trained_from=datetime.fromtimestamp(min(trained), UTC) if trained else None,
        ended=at,
        end=what.end,
        reason=what.reason[: blame.REASON_LENGTH],
        kept_at=datetime.fromtimestamp(oldest, UTC) if oldest else None,
    )


def lost(host: str, now: datetime, reason: str) -> Fact:
    """Return the end of a node that can't tell it any more."""
    return _end_of(Outcome.LOST, now, f"InternalServerError: the agent on {host} {reason}")


def taken(host: str, facts: tuple[Fact, ...], why: str, now: datetime) -> Fact:
    """Return the end of a node that its place took away, as the place says ``why``."""
    notice = last_of(facts, Kind.NOTICE)
    told = str(notice.detail.get("reason", "")) if notice else "without notice"
    return _end_of(Outcome.INTERRUPTED, now, f"{host} was taken away: {why or told}")


def hopeless(node: Hopeless, *, stopped: bool) -> Fact:
    """Return the end of a node that its place will never start.

    If it was ``stopped`` by then, that it does not start is what was asked for.
    """
    if stopped:
        return _end_of(Outcome.STOPPED, node.since, "")
    return _end_of(Outcome.FAILED, node.since, node.reason)


def last_sign(facts: tuple[Fact, ...]) -> float:
    """Return when the node was last known to be well, in seconds since the epoch; 0 for never.

    What it told of its own end, and of a notice, is no sign of that.
    """
    signs = [fact.at for fact in facts if fact.kind not in {Kind.ENDED, Kind.NOTICE}]
    notices = [fact.at for fact in facts if fact.kind is Kind.NOTICE]
    return min([max(signs, default=0.0), *notices])


def _end_of(how: Outcome, now: datetime, reason: str) -> Fact:
    return Fact(1, now.timestamp(), Kind.ENDED, {"outcome": how.value, "reason": reason})


def _kept_at(facts: tuple[Fact, ...]) -> float:
    last = last_of(facts, Kind.CHECKPOINT)
    return float(last.detail.get("kept_at", 0.0)) if last else 0.0
