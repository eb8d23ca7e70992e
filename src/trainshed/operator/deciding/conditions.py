"""Conditions: what programs read off an object, and what becomes an Event when it changes.

    Ready     the resource is there to be used: a training job is once it has completed
    Synced    the service has what the spec asks for, and answered when it was last asked
    Stalled   nothing more happens until somebody acts; the message says what to do
    Finished  the work is over, however it ended; one of the following is true as well
    Completed, Failed, Stopped

The last four are there only once they are true. All carry the generation they tell of: kubectl wait
believes no older ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trainshed.operator.deciding.base import Notice
from trainshed.operator.objects import Object, written

READY: Final = "Ready"
SYNCED: Final = "Synced"
STALLED: Final = "Stalled"
FINISHED: Final = "Finished"
COMPLETED: Final = "Completed"
FAILED: Final = "Failed"
STOPPED: Final = "Stopped"
ENDS: Final = (FINISHED, COMPLETED, FAILED, STOPPED)
OURS: Final = (READY, SYNCED, STALLED, *ENDS)

_LONGEST: Final = 1024
"""Characters of a message; an Event's may have no more."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as it should be."""

    kind: str
    holds: bool
    reason: str
    message: str = ""

    @property
    def text(self) -> str:
        """Its message, never empty: API servers built by some take an empty text for none."""
        return cut(self.message) or self.reason

    @property
    def said(self) -> str:
        """The message, or the reason where there is none: some builds of 1.20 refuse "" texts."""
        return cut(self.message) or self.reason


def merged(thing: Object, wanted: Iterable[Condition], now: datetime) -> list[dict[str, Any]]:
    """Return an object's conditions with those that are wanted in place of ours.

    Others' stay. The time of the last change is that of the condition's status, not of its words.
    """
    result = [dict(each) for each in _all(thing) if each.get("type") not in OURS]
    for each in wanted:
        old = thing.condition(each.kind)
        status = str(each.holds)
        same = old is not None and old.get("status") == status
        since = old.get("lastTransitionTime") if old is not None and same else None
        result.append(
            {
                "type": each.kind,
                "status": status,
                "reason": each.reason,
                "message": each.said,
                "observedGeneration": thing.generation,
                "lastTransitionTime": since or written(now),
            }
        )
    return result


def kept(thing: Object, *kinds: str) -> tuple[Condition, ...]:
    """Return conditions of an object as they are; those that it does not have are left out."""
    found = [(kind, thing.condition(kind)) for kind in kinds]
    return tuple(
        Condition(kind, old["status"] == "True", old["reason"], old.get("message", ""))
        for kind, old in found
        if old is not None
    )


def is_news(thing: Object, condition: Condition) -> bool:
    """Tell whether an object does not say this yet, or says it of another spec."""
    old = thing.condition(condition.kind)
    return old is None or (
        (old.get("status"), old.get("reason"), old.get("message"), old.get("observedGeneration"))
        != (str(condition.holds), condition.reason, condition.said, thing.generation)
    )


def stalled(reason: str, message: str) -> tuple[Condition, ...]:
    """Return the conditions of an object that somebody has to do something about."""
    return (
        Condition(READY, False, reason, message),
        Condition(SYNCED, False, reason, message),
        Condition(STALLED, True, reason, message),
    )


def warning(thing: Object, condition: Condition) -> tuple[Notice, ...]:
    """Return the Event of a condition that is bad news; none where it is no news."""
    if not is_news(thing, condition):
        return ()
    return (Notice(reason=condition.reason, message=condition.text, warning=True),)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a merge patch has to say to make ``new`` of the members that it names.

    None in ``new`` is a member that should not be there. None is returned for nothing to say.
    """
    found = {name: value for name, value in new.items() if old.get(name) != value}
    return found or None


def cut(message: str) -> str:
    """Return a text that fits."""
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _all(thing: Object) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = thing.status.get("conditions") or ()
    return found
