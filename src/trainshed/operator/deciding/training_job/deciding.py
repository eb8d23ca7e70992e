"""TrainingJob: from a manifest to a job that is over, and to an object that is gone.

    taken in -> submitted -> followed -> settled
                   |            |           |
                   +--------> leaving <-----+

Nothing of this is a state that is kept: each time it is read off the object and the service. The
order in which things are done lets a crash fall anywhere:

1. The finalizer and the name go into the object, by one write. The name holds the object's uid.
2. The service says that there is no such job. What it will be asked for goes into the status.
3. The job is created. It bears the object's uid as a tag, so it is known again by name and tag.
4. What the service tells goes into the status.
5. The finalizer goes only once the job is over, or is to be left alone.
"""

from dataclasses import dataclass
from typing import Final

from trainshed.operator.deciding import submitted
from trainshed.operator.deciding.base import Decision, Refused, Seen
from trainshed.operator.deciding.training_job.leaving import leave
from trainshed.operator.deciding.training_job.reading import (
    DESCRIBE,
    STOP,
    describe,
    is_settled,
    job_of,
    runs,
    stop,
    waits_for_somebody,
)
from trainshed.operator.deciding.training_job.stages import Stage, stage_of
from trainshed.operator.deciding.training_job.submitting import submit, taking_in
from trainshed.operator.deciding.training_job.telling import (
    followed,
    restated,
    stopping,
    troubled,
    unseen,
)
from trainshed.operator.kinds.base import Kind
from trainshed.operator.kinds.training_job import TRAINING_JOB
from trainshed.operator.objects import Object, Place


@dataclass(frozen=True, slots=True)
class _TrainingJobs:
    """How training jobs are dealt with; see ``Deciding``."""

    kind: Kind = TRAINING_JOB

    def decide(self, thing: Object, seen: Seen) -> Decision:
        """Return what is to be done next."""
        stage = stage_of(thing)
        if stage is Stage.LEAVING:
            return leave(thing, seen)
        if (patch := taking_in(thing)) is not None:
            return Decision(patch=patch)
        if stage in {Stage.FOLLOWED, Stage.SETTLED}:
            return follow(thing, seen)
        return Decision() if stage is Stage.STALLED else submit(thing, seen)

    def place(self, thing: Object) -> Place:
        """Return where its job is, or is to be."""
        return submitted.place(thing)

    def awaited(self, thing: Object) -> str:
        """Return its job's name while the job is not over, from before it is created on.

        What happens to a job while it is not yet known to be the object's is not told twice.
        """
        if is_settled(thing) or waits_for_somebody(thing):
            return ""
        return job_of(thing) or submitted.of(thing).get("name", "")


TRAINING_JOBS: Final = _TrainingJobs()


def follow(thing: Object, seen: Seen) -> Decision:
    """Return what is to be done about an object whose job there is, or was."""
    if is_settled(thing):
        return restated(thing, seen)
    if seen.trouble is not None:
        return troubled(thing, seen, seen.trouble)
    described = seen.answers.get(DESCRIBE)
    if described is None:
        return Decision(call=describe(thing))
    if isinstance(described, Refused):
        return unseen(thing, seen, described)
    asked = STOP in seen.answers
    if thing.spec.get("stop") and runs(described) and not asked:
        return Decision(call=stop(thing))
    return followed(thing, seen, described, *stopping(thing, seen))
