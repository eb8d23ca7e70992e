"""Kinds that no work has filled yet: their objects say so, and go at once when they are deleted.

Nothing is called, so no status may tell of a resource. An object of the first operator may still
have its finalizer, and a resource at the service: it is let go, and an Event tells what stays.
"""

from dataclasses import dataclass

from trainshed.operator.deciding import conditions
from trainshed.operator.deciding.base import Decision, Notice, Seen
from trainshed.operator.kinds.base import FINALIZER, Kind
from trainshed.operator.objects import Object, Place

REASON = "NotOffered"


@dataclass(frozen=True, slots=True)
class Unoffered:
    """How objects of such a kind are dealt with; see ``Deciding``."""

    kind: Kind

    def decide(self, thing: Object, seen: Seen) -> Decision:
        """Return what is to be done next: say that nothing is."""
        if thing.deleted is not None:
            return self._let_go(thing)
        text = (
            f"{self.kind.kind} is not run by this operator yet, so nothing was asked of the "
            "service. TrainingJob is. Delete this object, or keep it for a later version."
        )
        here = conditions.stalled(REASON, text)
        wanted = {
            "observedGeneration": thing.generation,
            "conditions": conditions.merged(thing, here, seen.now),
        }
        difference = conditions.difference(thing.status, wanted)
        if difference is None:
            return Decision()
        return Decision(notices=conditions.warning(thing, here[-1]), status=difference)

    def place(self, thing: Object) -> Place:
        """Return where its calls would go."""
        return Place(
            str(thing.spec.get("sageMakerEndpoint", "")), str(thing.spec.get("region", ""))
        )

    def awaited(self, thing: Object) -> str:
        """Return "": nothing of the service matters."""
        return ""

    def _let_go(self, thing: Object) -> Decision:
        if FINALIZER not in thing.finalizers:
            return Decision()
        left = [each for each in thing.finalizers if each != FINALIZER]
        patch = {"metadata": {"finalizers": left}}
        name = thing.status.get(self.kind.status_name)
        if not name:
            return Decision(patch=patch)
        text = (
            f"The service may still have {name}: this operator does not delete a {self.kind.kind}"
        )
        return Decision(
            notices=(Notice(reason="LeftBehind", message=text, warning=True),), patch=patch
        )
