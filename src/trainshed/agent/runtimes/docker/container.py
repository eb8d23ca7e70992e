"""A started container of an engine, as ``runtimes.base.Container`` promises it."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from trainshed.agent.runtimes.base import Exit, Stream
from trainshed.agent.runtimes.docker.endings import is_kill, taken_along
from trainshed.agent.runtimes.docker.engine import (
    PATIENCE_S,
    Engine,
    EngineAway,
    EngineError,
    patiently,
)
from trainshed.agent.runtimes.docker.following import Following
from trainshed.agent.runtimes.refusals import SAID, not_run

_AGAIN_S: Final = 1.0
_KILLED: Final = 137


class DockerContainer:
    """A container that has been started."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        stop_signal: str,
        complain: Callable[[str], None],
        settle: Callable[[], None],
        stopping: bool = False,
    ) -> None:
        """Follow a container.

        Args:
            engine: where it is.
            container: its id.
            stop_signal: what asks its command to end.
            complain: told of troubles with the engine.
            settle: called once it is over, for what is to be done to its files.
            stopping: whether an agent before us was asked to stop it.
        """
        self._engine = engine
        self._container = container
        self._stop_signal = stop_signal
        self._settle = settle
        self._said = b""
        self._signalled = stopping
        """Whether it was to end: however it did is then what was wanted."""
        self._away_at: float | None = None
        """When the engine was found away after the end, in seconds since the epoch."""
        self._following = Following(engine, container, patience_s=PATIENCE_S, complain=complain)
        self.outputs: Sequence[int] = (self._following.written.fd,)
        self.events, self._no_events = os.pipe()
        self.exited = os.eventfd(0, os.EFD_CLOEXEC)

    def read(self, output: int) -> Sequence[tuple[Stream, bytes]] | None:
        """Return what was written since; None when all has been read and the container is over."""
        pieces = self._following.written.take()
        if pieces is None:
            os.eventfd_write(self.exited, 1)
            return None
        if len(self._said) < SAID:
            self._said += b"".join(data for _, data in pieces)
        return pieces

    def hear(self) -> bool:
        """Return True: nothing is ever told."""
        return True

    def terminate(self) -> bool:
        """Send what ``docker stop`` sends to the command's own process."""
        self._signal(self._stop_signal)
        return True

    def kill(self) -> None:
        """Kill every process of the container."""
        self._signal("SIGKILL")

    def abandon(self) -> None:
        """Do nothing: the engine keeps what it says, for whoever finds it."""

    def collect(self) -> Exit:
        """Return how it ended."""
        following = self._following
        following.close()
        for fd in (self.events, self._no_events, self.exited):
            os.close(fd)
        if following.trouble:
            return self._lost(following.trouble, gone=following.gone)
        try:
            ended = self._exit(self._inspected())
            self._settle()
        except EngineError as error:
            gone = error.status == 404
            return self._lost("the container was removed" if gone else str(error), gone=gone)
        return ended

    def _lost(self, why: str, *, gone: bool) -> Exit:
        """Return the end of a container of which nothing more can be learned."""
        return Exit(exit_code=_KILLED, lost="" if gone and self._signalled else why)

    def _exit(self, state: dict[str, Any]) -> Exit:
        code, oom = int(state["ExitCode"]) & 0xFF, bool(state.get("OOMKilled"))
        if not oom and not self._signalled and (lost := self._taken_along(state)):
            return Exit(exit_code=code, lost=lost)
        if refused := not_run(code, self._said):
            return Exit(exit_code=refused)
        return Exit(exit_code=code, oom=oom)

    def _taken_along(self, state: dict[str, Any]) -> str:
        """Return what else ended and took the container along; "" when nothing did.

        Raises:
            EngineError: the container is being removed.
        """
        since = max(self._following.away_at or 0.0, self._away_at or 0.0) or None
        if is_kill(int(state["ExitCode"]) & 0xFF):
            # A container that is removed, and an engine that stops, are there a little longer.
            time.sleep(_AGAIN_S)
            state = self._inspected()
        elif since is None:
            return ""
        since = max(since or 0.0, self._away_at or 0.0) or None
        return patiently(lambda: taken_along(self._engine, state, since), self._note_away)

    def _inspected(self) -> dict[str, Any]:
        path = f"/containers/{self._container}/json"
        state: dict[str, Any] = patiently(lambda: self._engine.get(path), self._note_away)["State"]
        return state

    def _note_away(self, _: EngineAway) -> None:
        self._away_at = self._away_at or time.time()

    def _signal(self, name: str) -> None:
        """Send a signal, as soon as the engine takes it, in a thread: it may take its time."""
        self._signalled = True
        threading.Thread(
            target=self._send, args=(name,), name=f"docker-{name}", daemon=True
        ).start()

    def _send(self, name: str) -> None:
        while not self._following.over.is_set():
            try:
                self._engine.post(f"/containers/{self._container}/kill", signal=name)
            except EngineError as error:
                if 400 <= error.status < 500:
                    return  # it is over
                # The engine is away, or could not: a signal that nobody sends again is never sent.
                self._following.over.wait(_AGAIN_S)
            else:
                return
