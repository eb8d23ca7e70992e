"""Has a container stop when it must: SIGTERM, a grace to save what it has, SIGKILL.

The grace is the plan's. On a node that is to be taken away it is shorter where need be: what the
program saves at last must reach the store before the node is gone.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final

from trainshed.agent import notices
from trainshed.agent.node import Node
from trainshed.agent.runtimes.base import Container
from trainshed.agent.verdict import ASKED, MAX_RUNTIME, NOTICE, note_stopping
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.notice import Notice

_BEGIN_S: Final = 0.01
"""How often to look whether the command has begun, when it is to be stopped."""
_RESERVE_S: Final = 5.0
"""Kept of a notice for storing what is saved at last, where nobody knows how long that takes."""
_THIRD: Final = 1 / 3


class Stopping:
    """The end of one container. Used from the main thread; times are the monotonic clock's."""

    def __init__(self, node: Node, container: Container, needed: Callable[[], float]) -> None:
        """``needed`` tells about how many seconds storing will take once the container is over."""
        self._node = node
        self._container = container
        self._needed = needed
        now = time.monotonic()
        self._runs_until = now - _since(node.journal.last(Kind.TRAINING)) + node.plan.max_runtime
        self._terminated = False
        self._began = _beginning(node.journal.last(Kind.STOPPING), now)
        self._notice: Notice | None = None
        self._noticed_until = float("inf")
        self.killed = False
        """Whether the container had to be killed."""

    def mind(self, now: float) -> None:
        """Do what is due at ``now``, which a container that is over must not see."""
        self._heed_notice(now)
        if reason := self._reason(now):
            if self._node.stop.notice is not None:
                notices.tell(self._node)  # before what is done about it
            note_stopping(self._node.journal, reason)
            self._began = now if self._began is None else self._began
        if self._began is None:
            return
        if not self._terminated:
            self._terminated = self._container.terminate()
        kill_at = self._kill_at(self._began)
        if not self.killed and (now >= kill_at or self._node.stop.impatient):
            if not self._node.stop.impatient:
                self._node.log.say(
                    f"it did not end within {round(max(kill_at - self._began, 0.0), 1):g} s of the "
                    "signal to stop, and is killed; a process 1 that does not handle SIGTERM "
                    "ignores it"
                )
            self.kill()

    def kill(self) -> None:
        """Kill the container, unless that was done."""
        if not self.killed:
            self.killed = True
            self._container.kill()

    def due(self) -> Iterator[float]:
        """Yield when something will be."""
        if self._began is None:
            yield self._runs_until
        elif not self.killed:
            yield self._kill_at(self._began)
            if not self._terminated:
                yield time.monotonic() + _BEGIN_S

    def _reason(self, now: float) -> str:
        if self._node.stop.asked:
            return ASKED
        if self._began is not None:
            return ""
        if now >= self._runs_until:
            return MAX_RUNTIME
        return NOTICE if self._node.stop.notice is not None else ""

    def _kill_at(self, began: float) -> float:
        return min(began + self._node.plan.grace, self._noticed_until)

    def _heed_notice(self, now: float) -> None:
        """Find out until when the program may go on; once for each notice."""
        notice = self._node.stop.notice
        if notice is None or notice is self._notice:
            return
        self._notice = notice
        if notice.deadline:
            left = max(notice.deadline - time.time(), 0.0)
            floor = min(_RESERVE_S, left * _THIRD)
            # However much there is to store: a program without time to save would save nothing.
            reserve = min(max(self._needed(), floor), left * (1 - _THIRD))
            self._noticed_until = now + left - reserve


def _beginning(stopping: Fact | None, now: float) -> float | None:
    """Return when an agent before us began to stop the container; None when none did."""
    if stopping is None:
        return None
    began = float(stopping.detail.get("began", stopping.at))
    return now - max(time.time() - began, 0.0)


def _since(fact: Fact | None) -> float:
    """Return the seconds since a fact; by the wall clock, which may have been set meanwhile."""
    return 0.0 if fact is None else max(time.time() - fact.at, 0.0)
