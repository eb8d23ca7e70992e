"""The engine's own command, ``docker`` or ``podman``: what a terminal is connected by.

Terminals, their sizes and their signals are what that command does well; nothing of it is done
again here.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from trainshed.client.errors import ClientError


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """The command, and the engine it is to speak with."""

    program: str
    """Its path."""
    address: str
    """``unix:///path``; "" for the one that it finds itself."""

    def words(self, *words: str) -> list[str]:
        """Return a whole command line."""
        if not self.address:
            return [self.program, *words]
        if os.path.basename(self.program) == "podman":  # noqa: PTH119 - a word, no file
            return [self.program, "--url", self.address, *words]
        return [self.program, "--host", self.address, *words]

    def ask(self, *words: str) -> str:
        """Return what the command prints.

        Raises:
            ClientError: it did not work; the message is its own.
        """
        done = subprocess.run(self.words(*words), capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise ClientError(f"{os.path.basename(self.program)}: {said}", "trainshed doctor")  # noqa: PTH119
        return done.stdout.strip()

    def container(self, node_id: str) -> str:
        """Return the id of a node's running container; "" when there is none.

        Raises:
            ClientError: the engine can't be asked.
        """
        wanted = [f"label=trainshed.node={node_id}", "status=running"]
        filters = [word for each in wanted for word in ("--filter", each)]
        return self.ask("ps", "--quiet", "--no-trunc", *filters).partition("\n")[0]


def engine_command(address: str) -> EngineCommand:
    """Return the command for an engine.

    Args:
        address: ``unix:///path``; "" for the one that the command finds itself.

    Raises:
        ClientError: there is none on this machine.
    """
    order = ("podman", "docker") if "podman" in address else ("docker", "podman")
    program = next(filter(None, map(shutil.which, order)), None)
    if program is None:
        raise ClientError(
            "neither docker nor podman is on PATH, and one of them connects the terminal",
            "install the client alone (docker-cli, or podman); the engine needs nothing",
        )
    return EngineCommand(program, address)


def terminal_options(*, interactive: bool, tty: bool) -> Sequence[str]:
    """Return the options of ``exec`` and ``attach`` for stdin and a terminal."""
    return (["--interactive"] if interactive else []) + (["--tty"] if tty else [])
