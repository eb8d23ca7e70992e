"""How long a node goes on asking a store that is away or full: until the job is to be stopped.

What a job made is wanted, so it waits for as long as it takes. Whoever stops the job wants an end:
from then on a store may be away for the grace and no longer, as the container may go on for it. And
a node that is to be taken away waits until then.
"""

import math
import time
from typing import Final

from trainshed.agent.node import Node

_LEAVE_S: Final = 1.0
"""Left of a notice for the node's last words, when nothing else is waited for any more."""


def time_left(node: Node) -> float:
    """Return for how many seconds something may be waited for before the node is taken away.

    Without a deadline that is for ever; 0 when nothing is to be waited for any more.
    """
    notice = node.stop.notice
    if notice is None or not notice.deadline:
        return math.inf
    return max(notice.deadline - _LEAVE_S - time.time(), 0.0)


def out_of_time(node: Node) -> bool:
    """Tell whether the node is about to be taken away, so that nothing is waited for any more."""
    return not time_left(node)


class Endurance:
    """How long the store that one step writes to may be away. Safe to share between threads."""

    def __init__(self, node: Node) -> None:
        """Give up for ``node`` when its job is to be stopped."""
        self._node = node
        self._said = False
        self._ended = False

    def over(self, away_s: float) -> bool:
        """Tell whether a store that was away for so many seconds is to be asked no more.

        Once it was, no other request waits for one either: a hundred files wait no longer than one.
        """
        stop = self._node.stop
        if stop.impatient or out_of_time(self._node):
            return True
        if not stop.asked:
            return False
        if not self._said:
            self._said = True
            self._node.log.say(
                "the job is being stopped, so a store that is away or full is not waited for "
                f"longer than {self._node.plan.grace:g} s"
            )
        # A server that is down itself takes nothing we say. Then it may well be the store that is
        # away, and nobody waits for an end: what can be delivered in the morning is.
        known = self._node.reporter.up_to_date
        self._ended = self._ended or (known and away_s >= self._node.plan.grace)
        return self._ended

    def over_since(self, moment: float) -> bool:
        """Tell the same of a store that is away since that moment of the monotonic clock."""
        return self.over(time.monotonic() - moment)
