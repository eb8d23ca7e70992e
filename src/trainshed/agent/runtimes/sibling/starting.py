"""Judges how the start of the user's container goes, by what the kubelet says of it: pure.

A kubelet never gives up: it asks for an image that is not there for as long as the pod is. How long
that may go on is a setting of the backend, so the driver ends it; here only that is ended which no
waiting changes.
"""

from dataclasses import dataclass
from typing import Final

from trainshed.agent.node import NodeOver
from trainshed.agent.runtimes.sibling.pod import Main, State
from trainshed.domain.facts import Outcome

_BEING_MADE: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
_FINAL: Final = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_NOT_STARTED: Final = frozenset({"ContainerCannotRun", "StartError"})
_EMPTY: Final = "Back-off"
"""How the kubelet's message begins that says only that it waits."""
_SHOWN: Final = 600


@dataclass(kw_only=True)
class Start:
    """What was seen of a start so far."""

    image: str
    """As the pod names it."""
    trouble: str = ""
    """What keeps it, in the kubelet's best words; "" while nothing does."""

    def look(self, main: Main) -> NodeOver | None:
        """Return the end of a node whose container will never start; None while it may."""
        if main.state is not State.WAITING or main.reason in _BEING_MADE:
            return None
        if not (self.trouble and main.message.startswith(_EMPTY)):
            self.trouble = f"{main.reason}: {main.message}"[:_SHOWN].removesuffix(": ")
        if main.reason not in _FINAL:
            return None
        return NodeOver(
            Outcome.FAILED,
            f'ClientError: the image "{self.image}" cannot be had by the cluster\'s machines '
            f"({self.trouble}). What to do: correct the name, or let another image stand for it",
        )


def never_started(main: Main) -> bool:
    """Tell whether a container is over without its command having run."""
    return main.state is State.ENDED and main.reason in _NOT_STARTED
