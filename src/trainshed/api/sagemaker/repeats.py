"""Requests that are sent again because their answer was lost.

AWS's clients name each call (``amz-sdk-invocation-id``) and send the same name with every retry of
it. A server may die behind its write and before its answer; the retry would then be told that the
name is taken by the very job it made.
"""

from typing import Final

from trainshed.domain.training import TrainingJob
from trainshed.wire.message import Call

_HEADER: Final = "amz-sdk-invocation-id"
_REMEMBERED: Final = 4
_LONGEST: Final = 128


def invocation_of(call: Call) -> str:
    """Return what the client calls this request; "" when it does not say."""
    return call.headers.get(_HEADER, "")[:_LONGEST]


def is_repeated(call: Call, job: TrainingJob) -> bool:
    """Tell whether the job was changed by this very call before."""
    invocation = invocation_of(call)
    return bool(invocation) and invocation in job.invocations


def remembered(call: Call, job: TrainingJob) -> tuple[str, ...]:
    """Return the calls that the job is to remember, with this one."""
    invocation = invocation_of(call)
    known = job.invocations
    return (*known, invocation)[-_REMEMBERED:] if invocation else known
