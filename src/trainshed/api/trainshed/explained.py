"""Why a job is where it is: one answer from its row and its nodes' facts. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from trainshed.api.sagemaker.answers import billable_seconds
from trainshed.api.trainshed.attempts import Course, Restored, courses
from trainshed.api.trainshed.prices import Prices
from trainshed.api.trainshed.queue import reason, waits
from trainshed.api.trainshed.timeline import BILLED, Journals, Phase, Span, moment, timeline
from trainshed.domain.advice import advice
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import (
    MESSAGES,
    AttemptEnd,
    SecondaryStatus,
    TrainingJob,
)

_S = SecondaryStatus
_LIMITS: Final = frozenset({_S.MAX_RUNTIME_EXCEEDED, _S.MAX_WAIT_TIME_EXCEEDED})
_NO_CHECKPOINTS: Final = (
    "it keeps no checkpoints, so each interruption starts it over: --checkpoints s3://…, "
    "or CheckpointConfig"
)
_MOST_ADVICE: Final = 2
"""Lines."""


def explained(
    job: TrainingJob, journals: Journals, now: datetime, prices: Prices
) -> dict[str, Any]:
    """Return the answer of ExplainTrainingJob.

    Args:
        job: as it is stored.
        journals: what the nodes of its attempts reported.
        now: for what still goes on.
        prices: what nodes cost.
    """
    spans = timeline(job, journals)
    ran = courses(job, journals)
    phases = [_phase(span, job, ran, now, prices) for span in spans]
    answer: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status.value,
        "SecondaryStatus": job.secondary.value,
        "CreationTime": job.created,
        "Priority": job.priority,
        "Preemptible": job.preemptible,
        "Phases": phases,
        "Attempts": [_attempt(course, job, spans, now) for course in ran],
    }
    answer |= _present(
        {
            "Project": job.project or None,
            "WaitsFor": _waits_for(job, spans, now),
            "Warning": _warning(job),
            "LastFailure": _failure(job),
            "Checkpoints": _checkpoints(job, journals, ran),
            "Drill": _drill(job, ran),
        }
    )
    return answer | _times(job, ran, now) | _cost(phases)


def _phase(
    span: Span, job: TrainingJob, ran: Sequence[Course], now: datetime, prices: Prices
) -> dict[str, Any]:
    seconds = span.seconds(now)
    cost = None
    if span.phase in BILLED:
        launch = next(each.launch for each in ran if each.launch.number == span.attempt)
        cost = prices.cost(
            seconds, backend=launch.backend, instance_type=launch.instance_type, spot=job.spot
        )
    return {"Phase": span.phase.value, "StartTime": span.start, "Seconds": seconds} | _present(
        {
            "AttemptNumber": span.attempt or None,
            "Host": span.host or None,
            "EndTime": span.end,
            "Cost": cost,
        }
    )


def _attempt(
    course: Course, job: TrainingJob, spans: Sequence[Span], now: datetime
) -> dict[str, Any]:
    launch, past = course.launch, course.launch.past
    trained = [
        span.seconds(now)
        for span in spans
        if span.attempt == launch.number and span.phase is Phase.TRAINING
    ]
    outcome, why = (past.end.value, past.reason) if past else _last_outcome(job)
    restored = course.restored
    return {
        "AttemptNumber": launch.number,
        "Backend": launch.backend,
        "Outcome": outcome,
        "StartTime": launch.started,
        "Seconds": max(0.0, ((launch.ended or now) - launch.started).total_seconds()),
    } | _present(
        {
            "InstanceType": launch.instance_type or None,
            "EndTime": launch.ended,
            "Reason": why or None,
            "TrainingSeconds": max(trained, default=None),
            "KeptTime": course.kept_at,
            "LostSeconds": course.lost,
            "GapSeconds": course.gap,
            **_restored(restored),
        }
    )


def _last_outcome(job: TrainingJob) -> tuple[str, str]:
    """Return how the last attempt ended: as its job did."""
    if not job.over:
        return "Running", ""
    return job.secondary.value, job.failure_reason or ""


def _warning(job: TrainingJob) -> str | None:
    """Return what may go wrong with a job that is not over."""
    told = job.warning.removeprefix(". ").removeprefix("Warning: ")
    return None if job.over else told or None


def _waits_for(job: TrainingJob, spans: Sequence[Span], now: datetime) -> dict[str, Any] | None:
    """Return what a job waits for; None while its program runs and once it is over."""
    if job.over or (job.secondary is _S.TRAINING and job.attempt is not None):
        return None
    last = job.transitions[-1]
    since = spans[-1].start if waits(job) else last.start
    text = reason(job) if waits(job) else last.message
    waiting = {
        "Message": text,
        "SinceTime": since,
        "Seconds": max(0.0, (now - since).total_seconds()),
    }
    if waits(job) and (lines := advice(text, job.name)):
        waiting["Advice"] = list(lines)
    return waiting


def _failure(job: TrainingJob) -> dict[str, Any] | None:
    """Return what went wrong last: the job itself, or else its last attempt that did not last."""
    if job.failure_reason:
        number = job.attempt.number if job.attempt else None
        return _failed(job.failure_reason, job, job.training_end, number)
    if job.secondary in _LIMITS:
        return _failed(MESSAGES[job.secondary], job, job.training_end, None)
    if not job.past:
        return None
    past = job.past[-1]
    why = past.reason or f"attempt {past.number}: {past.end.value}"
    failure = _failed(why, job, past.ended, past.number)
    if past.end is not AttemptEnd.LOST:
        failure["Advice"] = [_after_interruption(job)]
    return failure


def _after_interruption(job: TrainingJob) -> str:
    """Return what to do after what is no fault: what counts is whether its work is kept."""
    if not job.request.get("CheckpointConfig"):
        return _NO_CHECKPOINTS
    if job.over:
        return "nothing: it is over"
    if waits(job):
        return "nothing: its next attempt begins once there is capacity"
    return f"nothing: it goes on in attempt {len(job.past) + 1}"


def _failed(why: str, job: TrainingJob, at: datetime | None, attempt: int | None) -> dict[str, Any]:
    lines = [*advice(why, job.name)]
    if job.spot and job.secondary in _LIMITS and not job.request.get("CheckpointConfig"):
        lines = [_NO_CHECKPOINTS, *lines]
    failure: dict[str, Any] = {"Reason": why, "Advice": lines[:_MOST_ADVICE]}
    return failure | _present({"AttemptNumber": attempt, "FailureTime": at})


def _checkpoints(
    job: TrainingJob, journals: Journals, ran: Sequence[Course]
) -> dict[str, Any] | None:
    config = job.request.get("CheckpointConfig")
    if not config:
        return None
    last = ran[-1] if ran else None
    told: list[Mapping[str, Any]] = []
    for course in ran:  # the last attempt that told of any
        facts = journals.get(course.launch.number, {})
        lasts = (_last(each, Kind.CHECKPOINT) for each in facts.values())
        told = [fact.detail for fact in lasts if fact] or told
    waiting = [float(detail["since"]) for detail in told if detail.get("since")]
    trouble = next((str(detail["trouble"]) for detail in told if detail.get("trouble")), None)
    stands: dict[str, Any] = {
        "S3Uri": config["S3Uri"],
        "Files": sum(int(detail.get("files") or 0) for detail in told),
        "Bytes": sum(int(detail.get("bytes") or 0) for detail in told),
    }
    kept = [course.kept_at for course in ran if course.kept_at is not None]
    stands |= _present(
        {
            "KeptTime": max(kept, default=None),
            "WaitingSinceTime": moment(min(waiting)) if waiting else None,
            "Trouble": trouble,
            **_restored(last.restored if last else None),
        }
    )
    if trouble:
        stands["Advice"] = list(advice(f"Checkpoints: {trouble}", job.name))
    return stands


def _drill(job: TrainingJob, ran: Sequence[Course]) -> dict[str, Any] | None:
    """Return what became of the last drill."""
    drill = job.drill
    if drill is None:
        return None
    hit = next((course for course in ran if course.launch.number == drill.attempt), None)
    after = next((course for course in ran if course.launch.number > drill.attempt), None)
    told: dict[str, Any] = {
        "Kind": "Notice" if drill.notice else "SuddenLoss",
        "RequestTime": drill.wished,
        "AttemptNumber": drill.attempt,
        "Host": drill.host,
    }
    if drill.notice:
        told["NoticeInSeconds"] = round(drill.notice)
    if after is not None and after.trained_from is not None:
        told["Status"] = "Resumed" if after.restored else "StartedOver"
        told |= _present(
            {
                **_restored(after.restored),
                "LostSeconds": hit.lost if hit else None,
                "GapSeconds": hit.gap if hit else None,
            }
        )
    elif job.over:
        told["Status"] = "Missed"
    else:
        told["Status"] = "Interrupted" if hit is not None and hit.launch.past else "Asked"
    return told


def _restored(restored: Restored | None) -> dict[str, Any]:
    if restored is None:
        return {}
    return {"RestoredFiles": restored.files, "RestoredTime": restored.newest}


def _times(job: TrainingJob, ran: Sequence[Course], now: datetime) -> dict[str, Any]:
    """Return training and billable seconds, what was lost, and what spot nodes save."""
    told: dict[str, Any] = {}
    if ran:
        told["LostTimeInSeconds"] = sum(course.lost or 0.0 for course in ran)
    if job.training_start is None:
        return told
    end = job.training_end or now
    trained = max(0.0, (end - job.training_start).total_seconds())
    billable = max(0.0, billable_seconds(job.transitions, job.training_start, end))
    told |= {"TrainingTimeInSeconds": trained, "BillableTimeInSeconds": billable}
    if job.spot and trained:
        told["SpotSavingPercent"] = round(100 * (1 - billable / trained), 1)
    return told


def _cost(phases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all nodes cost so far; nothing when a price is not known, or none ran."""
    billed = [phase for phase in phases if phase["Phase"] in BILLED]
    if not billed or any("Cost" not in phase for phase in billed):
        return {}
    return {"Cost": sum(phase["Cost"] for phase in billed)}


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _last(facts: tuple[Fact, ...], kind: Kind) -> Fact | None:
    return next((fact for fact in reversed(facts) if fact.kind is kind), None)
