"""Finds what nodes leave in a container engine; only the agent's code knows how."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trainshed.domain.errors import DriverError
from trainshed.domain.garbage import Item

_PROGRAM: Final = (sys.executable, "-I", "-m", "trainshed.agent.runtimes.docker.leftovers")
_SECONDS: Final = 120.0
"""How long an engine may take."""


class EngineLeftovers:
    """What one engine has of the nodes of one server."""

    def __init__(
        self, backend: str, engine: str, data: Path, environment: Mapping[str, str]
    ) -> None:
        """Ask the engine at ``engine`` (``unix:///path``) for what bears ``data``.

        ``environment`` is what the asking program gets.
        """
        self.name = f"container engine of the backend '{backend}'"
        self._backend = backend
        self._engine = engine
        self._data = data
        self._environment = dict(environment)

    async def find(self) -> list[Item]:
        """Return containers, networks and volumes; see ``Finder``."""
        found: list[tuple[str, str, str, str]] = json.loads(
            await self._run("find", str(self._data))
        )
        return [
            Item(
                kind=kind,
                name=name,
                owner=owner,
                reason=f"{called} was made for {owner or 'nobody'}, which no open job has",
                backend=self._backend,
            )
            for kind, name, called, owner in found
        ]

    async def remove(self, item: Item) -> None:
        """Remove one of these."""
        await self._run("remove", item.kind, item.name)

    async def _run(self, word: str, *arguments: str) -> Any:  # noqa: ANN401 - what it prints
        program = await asyncio.create_subprocess_exec(
            *(*_PROGRAM, word, self._engine, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                printed, said = await program.communicate()
        except TimeoutError as error:
            program.kill()
            await program.wait()
            raise DriverError(f"the engine at {self._engine} does not answer") from error
        if program.returncode:
            raise DriverError(said.decode(errors="replace").strip())
        return printed
