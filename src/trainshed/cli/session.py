"""Where the server's folder is, and how a command gets to the server: it is started if need be."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from trainshed import __version__
from trainshed.app import clock
from trainshed.cli import aws, output
from trainshed.client import server
from trainshed.client.api import Api
from trainshed.client.errors import ServerUnreachable


def folder(data_dir: Path | None) -> Path:
    """Return the server's folder: the one given, else ``trainshed`` in the user's data folder."""
    if data_dir is not None:
        return data_dir.expanduser().resolve()
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification tells to ignore a path that is not absolute.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "trainshed"


def command(data_dir: Path, *further: str) -> list[str]:
    """Return the command that runs the folder's server in the foreground."""
    return [sys.executable, "-m", "trainshed.cli", "up", "--data-dir", str(data_dir), *further]


def ensure(data_dir: Path | None) -> tuple[server.Server, bool]:
    """Return the folder's server and whether it had to be started, which is said on stderr.

    Raises:
        ServerUnreachable: it could not be started.
    """
    place = folder(data_dir)
    found = server.find(place, clock.now)
    if found is not None:
        return found, False
    found, started = server.start(place, command(place), now=clock.now, sleep=time.sleep)
    if started:
        output.note(f"trainshed {__version__}  server started  {found.url}")
    return found, started


def connect(data_dir: Path | None) -> Api:
    """Return calls to the folder's server, started if need be.

    Raises:
        ServerUnreachable: it could not be started.
    """
    return ensure(data_dir)[0].api(clock.now)


def reach(data_dir: Path | None, by_environment: bool) -> Api:
    """Return calls to what the AWS environment names, or to the folder's server.

    Raises:
        ClientError: the environment lacks something.
        ServerUnreachable: the folder's server could not be started.
    """
    return aws.connect(clock.now) if by_environment else connect(data_dir)


def reconnect(data_dir: Path | None) -> Callable[[], Api]:
    """Return what finds the folder's server again, wherever it answers now; it starts none.

    What is returned raises ``ServerUnreachable`` when none answers.
    """
    place = folder(data_dir)

    def again() -> Api:
        found = server.find(place, clock.now)
        if found is None:
            raise ServerUnreachable(f"no server answers for {place}", "trainshed up")
        return found.api(clock.now)

    return again
