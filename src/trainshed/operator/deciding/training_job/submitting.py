"""From a manifest to a job at the service that is the object's beyond doubt."""

from collections.abc import Mapping
from typing import Any, Final

from trainshed.operator.deciding import conditions, submitted
from trainshed.operator.deciding.base import Call, Decision, Notice, Refused, Seen, Told
from trainshed.operator.deciding.conditions import Condition
from trainshed.operator.deciding.training_job.reading import (
    CREATE,
    DESCRIBE,
    TAKEN,
    UID_TAG,
    ask_owner,
    describe,
    is_missing,
    is_named_after,
    job_of,
    may_adopt,
    name_of,
    owner_of,
    wanted_name,
)
from trainshed.operator.deciding.training_job.telling import followed, stall, troubled, where, write
from trainshed.operator.kinds.base import ADOPT_ANNOTATION, FINALIZER, FIRST_TOUCH
from trainshed.operator.kinds.training_job import TRAINING_JOB
from trainshed.operator.mapping import SpecRejected, to_request
from trainshed.operator.objects import Object

_MOST_TAGS: Final = 50


def taking_in(thing: Object) -> Mapping[str, Any] | None:
    """Return what has to be written into it before the service is asked for anything."""
    patch: dict[str, Any] = {}
    if FINALIZER not in thing.finalizers:
        patch["metadata"] = {"finalizers": [*thing.finalizers, FINALIZER]}
    if not thing.spec.get(TRAINING_JOB.spec_name):
        patch["spec"] = {TRAINING_JOB.spec_name: job_of(thing) or wanted_name(thing)}
    return patch or None


def submit(thing: Object, seen: Seen) -> Decision:
    """Return what is to be done about an object of which no job is known for certain."""
    if seen.trouble is not None:
        return troubled(thing, seen, seen.trouble)
    if _found(seen):
        return _claim(thing, seen)
    if DESCRIBE not in seen.answers and CREATE not in seen.answers:
        # One of an earlier life may be there, or somebody else's. And as long as no service
        # answers, nothing is noted that a deletion would have to ask after.
        return Decision(call=describe(thing))
    return _held(thing, seen) if thing.spec.get("stop") else _create(thing, seen)


def _found(seen: Seen) -> bool:
    """Tell whether there may be a job of the name: one was created, or is in the way, or told."""
    created, described = seen.answers.get(CREATE), seen.answers.get(DESCRIBE)
    if isinstance(created, Refused):
        return created.code.startswith("ResourceInUse")
    return isinstance(created, Told) or isinstance(described, Told)


def _create(thing: Object, seen: Seen) -> Decision:
    try:
        request = _request(thing)
    except SpecRejected as error:
        return stall(thing, seen, "SpecRefused", f"{error}. Edit the spec.")
    refusal = seen.answers.get(CREATE) or seen.answers.get(DESCRIBE)
    if isinstance(refusal, Refused) and not is_missing(refusal):
        text = f"The service refuses the job: {refusal.message} ({refusal.code}). Edit the spec."
        return stall(thing, seen, "SpecRefused", text)
    intent = submitted.record(thing.spec, wanted_name(thing))
    if submitted.of(thing) != intent:
        return _begin(thing, seen, intent)
    return Decision(call=Call(operation=CREATE, params=request, stale=frozenset({DESCRIBE})))


def _begin(thing: Object, seen: Seen, intent: Mapping[str, str]) -> Decision:
    """Note what will be asked for, before it is."""
    here = (
        Condition(conditions.READY, False, "Submitting", "The job is being created"),
        Condition(conditions.SYNCED, False, "Submitting", "The job is being created"),
        Condition(conditions.STALLED, False, "Submitting"),
    )
    noted = {**dict.fromkeys(submitted.of(thing)), **intent}  # with None, older members go
    status = {"trainingJobStatus": FIRST_TOUCH, "additional": None, submitted.MEMBER: noted}
    return write(thing, seen, status, here)


def _claim(thing: Object, seen: Seen) -> Decision:
    """Make sure that a job which is there is the object's; then it is."""
    described = seen.answers.get(DESCRIBE)
    if described is None:
        return Decision(call=describe(thing))
    if isinstance(described, Refused):  # it went in between, or is not to be seen yet
        return Decision(retry=True)
    owner: str | None = thing.uid
    if not (isinstance(seen.answers.get(CREATE), Told) or is_named_after(thing)):
        owner = owner_of(seen)
    if owner is None:
        return Decision(call=ask_owner(described))
    if owner == thing.uid:
        text = f"Created training job {name_of(thing)} in {where(thing, seen)}"
        return followed(thing, seen, described, Notice(reason="Created", message=text))
    if may_adopt(thing):
        text = f"Adopted training job {name_of(thing)}, which was there already"
        return followed(thing, seen, described, Notice(reason="Adopted", message=text))
    text = (
        f"There is a training job {name_of(thing)} already, and this object did not make it. Give "
        f"spec.trainingJobName another value, or leave it out; or set the annotation "
        f'{ADOPT_ANNOTATION}: "true" to follow, and on deletion to stop, that job.'
    )
    return stall(thing, seen, TAKEN, text)


def _held(thing: Object, seen: Seen) -> Decision:
    text = "spec.stop is true, so no job is created; take it away to have one"
    here = (
        Condition(conditions.READY, False, "Held", text),
        Condition(conditions.SYNCED, True, "Held", text),
        Condition(conditions.STALLED, False, "Held"),
    )
    return write(thing, seen, {"additional": text}, here)


def _request(thing: Object) -> dict[str, Any]:
    request = to_request(TRAINING_JOB, thing.spec, wanted_name(thing))
    tags = list(request.get("Tags") or ())
    if len(tags) < _MOST_TAGS:
        request["Tags"] = [*tags, {"Key": UID_TAG, "Value": thing.uid}]
    return request
