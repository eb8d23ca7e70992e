"""Follows what a container writes, to its very last byte, through any break of the engine.

The engine keeps a container's output from its start, so whoever loses the connection reads it
again and passes over what was handed on already: nothing is lost, nothing comes twice.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from trainshed.agent.runtimes.base import Stream
from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError
from trainshed.agent.runtimes.docker.engine import Stream as Answer
from trainshed.agent.runtimes.written import Piece, Written

_HEADER: Final = 8
"""Bytes before each frame: 1 or 2 for the stream, three zeros, four for the length. Source:
Docker Engine API, "Attach to a container"."""
_AGAIN_S: Final = 0.5
_BEGINS_S: Final = 60.0
"""How long an engine may think about what it answers at once, before it counts as away."""
_SILENT_S: Final = 5.0
"""How long the output of a container that is over may be silent without having ended."""


class Following:
    """One thread that hears a container's output, and one that waits for its end."""

    def __init__(
        self, engine: Engine, container: str, *, patience_s: float, complain: Callable[[str], None]
    ) -> None:
        """Begin to follow a container that has been started.

        Args:
            engine: where it is.
            container: its id.
            patience_s: how long an engine that went away may stay away.
            complain: told each time that the engine goes away.
        """
        self.written = Written()
        self.trouble = ""
        """Why its end is not known, once it is over."""
        self.gone = False
        """Whether that is because it was removed."""
        self.away_at: float | None = None
        """When the engine was last found away, in seconds since the epoch; None if never."""
        self._engine = engine
        self._container = container
        self._patience_s = patience_s
        self._complain = complain
        self._away_since: float | None = None
        """By the monotonic clock; None while the engine answers. Of the waiting thread until the
        container is over, then of the hearing one."""
        self._handed_on = 0
        self._over = threading.Event()
        self._heard = threading.Event()
        self._again = threading.Event()
        """Set when nobody needs to wait to ask again."""
        self._answer: Answer | None = None
        for work in (self._hear, self._await_end):
            threading.Thread(target=work, name=f"docker{work.__name__}", daemon=True).start()

    @property
    def over(self) -> threading.Event:
        """Set once the container is over, or given up."""
        return self._over

    def close(self) -> None:
        """Let go of everything."""
        self._over.set()
        self._again.set()
        self._interrupt()
        self.written.close()

    def _await_end(self) -> None:
        ended = False
        while not ended and not self._over.is_set():
            try:
                ended = self._told_of_end()
            except EngineAway as away:
                self._note_away(away)
                ended = bool(self.trouble)
            except EngineError as error:
                self.gone = error.status == 404
                self.trouble = "the container was removed while it ran" if self.gone else str(error)
                ended = True
            if not ended:
                self._over.wait(_AGAIN_S)
        self._over.set()
        self._await_output()
        self.written.end()

    def _told_of_end(self) -> bool:
        """Wait for the end; return False when the engine ended its answer without telling of it."""
        path = f"/containers/{self._container}/wait"
        with self._engine.stream("POST", path, begins_within=_BEGINS_S) as answer:
            self._away_since = None  # the answer begins at once, and ends with the container
            return any("StatusCode" in said for said in answer.objects())

    def _note_away(self, away: EngineAway) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since, self.away_at = now, time.time()
            self._complain(f"{away}; what the container says comes when the engine is back")
        if now - self._away_since > self._patience_s:
            self.trouble = f"{away}, and did not for {self._patience_s:.0f} s"

    def _await_output(self) -> None:
        """Return once all output is handed on, or nothing can be had any more."""
        before = -1
        while not self.trouble and not self._heard.wait(_SILENT_S):
            if self._handed_on == before and not self.written.full:
                self._interrupt()  # and it is read again, as that of a container that is over
            before = self._handed_on

    def _hear(self) -> None:
        """Hand on everything; follow again whatever broke off."""
        ended = False
        while not ended:
            over = self._over.is_set()
            try:
                with self._opened(follow=not over) as answer:
                    self._answer = answer
                    if over:
                        self._away_since = None
                    self._hand_on(answer)
                # The end of a stream that did not follow is the end of all. A stream that followed
                # ends with its container or its engine, and Docker 20.10 may end it before the
                # container's last words: so it is asked for again.
                ended = over
                if not over:
                    self._over.wait(_AGAIN_S)
            except EngineAway as away:
                if over:
                    self._note_away(away)
                self._again.wait(_AGAIN_S)
            except EngineError:
                ended = True  # it is gone; ``_await_end`` says so
            ended = ended or bool(self.trouble)
        self._heard.set()

    def _opened(self, *, follow: bool) -> Answer:
        return self._engine.stream(
            "GET",
            f"/containers/{self._container}/logs",
            begins_within=_BEGINS_S,
            stdout="true",
            stderr="true",
            follow="true" if follow else "false",
        )

    def _hand_on(self, answer: Answer) -> None:
        """Hand on what is new in an answer, up to its end."""
        passed = 0
        for pieces in _frames(answer):
            new = []
            for stream, data in pieces:
                passed += len(data)
                if (fresh := passed - self._handed_on) > 0:
                    new.append((stream, data[-fresh:]))
                    self._handed_on = passed
            if new and not self.written.put(new):
                return

    def _interrupt(self) -> None:
        if self._answer is not None:
            self._answer.interrupt()


def _frames(answer: Answer) -> Iterator[list[Piece]]:
    """Yield the whole frames of each bit of an answer, in their order."""
    rest = b""
    for data in answer:
        data = rest + data if rest else data
        at, found = 0, []
        while at + _HEADER <= len(data):
            end = at + _HEADER + int.from_bytes(data[at + 4 : at + _HEADER])
            if end > len(data):
                break
            found.append((_stream(data[at]), data[at + _HEADER : end]))
            at = end
        rest = data[at:]
        if found:
            yield found


def _stream(number: int) -> Stream:
    return Stream.STDERR if number == Stream.STDERR else Stream.STDOUT
