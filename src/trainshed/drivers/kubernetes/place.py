"""A namespace with nodes of ours: looks at each when something changed, and when its time comes.

What nodes were asked stands on their claims. Whichever server sees a claim has its pod know, and
keeps its deadline: so none of it is lost with the server that was told.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Final

from trainshed.domain import pods as names
from trainshed.domain.errors import DriverError
from trainshed.drivers.base import NodeState, Sight
from trainshed.drivers.kubernetes.cluster import Cluster
from trainshed.drivers.kubernetes.nodes import Nodes, is_untold
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.sight import (
    OVER,
    Look,
    Traces,
    holder_of,
    look,
    notice_of,
    phase,
)
from trainshed.drivers.kubernetes.view import View

_AGAIN_S: Final = 2.0
"""When to see whether the cluster did what it was asked."""

log = logging.getLogger(__name__)


class Place:
    """One namespace."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        namespace: str,
        backend: str,
        options: KubernetesBackend,
        clock: Callable[[], datetime],
        hint: Callable[[str], None],
    ) -> None:
        """Begin to watch.

        Args:
            cluster: whose it is.
            namespace: its name.
            backend: whose nodes.
            options: what was configured.
            clock: returns the time.
            hint: called with the id of each node of which something else is seen now.
        """
        self.view = View(cluster, namespace, backend, self._note)
        self.nodes = Nodes(
            cluster=cluster, view=self.view, backend=backend, options=options, clock=clock
        )
        self._options = options
        self._clock = clock
        self._hint = hint
        self._shown: dict[str, Sight] = {}
        """What was last told of each node."""
        self._lost: dict[str, Sight] = {}
        """Nodes that are gone, as the cluster itself has said: they never come back."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._again: asyncio.TimerHandle | None = None
        self._following = self._follow()

    def close(self) -> None:
        """Watch no more."""
        for timer in (self._again, *self._timers.values()):
            if timer is not None:
                timer.cancel()
        for task in (self._following, *self._acting.values()):
            task.cancel()

    async def closed(self) -> None:
        """Return once nothing of it is at work any more."""
        self.close()
        await asyncio.wait([self._following, *self._acting.values()])

    async def seen(self, node_id: str) -> Sight:
        """Return what is seen of a node.

        Raises:
            DriverError: the cluster can't be asked.
        """
        if (lost := self._lost.get(node_id)) is not None:
            return lost
        found = self._look(self.view.traces(node_id))
        if not found.is_certain:
            found = self._look(await self.view.refresh(node_id))
            if not found.is_certain:
                self._lost[node_id] = found.sight
        self._shown[node_id] = found.sight
        return found.sight

    def forget(self, node_id: str) -> None:
        """Let go of what is known of a node that is to be launched or removed."""
        for known in (self._shown, self._lost):
            known.pop(node_id, None)

    def _follow(self) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(self.view.follow())
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        """Watch again: only a fault of ours ends it."""
        if not task.cancelled():
            log.error("nodes are watched anew", exc_info=task.exception())
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(_AGAIN_S, self._begin_anew)

    def _begin_anew(self) -> None:
        self._following = self._follow()

    def _look(self, traces: Traces) -> Look:
        return look(traces, self._clock(), self._options)

    def _note(self, node_id: str) -> None:
        """Look at a node of which something has changed, or whose time has come."""
        traces, now = self.view.traces(node_id), self._clock().timestamp()
        found = self._look(traces)
        if found.is_certain or node_id in self._shown:  # else more is just coming
            if found.sight != self._shown.get(node_id, Sight(NodeState.LIVES)):
                self._hint(node_id)
            self._shown[node_id] = found.sight
        due = _deadline(traces)
        if due and due <= now:
            self._act(node_id, self._take(node_id))
        elif _was_cut_off(traces) and not self.nodes.is_ending(node_id):
            self._act(node_id, self.nodes.end(node_id))
        elif found.is_to_end:
            self._act(node_id, self.nodes.end_waiting(node_id))
        elif is_untold(traces):
            self._act(node_id, self.nodes.tell(node_id))
        until = found.until.timestamp() if found.until is not None else 0.0
        self._remind(node_id, min(filter(None, (due, until)), default=0.0) - now)

    def _remind(self, node_id: str, seconds: float) -> None:
        """Look again when time alone may have changed something; never where that is over."""
        if (timer := self._timers.pop(node_id, None)) is not None:
            timer.cancel()
        if seconds > 0:
            loop = asyncio.get_running_loop()
            self._timers[node_id] = loop.call_later(seconds, self._note, node_id)

    def _act(self, node_id: str, act: Coroutine[None, None, None]) -> None:
        """Do something to a node, one thing at a time; look at it again soon."""
        if node_id in self._acting:
            act.close()
            return
        task = asyncio.get_running_loop().create_task(act)
        task.add_done_callback(functools.partial(self._note_act, node_id))
        self._acting[node_id] = task

    def _note_act(self, node_id: str, task: "asyncio.Task[None]") -> None:
        del self._acting[node_id]
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, DriverError):
            log.warning("the node %s could not be seen to yet: %s", node_id, error)
        elif error is not None:
            log.error("the node %s could not be seen to", node_id, exc_info=error)
        # What was done is seen when the watch tells of it; and else a little later.
        timer = self._timers.get(node_id)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + _AGAIN_S:
            self._remind(node_id, _AGAIN_S)

    async def _take(self, node_id: str) -> None:
        """Take a node whose time is over."""
        notice = notice_of(self.view.traces(node_id).claim)
        if notice is not None:
            await self.nodes.take(node_id, notice)
            log.info("the node %s was taken away", node_id)


def _was_cut_off(traces: Traces) -> bool:
    """Tell whether a node that was removed, or taken, still has pods."""
    return holder_of(traces.claim) == names.REMOVED and any(
        phase(pod) not in OVER for pod in traces.pods
    )


def _deadline(traces: Traces) -> float:
    """Return when a node is to be taken; 0 where it is not, or is already."""
    notice = notice_of(traces.claim)
    return notice.deadline if notice and holder_of(traces.claim) != names.REMOVED else 0.0
