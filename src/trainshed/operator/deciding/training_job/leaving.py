"""From an object that is to be deleted to one that is gone, within bounds."""

from datetime import datetime

from trainshed.operator.deciding import submitted
from trainshed.operator.deciding.base import Decision, Notice, Refused, Seen, Told, Trouble
from trainshed.operator.deciding.training_job import told
from trainshed.operator.deciding.training_job.reading import (
    DESCRIBE,
    STOP,
    ask_owner,
    describe,
    is_missing,
    is_named_after,
    is_settled,
    job_of,
    name_of,
    owner_of,
    runs,
    stop,
)
from trainshed.operator.deciding.training_job.telling import followed, stopping, troubled
from trainshed.operator.kinds.base import FINALIZER, SPAWNED_FINALIZER
from trainshed.operator.objects import Object


def leave(thing: Object, seen: Seen) -> Decision:
    """Return what is to be done about an object that somebody wants to be gone."""
    if not {FINALIZER, SPAWNED_FINALIZER} & set(thing.finalizers):
        return Decision()
    name, policy = name_of(thing), thing.spec.get("deletionPolicy", "Stop")
    begun = job_of(thing) or submitted.of(thing)
    if not begun or is_settled(thing) or policy == "Abandon":
        return _release(thing)
    if policy == "Retain":
        text = f"Left training job {name} to itself, as spec.deletionPolicy asks"
        return _release(thing, Notice(reason="Retained", message=text))
    if seen.trouble is not None:
        return _leave_in_trouble(thing, seen, seen.trouble)
    described = seen.answers.get(DESCRIBE)
    if described is None:
        return Decision(call=describe(thing))
    if isinstance(described, Refused):
        if is_missing(described):
            return _release(thing)
        text = f"The service does not tell of the job: {described.message} ({described.code})"
        return _leave_in_trouble(thing, seen, Trouble("ServiceRefuses", text))
    return _leave_job(thing, seen, described)


def _leave_job(thing: Object, seen: Seen, described: Told) -> Decision:
    """Stop the job if it is the object's and runs; let go once it is over."""
    if not job_of(thing) and not is_named_after(thing):
        owner = owner_of(seen)
        if owner is None:
            return Decision(call=ask_owner(described))
        if owner != thing.uid:
            return _release(thing)
    if described.result.get("TrainingJobStatus") in told.OVER:
        shown = followed(thing, seen, described)
        return shown if shown.status is not None else _release(thing)
    answer = seen.answers.get(STOP)
    if runs(described) and answer is None:
        return Decision(call=stop(thing))
    if runs(described) and isinstance(answer, Refused):
        text = f"The service does not stop the job: {answer.message} ({answer.code})"
        return _leave_in_trouble(thing, seen, Trouble("StopRefused", text))
    if _is_late(thing, seen):
        text = (
            f"Training job {name_of(thing)} was told to stop and has not ended within "
            f"{seen.patience}; the object goes without waiting longer"
        )
        return _release(thing, Notice(reason="NotAwaited", message=text, warning=True))
    shown = followed(thing, seen, described, *stopping(thing, seen))
    return Decision(notices=shown.notices, status=shown.status, look_at=_deadline(thing, seen))


def _leave_in_trouble(thing: Object, seen: Seen, trouble: Trouble) -> Decision:
    if _is_late(thing, seen):
        text = (
            f"Training job {name_of(thing)} could not be stopped within {seen.patience}, and may "
            f"run on: {trouble.message}"
        )
        return _release(thing, Notice(reason="NotStopped", message=text, warning=True))
    said = troubled(thing, seen, trouble)
    return Decision(
        notices=said.notices, status=said.status, retry=True, look_at=_deadline(thing, seen)
    )


def _release(thing: Object, *notices: Notice) -> Decision:
    left = [each for each in thing.finalizers if each not in {FINALIZER, SPAWNED_FINALIZER}]
    return Decision(notices=notices, patch={"metadata": {"finalizers": left}})


def _deadline(thing: Object, seen: Seen) -> datetime:
    return (thing.deleted or seen.now) + seen.patience


def _is_late(thing: Object, seen: Seen) -> bool:
    return seen.now >= _deadline(thing, seen)
