"""One agent kept warm: started, everything imported, waiting to be told its folder.

Starting Python and importing the agent takes several times as long as all else between a request
and the first line of the user's script. The spare ends by itself when its server is gone.
"""

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child:
    """A process that may outlive us: no more than its pid, and a pipe to its standard input."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start ``command``, an absolute path and its arguments.

        Raises:
            OSError: it can't be started.
        """
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            reading, self._told_by = os.pipe()
        except OSError:
            os.close(nowhere)
            raise
        try:
            self.pid = os.posix_spawn(
                command[0],
                list(command),
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_DUP2, nowhere, 1),
                    (os.POSIX_SPAWN_DUP2, nowhere, 2),
                ],
                # A session of its own: Ctrl-C at the server's terminal is not meant for the jobs.
                setsid=True,
            )
        except OSError:
            os.close(self._told_by)
            raise
        finally:
            os.close(reading)
            os.close(nowhere)
        self._reaped = False

    def ended(self) -> bool:
        """Tell whether the process is over."""
        if not self._reaped:
            try:
                self._reaped = os.waitpid(self.pid, os.WNOHANG)[0] != 0
            except ChildProcessError:  # who starts us may have told the kernel to reap for us
                self._reaped = True
        return self._reaped

    def kill(self) -> None:
        """Kill the process at once. Nobody else can have its number before it is reaped here."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)

    def tell(self, line: str) -> bool:
        """Write the one line it waits for; return False if it is gone."""
        try:
            os.write(self._told_by, os.fsencode(line) + b"\n")
        except BrokenPipeError:
            return False
        finally:
            os.close(self._told_by)
        return True

    def dismiss(self) -> None:
        """End a process that was told nothing, and wait until it is gone."""
        os.close(self._told_by)
        self.kill()
        self.reap()

    def reap(self) -> None:
        """Wait until a process that is about to be gone is."""
        if not self._reaped:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self._reaped = True


class Spare:
    """Hands out running agents, and starts the next one behind each."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """``command`` starts a process that reads its folder's path from one line of stdin."""
        self._command = tuple(command)
        self._environment = dict(environment)
        self._waiting: Child | None = None

    def prepare(self) -> None:
        """Start an agent ahead of need, unless one waits."""
        if self._waiting is not None and self._waiting.ended():
            self.close()
        if self._waiting is None:
            self._waiting = Child(self._command, self._environment)

    def take(self, folder: Path) -> Child:
        """Return an agent that has been told to work on ``folder``.

        Raises:
            OSError: none waits, and none can be started.
        """
        child, self._waiting = self._waiting, None
        if child is not None:
            if child.tell(str(folder)) and not child.ended():
                return child
            child.reap()
        child = Child(self._command, self._environment)
        child.tell(str(folder))
        return child

    def close(self) -> None:
        """Dismiss the agent that waits, if any."""
        if self._waiting is not None:
            self._waiting.dismiss()
            self._waiting = None
