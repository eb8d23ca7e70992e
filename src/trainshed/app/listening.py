"""Where a server listens: where it is asked to, and where agents of running jobs look for it.

An agent is told an address once, in its plan. A server that comes back on another port would never
hear of the jobs that outlived the last one; so it listens at their addresses as well.
"""

import contextlib
import fcntl
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trainshed.app import settings
from trainshed.app.private import write_private
from trainshed.domain.errors import TrainshedError

log = logging.getLogger(__name__)

_BACKLOG: Final = 512
_LOOPBACK: Final = "127.0.0.1"
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - bound only where somebody asked for it
_REACHED_BY_LOOPBACK: Final = frozenset({_LOOPBACK, "localhost", _EVERYWHERE})
_FREEBIND: Final = 15
"""IP_FREEBIND of linux/in.h, for which Python has no name: bind an address before it is there."""


class PortInUse(TrainshedError):
    """The port that was asked for is taken."""


class Listeners:
    """The sockets of one server; the first is the one to tell people of."""

    def __init__(
        self, data_dir: Path, host: str, held: contextlib.ExitStack, *, shared: bool = False
    ) -> None:
        """Hold no socket yet; ``held`` closes them. Others have them too where they are shared."""
        self.sockets: list[socket.socket] = []
        self._data_dir = data_dir
        self.shared = shared
        self._host = host
        self._held = held

    @property
    def port(self) -> int:
        """The server's own port."""
        return int(self.sockets[0].getsockname()[1])

    @property
    def near(self) -> str:
        """Where programs of this machine reach the server, whatever it was asked to listen on."""
        return f"http://{_LOOPBACK}:{self.port}"

    def add(self, address: str) -> None:
        """Listen at an address of a network of containers too, at every port they know.

        The network may be made later, and again: whatever address this machine comes to have is
        heard from then on. A port that can't be had is told of in the log.
        """
        told = {port for host, port in _told_to_nodes(self._data_dir) if host == address}
        for port in sorted({*told, self.port}):
            if port != self.port or self._host not in {_EVERYWHERE, address}:
                self._open(address, port)

    def open_first(self, port: int) -> None:
        """Listen where the server was asked to, and on loopback.

        Raises:
            OSError: the port is taken at either.
        """
        with contextlib.ExitStack() as kept:
            first = kept.enter_context(self._made(self._host, port))
            found = [first]
            if self._host not in _REACHED_BY_LOOPBACK:
                near = self._made(_LOOPBACK, first.getsockname()[1])
                found.append(kept.enter_context(near))
            self._held.enter_context(kept.pop_all())
        self.sockets += found

    def open_known(self) -> None:
        """Listen on loopback at every port that living nodes were told."""
        told = {
            port for host, port in _told_to_nodes(self._data_dir) if host in _REACHED_BY_LOOPBACK
        }
        for port in sorted(told - {self.port}):
            self._open(_LOOPBACK, port)

    def _made(self, host: str, port: int) -> socket.socket:
        return socket.create_server((host, port), backlog=_BACKLOG, reuse_port=self.shared)

    def _open(self, address: str, port: int) -> None:
        listener = self._held.enter_context(socket.socket())
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if address != _LOOPBACK:
                listener.setsockopt(socket.IPPROTO_IP, _FREEBIND, 1)
            listener.bind((address, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            log.warning(
                "jobs look for this server at %s:%d, which it cannot have (%s); free it and start "
                "the server again: until then it hears nothing of them, and they get no keys",
                address,
                port,
                error.strerror,
            )
        else:
            self.sockets.append(listener)


@contextmanager
def listening(
    data_dir: Path, host: str, port: int | None, *, shared: bool = False
) -> Iterator[Listeners]:
    """Listen, until the block ends.

    Args:
        data_dir: remembers the port, and holds the plans of nodes that live.
        host: address to listen on, besides loopback.
        port: 0 for any free one; None for 7070, or any free one. Both prefer the one used last.
        shared: whether several servers have this folder, and so each of their ports together: the
            system gives each connection to one that lives.

    Raises:
        PortInUse: ``port`` was asked for and is taken.
    """
    with contextlib.ExitStack() as held:
        listeners = Listeners(data_dir, host, held, shared=shared)
        with _one_at_a_time(data_dir) if shared else contextlib.nullcontext():
            _open_first(listeners, data_dir, host, port)
        listeners.open_known()
        yield listeners


def _open_first(listeners: Listeners, data_dir: Path, host: str, port: int | None) -> None:
    last = data_dir / "port"
    wishes = [port] if port is not None else [settings.DEFAULT_PORT, 0]
    if (used := _port_in(last)) and port in {None, 0}:
        wishes.insert(0, used)
    for wish in wishes:
        try:
            if listeners.shared and wish != used:
                # Nobody but servers of this folder may be met there.
                socket.create_server((host, wish)).close()
            listeners.open_first(wish)
        except OSError as error:
            if wish == wishes[-1]:
                raise PortInUse(
                    f"cannot listen on {host}:{wish}: {error.strerror}; "
                    "free the port, or name another with --port"
                ) from error
        else:
            if _port_in(last) != listeners.port:
                # A server that found no room on its disk could never make any.
                with contextlib.suppress(OSError):
                    write_private(last, str(listeners.port))
            return


@contextmanager
def _one_at_a_time(data_dir: Path) -> Iterator[None]:
    """Let one server look for a port, so that the next one finds it told."""
    with (data_dir / "port.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _port_in(file: Path) -> int:
    """Return the port that a file remembers; 0 when it does not, or not any more."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 1 << 16 else 0


def _told_to_nodes(data_dir: Path) -> set[tuple[str, int]]:
    """Return where living nodes and their containers look for the server."""
    found = set()
    for path in data_dir.glob("nodes/*/plan.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            plan = json.loads(path.read_text())
            for url in (plan["server_url"], plan.get("container_url", "")):
                told = urlsplit(url)
                if told.hostname and told.port:
                    found.add((told.hostname, told.port))
    return found
