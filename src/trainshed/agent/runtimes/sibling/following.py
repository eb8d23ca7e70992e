"""Follows what the user's container writes, to its very last byte, through any break.

What was heard is kept in the node's folder: an agent that starts over has all of it again, also
what the kubelet has thrown away meanwhile.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainshed.agent.appending import append
from trainshed.agent.runtimes.base import Stream
from trainshed.agent.runtimes.sibling.cluster import Answer, Cluster, ClusterError
from trainshed.agent.runtimes.sibling.transcript import Position, Reading
from trainshed.agent.runtimes.written import Written
from trainshed.domain import pods

_CHUNK: Final = 1 << 20
_SILENT_S: Final = 300.0
"""How long a container may write nothing before it is asked for anew: somebody on the way may have
dropped the connection."""
_LAST_SILENT_S: Final = 2.0
"""The same of a container that is over, whose output should come to its end."""
_AGAIN_S: Final = 0.2
_WORDS_S: Final = 5.0
"""How long a kubelet may say that it can't find the log of a container that is over."""
_SAY_S: Final = 30.0
"""How long the log may not be had before the job's own log hears of it."""
_MISSING: Final = 404


class Kept:
    """The output that was heard so far, in a file."""

    def __init__(self, path: Path) -> None:
        """Open the file; cut off what a crash left half-written."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._full = False

    def replay(self, position: Position, take: Callable[[bytes], bool]) -> None:
        """Hand on all that is there, and have the position behind it."""
        rest = b""
        while data := os.pread(self._fd, _CHUNK, self._size + len(rest)):
            whole, end, begun = (rest + data).rpartition(b"\n")
            if end and not take(position.replay(whole + end)):
                return
            self._size += len(whole) + len(end)
            rest = begun
        os.ftruncate(self._fd, self._size)

    def add(self, data: bytes) -> None:
        """Keep what comes next; nothing any more once the disk had no room for something."""
        if self._full or not data:
            return
        try:
            self._size = append(self._fd, data, self._size)
        except OSError:  # what is missing here is asked for again, by an agent that starts over
            self._full = True

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


class Following:
    """One thread that hears a container's output."""

    def __init__(
        self, cluster: Cluster, pod: str, kept: Path, *, complain: Callable[[str], None]
    ) -> None:
        """Begin to follow.

        Args:
            cluster: where it is.
            pod: the name of the pod that it is in.
            kept: the file that holds what was heard.
            complain: told, for the job's log, when something can't be had.

        Raises:
            OSError: the file can't be opened.
        """
        self.written = Written()
        self._cluster = cluster
        self._pod = pod
        self._kept = Kept(kept)
        self._complain = complain
        self._position = Position()
        self._over = threading.Event()
        self._closing = threading.Event()
        self._troubled = False
        """Whether the last answer was none, so that the next waits."""
        self._over_at = float("inf")
        self._until = float("inf")
        self._heard_at = time.monotonic()
        self._away_since: float | None = None
        self._said = ""
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._run, name="pod-log", daemon=True)
        self._thread.start()

    def conclude(self, patience_s: float) -> None:
        """Have it come to its end: the container is over. Returns when it has.

        Args:
            patience_s: how long to try to get the last of it.
        """
        self._over_at = time.monotonic()
        self._until = self._over_at + patience_s
        self._heard_at = time.monotonic()
        self._over.set()
        while self._thread.is_alive():
            self._thread.join(_AGAIN_S)
            silent = time.monotonic() - self._heard_at
            if silent > _LAST_SILENT_S and not self.written.full:
                self._interrupt()  # it is read again, as that of a container that is over

    def close(self) -> None:
        """Let go of everything."""
        self._until = 0.0
        self._closing.set()
        self._over.set()
        self._interrupt()
        self.written.close()

    def _run(self) -> None:
        try:
            self._kept.replay(self._position, self._hand_on)
            while not self._asked():
                (self._closing if self._troubled else self._over).wait(_AGAIN_S)
        finally:
            self._kept.close()
            self.written.end()

    def _asked(self) -> bool:
        """Read one answer to its end; return True when it was the last."""
        over = self._over.is_set()
        query = {"container": pods.MAIN, "timestamps": "true"}
        if not over:
            query["follow"] = "true"
        if since := self._position.since:
            query["sinceTime"] = since
        reading = Reading(self._position)
        self._troubled = True
        try:
            with self._cluster.log(self._pod, _SILENT_S, **query) as answer:
                self._answer = answer
                for data in answer:
                    self._heard_at = time.monotonic()
                    text, new = reading.feed(data)
                    self._kept.add(new)
                    if not self._hand_on(text):
                        return True
        except ClusterError as error:
            return self._note_trouble(error) if over else self._note_break(error)
        finally:
            if self._answer is not None and not reading.words:
                self._away_since = None  # it could be had, and has broken off now at most
            self._answer = None
            self._tell(reading)
        if reading.words and over:
            self._until = min(self._until, self._over_at + _WORDS_S)
            return self._note_trouble(ClusterError(0, reading.words))
        self._troubled = bool(reading.words)
        # The end of an answer that followed is the end of a container or of a connection. It is
        # asked for once more when the container is known to be over.
        return over

    def _hand_on(self, text: bytes) -> bool:
        return not text or self.written.put([(Stream.STDOUT, text)])

    def _note_break(self, error: ClusterError) -> bool:
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since > _SAY_S:
            self._say(f"what the container writes cannot be read now: {error}")
        return False

    def _note_trouble(self, error: ClusterError) -> bool:
        """Return whether to give up the end of what a container wrote that is over."""
        if error.status != _MISSING and time.monotonic() < self._until:
            return False
        self._say(f"the last of what the container wrote cannot be read: {error}")
        return True

    def _tell(self, reading: Reading) -> None:
        if reading.lost:
            self._complain(
                "lines may be missing here: the node keeps only the newest of what a container "
                "writes, and it could not be read for a while"
            )
        # Kubelets have such words for containers that have just begun, and that are just going.
        if reading.words:
            self._note_break(ClusterError(0, reading.words))

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._complain(text)

    def _interrupt(self) -> None:
        answer = self._answer
        if answer is not None:
            answer.interrupt()
