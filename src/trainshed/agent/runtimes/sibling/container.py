"""The user's container, beside the agent in its pod, as ``runtimes.base.Container`` promises it."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from trainshed.agent.runtimes.base import Exit, Stream
from trainshed.agent.runtimes.refusals import SAID, not_run
from trainshed.agent.runtimes.sibling.following import Following
from trainshed.agent.runtimes.sibling.own_pod import OwnPod
from trainshed.agent.runtimes.sibling.pod import Main, Pod, State
from trainshed.agent.runtimes.sibling.processes import Process, Processes
from trainshed.agent.stopping import Stop

_LOOK_S: Final = 0.1
"""How often to look whether the program lives, while the kubelet may tell nothing any more."""
_SETTLE_S: Final = 2.0
"""How long the kubelet may take to tell of an end that shows already."""
_SILENT_S: Final = 30.0
"""The same where nothing keeps it from telling, but that the cluster may be away."""
_STUCK_S: Final = 120.0
"""How long a program may live that was killed, before the node is given up with it."""
_PATIENCE_S: Final = 120.0
"""How long to try to read the last that a container wrote."""
_DISRUPTED_S: Final = 3.0
"""How long a pod may be about to be deleted before that need not come any more."""
_TERMINATED: Final = 143
_KILLED: Final = 137
_OUT_OF_MEMORY: Final = "OOMKilled"
_UNKNOWN: Final = "ContainerStatusUnknown"


class SiblingContainer:
    """A container that the kubelet has started."""

    def __init__(
        self,
        own: OwnPod,
        following: Following,
        processes: Processes,
        stop: Stop,
        complain: Callable[[str], None],
        *,
        stuck_s: float = _STUCK_S,
    ) -> None:
        """Watch over it.

        Args:
            own: the pod that it is in.
            following: hears what it writes.
            processes: those of the container.
            stop: whether the node is to be taken away, and when.
            complain: told of troubles, for the job's log.
            stuck_s: how long it may live after it was killed.
        """
        self._own = own
        self._stuck_s = stuck_s
        self._stuck = False
        self._following = following
        self._processes = processes
        self._stop = stop
        self._complain = complain
        self._complained = False
        self._killing_since: float | None = None
        self._program: Process | None = processes.first()
        self._said = b""
        self._doomed_since: float | None = None
        self._closed = threading.Event()
        self.outputs: Sequence[int] = (following.written.fd,)
        self.events, self._no_events = os.pipe()
        self.exited = os.eventfd(0, os.EFD_CLOEXEC)
        threading.Thread(target=self._await_end, name="pod-end", daemon=True).start()

    def read(self, output: int) -> Sequence[tuple[Stream, bytes]] | None:
        """Return what was written since; None when all has been read and the container is over."""
        pieces = self._following.written.take()
        if pieces is None:
            os.eventfd_write(self.exited, 1)
            return None
        if len(self._said) < SAID:
            self._said += b"".join(data for _, data in pieces)[:SAID]
        return pieces

    def hear(self) -> bool:
        """Return True: nothing is ever told."""
        return True

    def terminate(self) -> bool:
        """Send SIGTERM to the container's program, unless the kubelet does."""
        pod = self._own.look()
        if pod is None or pod.going or pod.main.state is State.ENDED:
            return pod is not None
        if pod.doomed:
            # Its deletion comes in a moment, and with that the kubelet's signal; two may be one
            # too many for a program that saves.
            now = time.monotonic()
            self._doomed_since = self._doomed_since or now
            if now - self._doomed_since < _DISRUPTED_S:
                return False
        return self._signal(self._processes.terminate)

    def kill(self) -> None:
        """Kill every process of the container."""
        self._killing_since = self._killing_since or time.monotonic()
        self._signal(self._processes.kill)

    def abandon(self) -> None:
        """Do nothing: the pod goes on, and the next agent finds it."""

    def collect(self) -> Exit:
        """Return how it ended."""
        self._closed.set()
        self._following.close()
        for fd in (self.events, self._no_events, self.exited):
            os.close(fd)
        if self._stuck:
            return Exit(
                exit_code=_KILLED,
                lost="the program could not be killed: "
                + ("it does not end" if self._program else "the pod does not show its processes"),
            )
        pod = self._own.look()
        if pod is None or pod.main.state is not State.ENDED:
            # The pod goes, and the kubelet told no more of it.
            if self._stop.called_off:
                return Exit(exit_code=_TERMINATED)
            return Exit(exit_code=_KILLED, lost="the pod was deleted while the container ran")
        return self._exit(pod.main)

    def _exit(self, main: Main) -> Exit:
        code = main.exit_code & 0xFF
        if main.reason == _UNKNOWN:
            return Exit(exit_code=_KILLED, lost=main.message or "the kubelet lost the container")
        if refused := not_run(code, self._said):
            return Exit(exit_code=refused)
        return Exit(exit_code=code, oom=main.reason == _OUT_OF_MEMORY)

    def _signal(self, send: Callable[[], bool]) -> bool:
        """Send a signal; return whether there was anybody to get it."""
        try:
            return send()
        except PermissionError:
            self._say_once(
                f"the program cannot be stopped: the agent runs as the user {os.geteuid()}, and "
                "the program as another; let the agent run as root with the capability KILL, or "
                "both as one user (securityContext of the backend's pods)"
            )
            return True

    def _say_once(self, text: str) -> None:
        if not self._complained:
            self._complained = True
            self._complain(text)

    def _await_end(self) -> None:
        """Wait for the container's end, and have its output come to its own."""
        over_at: float | None = None
        while not self._closed.is_set() and not self._own.gone:
            going = self._seen_going()
            news = _has_ended if going else _has_ended_or_goes
            self._own.wait(news, _LOOK_S if going else _SETTLE_S)
            pod = self._own.look()
            if pod is not None and _has_ended(pod):
                break
            if self._is_stuck():
                break
            if not going or self._program is None or self._processes.lives(self._program):
                over_at = None
                continue
            # While a pod is being deleted its status may stand still until all of it is over.
            over_at = over_at or time.monotonic()
            settled = _SETTLE_S if pod is not None and pod.going else _SILENT_S
            if time.monotonic() > over_at + settled:
                break
        # A container that ended with its pod did not end by itself.
        self._own.settle(_SETTLE_S)
        self._following.conclude(self._patience_s())

    def _is_stuck(self) -> bool:
        """Kill again what could not be seen, or not be killed; tell whether that is in vain."""
        since = self._killing_since
        if since is None:
            return False
        self._signal(self._processes.kill)
        gone = self._program is not None and not self._processes.lives(self._program)
        self._stuck = not gone and time.monotonic() - since > self._stuck_s
        return self._stuck

    def _seen_going(self) -> bool:
        pod = self._own.look()
        if self._program is None:
            self._program = self._processes.first()
        return pod is not None and (pod.going or self._stop.notice is not None)

    def _patience_s(self) -> float:
        notice = self._stop.notice
        if notice is None or not notice.deadline:
            return _PATIENCE_S
        # What is left belongs to the checkpoints.
        return min(_PATIENCE_S, max(notice.deadline - time.time(), 0.0) / 4)


def _has_ended(pod: Pod) -> bool:
    return pod.main.state is State.ENDED


def _has_ended_or_goes(pod: Pod) -> bool:
    return pod.going or _has_ended(pod)
