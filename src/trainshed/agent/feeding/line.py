"""The agent's line to the process that feeds the node's channels.

It starts that process, or finds the one that an agent before it started. That one's death is the
container's end: pipes that lost their writer look to the script like the end of its data.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import Final

from trainshed.agent.feeding import mounting, place
from trainshed.agent.feeding.place import Talk
from trainshed.agent.node import Node, NodeOver
from trainshed.agent.watching.ending import Ending
from trainshed.domain.facts import Kind, Outcome
from trainshed.domain.names import NODE_VARIABLE

_END_S: Final = 15.0
"""How long the process may take to end when it is told to."""
_OVER: Final = "feeding.over"
"""There once the container has come to its end: the process may be gone then."""
_PAUSE_S: Final = 0.02
_SHOWN: Final = 500
"""Characters of what the process said last that a reason quotes."""


class Line:
    """The companion that has channels fed; see ``companions.Companion``."""

    def __init__(self, node: Node, ending: Ending) -> None:
        self._ending = ending
        self._node = node
        self._talk: Talk | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._ready = False
        self._lives = True
        self._trouble = ""
        self._signal = -1
        """Readable where there is trouble, and nobody to be connected to."""

    @property
    def fd(self) -> int:
        """Readable when there is trouble, or something to be said."""
        return self._talk.fileno() if self._talk is not None else self._signal

    def begin(self) -> None:
        """Have the feeding process there, with every channel open; see ``Companion``."""
        training = self._node.journal.last(Kind.TRAINING) is not None
        lock = self._locked()
        if lock is not None and training:
            os.close(lock)
            self._trouble = self._kept_trouble()
            if not self._trouble and not (self._node.folder / _OVER).exists():
                self._trouble = self._died()
            if self._trouble:
                self._signal = os.eventfd(1, os.EFD_CLOEXEC)
            return
        if lock is not None:
            self._start(lock)
        self._node.reporter.start()
        self._wait_until_ready()

    def trouble(self) -> str:
        """Return why the container can't go on; pass on to the job's log what is said beside."""
        self._listen()
        return self._trouble

    def left_s(self) -> float:
        """Return 0: nothing that must be waited for."""
        return 0.0

    def finish(self) -> None:
        """End the feeding process, once the container can't mistake that; see ``Companion``."""
        if self._talk is not None:
            self._listen()
            lived, over = self._lives, self._ending.over
            if over and lived:
                with contextlib.suppress(OSError):  # a full disk; who has ended has ended
                    (self._node.folder / _OVER).touch()
            if over or self._node.journal.last(Kind.TRAINING) is None:
                self._end(self._talk)
            # Else the container may go on until somebody removes it, and so does the process: it
            # sees by itself that the node is over.
            if over and not lived:
                self._hang_up()
                self._unmount()
                self._ending.note_doubt()
                raise NodeOver(Outcome.LOST, self._died())
        self._hang_up()
        if self._ending.over:
            self._unmount()

    def _unmount(self) -> None:
        """Take away views that have lost their process; whoever removes the node tries again."""
        with contextlib.suppress(OSError):
            mounting.unmount_below(self._node.folder)

    def _locked(self) -> int | None:
        """Return the lock; None when a process lives that has it, and we are connected to that."""
        give_up = time.monotonic() + _END_S
        while True:
            lock = place.locked(self._node.folder)
            if lock is not None:
                return lock
            try:
                self._talk = Talk(place.connected(self._node.folder))
            except OSError as error:  # it is about to die
                if time.monotonic() > give_up:
                    raise _lost(f"the process that feeds the channels is stuck: {error}") from error
                time.sleep(_PAUSE_S)
            else:
                return None

    def _start(self, lock: int) -> None:
        """Start it, and leave the lock to it."""
        folder = self._node.folder
        door = place.listening(folder)
        try:
            with (folder / place.LOG).open("ab") as log:
                self._child = subprocess.Popen(
                    [*self._command, str(folder), str(lock), str(door.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, NODE_VARIABLE: str(folder.resolve())},
                    pass_fds=(lock, door.fileno()),
                    start_new_session=True,
                )
            self._talk = Talk(place.connected(folder))
        except OSError as error:
            raise _lost(f"the channels can't be fed: {error}") from error
        finally:
            door.close()
            os.close(lock)

    @property
    def _command(self) -> tuple[str, ...]:
        return (self._node.python, "-I", "-m", "trainshed.agent", "--feed")

    def _wait_until_ready(self) -> None:
        stop = self._node.stop
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        poll.register(stop.fd, select.POLLIN)
        while not self._ready:
            if stop.called_off and self._node.journal.last(Kind.TRAINING) is None:
                raise NodeOver(Outcome.STOPPED)
            for fd, _ in poll.poll():
                if fd == stop.fd:
                    os.read(fd, 4096)
                else:
                    self._hear()
            if self._trouble:
                lost = self._trouble.startswith("InternalServerError")
                raise NodeOver(Outcome.LOST if lost else Outcome.FAILED, self._trouble)

    def _listen(self) -> None:
        """Hear all that has been said by now."""
        while self._lives and self._talk is not None and self._talk.waits:
            self._hear()

    def _hear(self) -> None:
        """Hear the next that is said; wait for it."""
        heard = None if self._talk is None else self._talk.hear()
        if heard is None:
            self._lives = False
            self._trouble = self._trouble or self._died()
        for said in heard or ():
            self._pid = said.get("pid", self._pid)
            self._ready = self._ready or "ready" in said
            self._trouble = self._trouble or said.get("trouble", "")
            if "say" in said:
                self._node.log.say(said["say"])

    def _kept_trouble(self) -> str:
        try:
            return (self._node.folder / place.TROUBLE).read_text()
        except FileNotFoundError:
            return ""

    def _died(self) -> str:
        """Return the reason of a job whose feeding process has died."""
        try:
            said = (self._node.folder / place.LOG).read_text(errors="replace").strip()
        except OSError:
            said = ""
        last = said.rpartition("\n")[2][-_SHOWN:]
        return (
            f"InternalServerError: the process that feeds the channels of {self._node.plan.host} "
            "ended; to the container its data would seem to be at an end"
            + (f" (it said: {last})" if last else "")
        )

    def _end(self, talk: Talk) -> None:
        """Have it end, and wait until it has."""
        with contextlib.suppress(OSError):
            talk.say({"end": True})
        give_up = time.monotonic() + _END_S
        while self._lives and (left := give_up - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                self._hear()
        if self._lives and self._pid:
            with contextlib.suppress(ProcessLookupError):
                process = os.pidfd_open(self._pid)
                # Connected still, so the number is its own.
                if not talk.waits:
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                os.close(process)
        if self._child is not None:
            self._child.wait()

    def _hang_up(self) -> None:
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        if self._signal >= 0:
            os.close(self._signal)
            self._signal = -1


def _lost(why: str) -> NodeOver:
    return NodeOver(Outcome.LOST, f"InternalServerError: {why}")
