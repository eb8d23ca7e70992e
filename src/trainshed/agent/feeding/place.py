"""Where a node's feeding process and its agents meet: a lock, a socket, and what is said there.

The lock tells whether the process lives: its starter takes it and leaves it to the process, so
there is no moment in which one has been started and nobody can know. The socket's end tells
everybody who is connected that the process has died.

One JSON object a line. The process says ``{"pid": n}``, ``{"ready": true}``, ``{"say": text}`` for
the job's log, and ``{"trouble": reason}``; an agent says ``{"end": true}``.
"""

import fcntl
import json
import os
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

LOCK: Final = "feeding.lock"
SOCKET: Final = "feeding.sock"
LOG: Final = "feeding.log"
TROUBLE: Final = "feeding.trouble"
"""There once the container can't go on, with the reason."""
_MOST: Final = 65536


def locked(folder: Path) -> int | None:
    """Return the node's lock, held; None when a feeding process has it."""
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def listening(folder: Path) -> socket.socket:
    """Return the node's socket; only who holds the lock may make it anew."""
    (folder / SOCKET).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(folder) as name:
        found.bind(name)
    (folder / SOCKET).chmod(0o600)
    found.listen()
    return found


def connected(folder: Path) -> socket.socket:
    """Return a connection to the node's feeding process.

    Raises:
        OSError: it has just died.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as name:
            found.connect(name)
    except OSError:
        found.close()
        raise
    return found


class Talk:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def fileno(self) -> int:
        """Return what is readable when something was said, and when the other end is gone."""
        return self._connection.fileno()

    @property
    def waits(self) -> bool:
        """Whether ``hear`` has something to return at once."""
        return bool(select.select([self], [], [], 0)[0])

    def say(self, what: Mapping[str, Any]) -> None:
        """Say it, as far as anybody listens.

        Raises:
            OSError: nobody does.
        """
        self._connection.sendall(json.dumps(what).encode() + b"\n")

    def hear(self) -> list[dict[str, Any]] | None:
        """Return what was said since, waiting for something; None once the other end is gone."""
        try:
            data = self._connection.recv(_MOST)
        except ConnectionResetError:
            data = b""
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in whole]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Yield a name of the socket that fits: addresses have 107 bytes, folders may have more."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)
