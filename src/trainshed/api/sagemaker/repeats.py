"""Requests that are sent again because their answer was lost.

A server may die behind its write and before its answer; the retry would then be told that the name
is taken by the very job it made. So a job remembers by which calls it was changed
(``Call.invocation``).
"""

from typing import Final

from trainshed.domain.training import TrainingJob
from trainshed.wire.message import Call

_REMEMBERED: Final = 4


def is_repeated(call: Call, job: TrainingJob) -> bool:
    """Tell whether the job was changed by this very call before."""
    invocation = call.invocation
    return bool(invocation) and invocation in job.invocations


def remembered(call: Call, job: TrainingJob) -> tuple[str, ...]:
    """Return the calls that the job is to remember, with this one."""
    invocation = call.invocation
    known = job.invocations
    return (*known, invocation)[-_REMEMBERED:] if invocation else known
