"""One agent kept warm: started, everything imported, waiting to be told its folder.

Starting Python and importing the agent takes several times as long as all else between a request
and the first line of the user's script. The spare ends by itself when its server is gone.
"""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path


class Spare:
    """Hands out running agents, and starts the next one behind each."""

    def __init__(self, command: Sequence[str]) -> None:
        """``command`` starts a process that reads its folder's path from one line of stdin."""
        self._command = tuple(command)
        self._waiting: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Start an agent ahead of need, unless one waits."""
        if self._waiting is None or self._waiting.poll() is not None:
            self._waiting = self._start()

    def take(self, folder: Path) -> subprocess.Popen[bytes]:
        """Return an agent that has been told to work on ``folder``."""
        child = self._waiting
        self._waiting = None
        if child is None or not _tell(child, folder):
            child = self._start()
            _tell(child, folder)
        return child

    def close(self) -> None:
        """Dismiss the agent that waits, if any."""
        if self._waiting is not None:
            if self._waiting.stdin is not None:
                self._waiting.stdin.close()
            self._waiting.wait()
            self._waiting = None

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A session of its own: Ctrl-C at the server's terminal is not meant for the jobs.
            start_new_session=True,
        )


def _tell(child: subprocess.Popen[bytes], folder: Path) -> bool:
    """Write the folder's path to the agent; return False if it is gone."""
    if child.stdin is None or child.poll() is not None:
        return False
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(f"{folder}\n".encode())
        child.stdin.close()
        return True
    return False
