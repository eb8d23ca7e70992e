"""Where a server listens: where it is asked to, and where agents of running jobs look for it.

An agent is told an address once, in its plan. A server that comes back on another port would never
hear of the jobs that outlived the last one; so it listens at their addresses as well.
"""

import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trainshed.app import settings
from trainshed.app.build import write_private
from trainshed.domain.errors import TrainshedError

log = logging.getLogger(__name__)

_BACKLOG: Final = 512
_LOOPBACK: Final = "127.0.0.1"
_REACHED_BY_LOOPBACK: Final = frozenset({_LOOPBACK, "localhost", "0.0.0.0"})  # noqa: S104 - not bound


class PortInUse(TrainshedError):
    """The port that was asked for is taken."""


@contextmanager
def listening(data_dir: Path, host: str, port: int | None) -> Iterator[list[socket.socket]]:
    """Listen; the first socket is the one to tell people of.

    Args:
        data_dir: remembers the port, and holds the plans of nodes that live.
        host: address to listen on.
        port: 0 for any free one; None for 7070, or any free one. Both prefer the one used last.

    Raises:
        PortInUse: ``port`` was asked for and is taken.
    """
    with contextlib.ExitStack() as held:
        first = held.enter_context(_main(data_dir, host, port))
        listeners = [first]
        for known in sorted(_known_to_agents(data_dir) - {first.getsockname()[1]}):
            try:
                listeners.append(
                    held.enter_context(socket.create_server((_LOOPBACK, known), backlog=_BACKLOG))
                )
            except OSError as error:
                log.warning(
                    "jobs that run report to port %d, which this server cannot have (%s); "
                    "free it and start the server again, or their end is never known",
                    known,
                    error.strerror,
                )
        yield listeners


def _main(data_dir: Path, host: str, port: int | None) -> socket.socket:
    last = data_dir / "port"
    wishes = [port] if port is not None else [settings.DEFAULT_PORT, 0]
    if port in {None, 0} and (used := _port_in(last)):
        wishes.insert(0, used)
    for wish in wishes:
        try:
            listener = socket.create_server((host, wish), backlog=_BACKLOG)
        except OSError as error:
            if wish == wishes[-1]:
                raise PortInUse(
                    f"cannot listen on {host}:{wish}: {error.strerror}; "
                    "free the port, or name another with --port"
                ) from error
            continue
        write_private(last, str(listener.getsockname()[1]))
        return listener
    raise PortInUse(f"cannot listen on {host}")


def _port_in(file: Path) -> int:
    """Return the port that a file remembers; 0 when it does not, or not any more."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 1 << 16 else 0


def _known_to_agents(data_dir: Path) -> set[int]:
    """Return the ports that living nodes were told, on addresses that loopback reaches."""
    ports = set()
    for plan in data_dir.glob("nodes/*/plan.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            told = urlsplit(json.loads(plan.read_text())["server_url"])
            if told.hostname in _REACHED_BY_LOOPBACK and told.port:
                ports.add(told.port)
    return ports
