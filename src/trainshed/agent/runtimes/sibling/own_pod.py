"""Follows the agent's own pod: what the driver wishes, what the kubelet does, who takes it away.

One thread watches, for ever: whatever breaks off is asked again from its start, so nothing depends
on having seen every change.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainshed.agent.runtimes.sibling import pod as seen
from trainshed.agent.runtimes.sibling.cluster import Cluster, ClusterAway, ClusterError
from trainshed.agent.runtimes.sibling.place import Place
from trainshed.agent.runtimes.sibling.pod import GRACE_S, Pod, Wish
from trainshed.agent.stopping import Stop
from trainshed.domain.notice import Notice

_WATCH_S: Final = 240
"""How long one watch lasts; the server ends it then."""
_SILENT_S: Final = _WATCH_S + 30.0
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_REFUSALS: Final = frozenset({401, 403})
_REFUSED_S: Final = 30.0
"""How long rights may take to reach every API server."""
_SAY_S: Final = 60.0
"""How long the cluster may be away before the agent's own log hears of it again."""


class OwnPod:
    """The pod of this process. Read from any thread."""

    def __init__(
        self,
        cluster: Cluster,
        place: Place,
        stop: Stop,
        taken: Callable[[], None],
        *,
        refused_s: float = _REFUSED_S,
    ) -> None:
        """Know nothing yet; ``start`` begins to look.

        Args:
            cluster: where the pod is.
            place: which it is.
            stop: hears what is wished, and that the pod goes.
            taken: called, from any thread, when the node is taken away without another word.
            refused_s: how long the cluster may refuse to show the pod before that counts.
        """
        self._refused_s = refused_s
        self._cluster = cluster
        self._place = place
        self._stop = stop
        self._taken = taken
        self._changed = threading.Condition()
        self._pod: Pod | None = None
        self._gone = False
        self._said_at = float("-inf")
        self._refused_since: float | None = None
        self._refusal = ""
        self._decided = threading.Event()
        self._decided.set()
        self._signals, self._signal = os.pipe()
        os.set_blocking(self._signal, False)

    def start(self) -> None:
        """Begin to look, in threads of their own."""
        for work in (self._follow, self._heed_signals):
            threading.Thread(target=work, name=f"pod{work.__name__}", daemon=True).start()

    def hear(self, *_: object) -> None:
        """Take a SIGTERM: the kubelet ends this container; fit to be a signal handler."""
        self._decided.clear()
        os.write(self._signal, b".")

    def settle(self, seconds: float) -> None:
        """Wait, but not longer than so, until it is known what a signal means that has come."""
        self._decided.wait(seconds)

    def look(self) -> Pod | None:
        """Return the pod as it was seen last; None before the first look."""
        with self._changed:
            return self._pod

    @property
    def gone(self) -> bool:
        """Whether the cluster has no such pod any more."""
        return self._gone

    @property
    def refusal(self) -> str:
        """Why the cluster does not let this process see the pod, if it has not for a while."""
        since = self._refused_since
        long = since is not None and time.monotonic() - since > self._refused_s
        return self._refusal if long else ""

    def wait(self, true: Callable[[Pod], bool], seconds: float) -> bool:
        """Wait until the pod is seen to be so, or gone; return whether it is after ``seconds``."""

        def is_so() -> bool:
            return self._gone or (self._pod is not None and true(self._pod))

        with self._changed:
            return self._changed.wait_for(is_so, seconds)

    def heed(self, notes: Mapping[str, Any]) -> None:
        """Take the driver's wishes from annotations, the pod's or the claim's."""
        self._heed(seen.wish_in(notes), seen.notice_in(notes))

    def _follow(self) -> None:
        wait = _FIRST_WAIT_S
        while not self._gone:
            try:
                version = self._list()
                wait, self._refused_since = _FIRST_WAIT_S, None
                if not self._gone:
                    self._watch(version)
            except ClusterError as error:
                self._say(error)
                self._note_refusal(error)
                time.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_S)

    def _list(self) -> str:
        """Look at the pod; return the version from which to watch."""
        found = self._cluster.pods(fieldSelector=self._selector)
        items = found.get("items") or []
        if items:
            self._note(items[0])
        else:
            self._note_gone()
        return seen.version(found)

    def _watch(self, version: str) -> None:
        """Follow the pod until the watch ends, as every watch does."""
        with self._cluster.watch_pods(
            _SILENT_S,
            fieldSelector=self._selector,
            resourceVersion=version,
            timeoutSeconds=str(_WATCH_S),
        ) as answer:
            for event in answer.objects():
                match event.get("type"):
                    case "ADDED" | "MODIFIED":
                        self._note(event["object"])
                    case "DELETED":
                        self._note(event["object"])
                        self._note_gone()
                        return
                    case "ERROR":  # what it began with is too old; the list tells more
                        raise ClusterAway(0, f"the watch ended: {event.get('object')}")
                    case _:  # a bookmark
                        pass

    @property
    def _selector(self) -> str:
        return f"metadata.name={self._place.pod}"

    def _note(self, found: Mapping[str, Any]) -> None:
        pod = seen.read(found)
        if self._place.uid and pod.uid != self._place.uid:
            self._note_gone()
            return
        # What is wished counts before what has happened since: a container that ended because it
        # was to end did not end by itself.
        self._heed(pod.wish, pod.notice)
        with self._changed:
            # Two threads ask, and the answer that comes last may be the older one.
            if self._pod is not None and pod.version < self._pod.version:
                return
            self._pod = pod
            self._changed.notify_all()

    def _heed(self, wish: Wish, notice: Notice | None) -> None:
        if wish is Wish.TAKEN:
            self._taken()
        if wish is not Wish.NONE:
            self._stop.note_wish(at_once=wish is not Wish.STOP)
        self._stop.note_notice(notice)

    def _note_gone(self) -> None:
        """Somebody has deleted the pod without giving it time."""
        now = time.time()
        self._stop.note_notice(Notice(at=now, deadline=now, reason="the pod was deleted"))
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _heed_signals(self) -> None:
        """Find out why the kubelet ends this container, and when: its signal says neither."""
        while os.read(self._signals, 4096):
            told = time.time()
            try:
                self._list()
            except ClusterError as error:
                self._say(error)
            pod = self.look()
            if not self._gone and (pod is None or pod.notice is None):
                deadline = told + (GRACE_S if pod is None else pod.grace)
                reason = "the kubelet ends the pod"
                self._stop.note_notice(Notice(at=told, deadline=deadline, reason=reason))
            self._decided.set()

    def _note_refusal(self, error: ClusterError) -> None:
        if error.status in _REFUSALS:
            self._refused_since = self._refused_since or time.monotonic()
            self._refusal = f"{error}; {ADVICE}"

    def _say(self, error: ClusterError) -> None:
        now = time.monotonic()
        if now - self._said_at < _SAY_S:
            return
        self._said_at = now
        advice = f"; {ADVICE}" if error.status in _REFUSALS else ""
        print(f"cannot look at the pod: {error}{advice}", file=sys.stderr, flush=True)  # noqa: T201


ADVICE: Final = (
    "the pod's service account needs the Role trainshed-node (pods: get, list, watch; pods/log: "
    "get; leases: get, list, update)"
)
"""What to do when the cluster refuses an agent."""
