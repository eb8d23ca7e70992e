"""What is read off a TrainingJob object, and off what the service says of its job."""

from typing import Final

from trainshed.operator.deciding import conditions, submitted
from trainshed.operator.deciding.base import Call, Refused, Seen, Told
from trainshed.operator.deciding.training_job import told
from trainshed.operator.kinds.base import ADOPT_ANNOTATION
from trainshed.operator.kinds.training_job import TRAINING_JOB
from trainshed.operator.naming import generated_name
from trainshed.operator.objects import Object

UID_TAG: Final = "trainshed:object-uid"
"""The tag by which a job is known to be an object's, whatever it is called."""

CREATE: Final = "CreateTrainingJob"
DESCRIBE: Final = "DescribeTrainingJob"
STOP: Final = "StopTrainingJob"
TAGS: Final = "ListTags"

LOST: Final = "JobMissing"
"""The reason of an object whose job is gone from the service."""
TAKEN: Final = "NameInUse"
"""The reason of an object whose name somebody else's job has."""


def is_missing(answer: object) -> bool:
    """Tell whether an answer says that there is no such job."""
    if not isinstance(answer, Refused):
        return False
    text = answer.message.lower()
    return answer.code in {"ValidationException", "ValidationError", "ResourceNotFound"} and any(
        words in text for words in ("not found", "could not find", "does not exist")
    )


def job_of(thing: Object) -> str:
    """Return the name of the job that is the object's beyond doubt; "" before that."""
    return str(thing.status.get(TRAINING_JOB.status_name) or "")


def wanted_name(thing: Object) -> str:
    """Return what its job is to be called."""
    own = str(thing.spec.get(TRAINING_JOB.spec_name) or "")
    return own or generated_name(thing.name, thing.uid, TRAINING_JOB.name_limit)


def name_of(thing: Object) -> str:
    """Return what its job is called if there is one: as it was asked for, if it was."""
    return job_of(thing) or submitted.of(thing).get("name") or wanted_name(thing)


def is_named_after(thing: Object) -> bool:
    """Tell whether its job's name holds its uid: then no other object's job has it."""
    return name_of(thing) == generated_name(thing.name, thing.uid, TRAINING_JOB.name_limit)


def is_settled(thing: Object) -> bool:
    """Tell whether nothing more is to come from the service."""
    lost = thing.condition(conditions.SYNCED)
    if lost is not None and lost.get("reason") == LOST:
        return True
    return thing.holds(conditions.FINISHED) and not told.rules_under_way(thing.status)


def waits_for_somebody(thing: Object) -> bool:
    """Tell whether it stalled, and neither its spec nor what is permitted has changed since."""
    found = thing.condition(conditions.STALLED)
    if found is None or found.get("status") != "True":
        return False
    if found.get("observedGeneration") != thing.generation:
        return False
    return not (found.get("reason") == TAKEN and may_adopt(thing))


def may_adopt(thing: Object) -> bool:
    """Tell whether it may take a job over that it did not make."""
    return thing.annotations.get(ADOPT_ANNOTATION) == "true"


def owner_of(seen: Seen) -> str | None:
    """Return the uid of the object that a job belongs to, "" for none, None before it is known."""
    answer = seen.answers.get(TAGS)
    if answer is None:
        return None
    tags = answer.result.get("Tags", ()) if isinstance(answer, Told) else ()
    return next((str(tag["Value"]) for tag in tags if tag.get("Key") == UID_TAG), "")


def runs(described: Told) -> bool:
    """Tell whether a job could be stopped."""
    return described.result.get("TrainingJobStatus") == "InProgress"


def describe(thing: Object) -> Call:
    """Return the call that tells of its job."""
    return Call(operation=DESCRIBE, params={"TrainingJobName": name_of(thing)})


def ask_owner(described: Told) -> Call:
    """Return the call that tells whose a job is."""
    arn = str(described.result.get("TrainingJobArn"))
    return Call(operation=TAGS, params={"ResourceArn": arn})


def stop(thing: Object) -> Call:
    """Return the call that has its job stop."""
    params = {"TrainingJobName": name_of(thing)}
    return Call(operation=STOP, params=params, stale=frozenset({DESCRIBE}))
