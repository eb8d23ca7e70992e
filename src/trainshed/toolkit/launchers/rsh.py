"""The remote shell that ``mpirun`` calls: ``rsh FOLDER HOST COMMAND...``.

FOLDER holds what this needs to know: ``host``, the name of the host it runs on, and ``secret``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from trainshed.toolkit.launchers import remote

_NO_CONNECTION = 255
"""What ssh ends with."""


def main(words: list[str]) -> int:
    """Run a command on another host; its output passes through, its exit code is ours."""
    folder, host, *command = words
    line = " ".join(command)
    if host == (Path(folder) / "host").read_text():
        # mpirun does not always know its own host again by an address of loopback.
        os.execv("/bin/sh", ["/bin/sh", "-c", line])  # noqa: S606 - it is a shell
    secret = (Path(folder) / "secret").read_text()
    try:
        with remote.ask(host, secret, {"do": "run", "command": line}) as connection:
            for kind, data in remote.frames(connection):
                if kind == b"x":
                    return int(data)
                _write(1 if kind == b"o" else 2, data)
    except remote.Refused as error:
        print(f"trainshed: {host}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"trainshed: the connection to {host} failed: {error}", file=sys.stderr)
    return _NO_CONNECTION


def _write(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]
