"""A real server that dies by a plan, as a process of its own, for tests and for chaos.

It is ``testing.server.Server``, started by ``python -m trainshed.testing.faulty_server``.
"""

import sys
from pathlib import Path
from typing import Final

from trainshed.testing.faults.plan import Plan
from trainshed.testing.server import Server

_TRIES: Final = 50
"""How many lives may end before one of them is ready."""


class FaultyServer(Server):
    """A server and its agents, each with a plan of what goes wrong."""

    def __init__(
        self,
        data: Path,
        plan: Plan,
        *,
        agents: Plan | None = None,
        settings: str = "",
        shared: Path | None = None,
    ) -> None:
        """Serve ``data``; ``agents`` is the plan of each of its agents."""
        super().__init__(data, settings, shared=shared)
        self._plan = plan
        self._agents = agents or Plan()
        self._noted = self.data / "struck"
        self.lives = 0
        """How often it was started."""

    def start(self, port: int = 0) -> "FaultyServer":
        """Start a further life; return when one of them came so far as to be ready.

        Raises:
            RuntimeError: none does; the message has what they said.
        """
        for _ in range(_TRIES):
            self.lives += 1
            if self._begin(self._command(port)):
                return self
            self._end_of_a_life()
        raise RuntimeError(f"{self._plan} lets no server start:\n{self.said()}")

    def revive(self) -> bool:
        """Start a further life if the last one is over; tell whether it was."""
        if self.running:
            return False
        self._end_of_a_life()
        self.start()
        return True

    def struck(self) -> list[str]:
        """Return the faults that happened, in the server and in its agents, in order.

        Each as ``Fault.parse`` reads it, so that it can be had again.
        """
        if not self._noted.exists():
            return []
        return [line.partition(" ")[2] for line in self._noted.read_text().splitlines()]

    def died_at(self) -> float:
        """Return when this life's server struck itself, by the monotonic clock; inf for never."""
        moments = [float("inf")]
        if self._process is not None and self._noted.exists():
            for line in self._noted.read_text().splitlines():
                process, _, moment = line.partition(" ")[0].partition("@")
                if process == str(self._process.pid) and line.endswith("crash"):
                    moments.append(float(moment))
        return min(moments)

    def plans(self) -> tuple[Plan, Plan]:
        """Return the plans of the life that begins: the server's, and that of its agents."""
        return self._plan, self._agents

    def _command(self, port: int) -> list[str | Path]:
        """Return what starts the next life."""
        program = [sys.executable, "-m", "trainshed.testing.faulty_server"]
        where: list[str | Path] = [
            "--data-dir",
            self.data,
            "--port",
            str(port),
            "--noted",
            self._noted,
        ]
        server, agents = self.plans()
        plans = ["--faults", str(server), "--agent-faults", str(agents)]
        return [*program, *where, *plans, "--life", str(self.lives)]

    def _end_of_a_life(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.wait()
            self._process.stdout.close()
