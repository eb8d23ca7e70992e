"""What is written about a job that is there: its status, its conditions, its Events."""

from collections.abc import Mapping
from typing import Any, Final

from trainshed.operator.deciding import conditions, submitted
from trainshed.operator.deciding.base import (
    THROTTLED,
    Decision,
    Notice,
    Refused,
    Seen,
    Told,
    Trouble,
)
from trainshed.operator.deciding.conditions import Condition
from trainshed.operator.deciding.training_job import told
from trainshed.operator.deciding.training_job.reading import LOST, STOP, is_missing, job_of, name_of
from trainshed.operator.objects import Object, Place

RECONCILING: Final = "ReconcilingTrainingJob"
"""The first operator's word for what did not work."""
EDITED: Final = "EditRefused"


def followed(thing: Object, seen: Seen, described: Told, *notices: Notice) -> Decision:
    """Write what the service tells of the job."""
    status = told.status(described.result, where(thing, seen))
    if not submitted.of(thing):  # adopted, or from the first operator
        status[submitted.MEMBER] = submitted.record(thing.spec, name_of(thing))
    return tell(thing, seen, status, *notices)


def where(thing: Object, seen: Seen) -> Place:
    """Return where its job is, with the address that its calls go to."""
    return Place(seen.endpoint, submitted.place(thing).region)


def tell(thing: Object, seen: Seen, status: dict[str, Any], *notices: Notice) -> Decision:
    """Write a job's status, and what it means."""
    here = (*_progress(status), *_sync(thing, status))
    news = tuple(
        Notice(reason=each.reason, message=_ended(status, each), warning=each.reason == "Failed")
        for each in here
        if each.kind == conditions.FINISHED and not thing.holds(conditions.FINISHED)
    )
    edits = tuple(
        notice
        for each in here
        if each.kind == conditions.STALLED and each.holds
        for notice in conditions.warning(thing, each)
    )
    return write(thing, seen, status, here, (*notices, *news, *edits))


def restated(thing: Object, seen: Seen) -> Decision:
    """Write what was told before, of the spec as it is now."""
    if thing.condition(conditions.FINISHED) is None:
        return lose(thing, seen)
    return tell(thing, seen, dict(thing.status))


def unseen(thing: Object, seen: Seen, answer: Refused) -> Decision:
    """Return what to write when the service does not describe the job."""
    if is_missing(answer):
        known = thing.status.get("trainingJobStatus") in told.OVER
        return tell(thing, seen, dict(thing.status)) if known else lose(thing, seen)
    text = f"The service does not tell of the job: {answer.message} ({answer.code})"
    return troubled(thing, seen, Trouble("ServiceRefuses", text))


def lose(thing: Object, seen: Seen) -> Decision:
    """Return what to write when there is no such job any more."""
    text = (
        f"The service knows no training job {job_of(thing)} any more; somebody deleted it. This "
        "object keeps what was last known. Delete the object, and make it anew to run it again."
    )
    here = conditions.stalled(LOST, text)
    news = conditions.warning(thing, here[-1])
    return write(thing, seen, {}, (*here, *_ends(thing)), news)


def troubled(
    thing: Object, seen: Seen, trouble: Trouble, notices: tuple[Notice, ...] = ()
) -> Decision:
    """Say that the service cannot be asked now; what it told before stays.

    A service that only wants fewer requests is no news of a job that is there.
    """
    if trouble.reason == THROTTLED and job_of(thing):
        return Decision(retry=True)
    ready = conditions.kept(thing, conditions.READY) if job_of(thing) else ()
    synced = Condition(conditions.SYNCED, False, trouble.reason, trouble.message)
    here = (
        *(ready or (Condition(conditions.READY, False, trouble.reason, trouble.message),)),
        synced,
        Condition(conditions.STALLED, False, trouble.reason),
        *_ends(thing),
    )
    status: dict[str, Any] = {}
    if not job_of(thing):
        status = {"trainingJobStatus": RECONCILING, "additional": trouble.message}
    told_of = (*notices, *conditions.warning(thing, synced))
    written = write(thing, seen, status, here, told_of)
    return Decision(notices=written.notices, status=written.status, retry=True)


def stall(thing: Object, seen: Seen, reason: str, text: str) -> Decision:
    """Return what to write when nothing happens until somebody edits the spec."""
    here = conditions.stalled(reason, text)
    status = {"trainingJobStatus": RECONCILING, "additional": conditions.cut(text)}
    return write(thing, seen, status, here, conditions.warning(thing, here[-1]))


def stopping(thing: Object, seen: Seen) -> tuple[Notice, ...]:
    """Return the Event of a job that was just asked to stop."""
    if not isinstance(seen.answers.get(STOP), Told):
        return ()
    return (Notice(reason="Stopping", message=f"Asked training job {name_of(thing)} to stop"),)


def write(
    thing: Object,
    seen: Seen,
    status: Mapping[str, Any],
    here: tuple[Condition, ...],
    notices: tuple[Notice, ...] = (),
) -> Decision:
    """Return what to write so that an object says this; nothing when it says it already."""
    wanted = {
        **status,
        "observedGeneration": thing.generation,
        "conditions": conditions.merged(thing, here, seen.now),
    }
    difference = conditions.difference(thing.status, wanted)
    if difference is None:
        return Decision()
    return Decision(notices=notices, status=difference)


def _progress(status: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return how far the job is."""
    state = str(status.get("trainingJobStatus"))
    text = str(status.get("failureReason") or status.get("statusMessage") or "")
    if state not in told.OVER:
        reason = str(status.get("secondaryStatus") or state)
        return (Condition(conditions.READY, False, reason, text),)
    return (
        Condition(conditions.READY, state == "Completed", state, text),
        Condition(conditions.FINISHED, True, state, text),
        Condition(state, True, state, text),
    )


def _ends(thing: Object) -> tuple[Condition, ...]:
    """Return the conditions of its job's end, as they are."""
    return conditions.kept(thing, *conditions.ENDS)


def _sync(thing: Object, status: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return how the job stands to the spec."""
    known = Object(thing.plural, {**thing.raw, "status": {**thing.status, **status}})
    edits = submitted.edited(known)
    if not edits:
        return (
            Condition(conditions.SYNCED, True, "Followed", "The service has the job as it is here"),
            Condition(conditions.STALLED, False, "Followed", "Nothing has to be done"),
        )
    text = (
        f"A training job cannot be changed once it is submitted: {', '.join(edits)} of the spec "
        "differ from what the job was given, and have no effect. Take the edit back, or make an "
        "object of another name."
    )
    return (
        Condition(conditions.SYNCED, False, EDITED, text),
        Condition(conditions.STALLED, True, EDITED, text),
    )


def _ended(status: Mapping[str, Any], condition: Condition) -> str:
    name = status.get("sageMakerTrainingJobName")
    match condition.reason:
        case "Completed":
            model = status.get("modelPath")
            return f"Training job {name} completed" + (f"; its model is {model}" if model else "")
        case "Failed":
            return f"Training job {name} failed: {condition.message}"
        case _:
            why = f": {condition.message}" if condition.message else ""
            return f"Training job {name} was stopped{why}"
