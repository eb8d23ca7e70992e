"""A simulated place on virtual time, and what its agents told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Handle, NodeState
from trainshed.testing.plans import node_plan
from trainshed.testing.simulation.clock import VirtualClock, run
from trainshed.testing.simulation.driver import SimulatedDriver
from trainshed.testing.simulation.options import SimulatedBackend

KEEPS = {"CheckpointConfig": {"S3Uri": "s3://bucket/kept"}}


def plan(
    node_id: str = "job.1.algo-1",
    request: dict[str, Any] | None = None,
    warm_pool: str = "",
    **sim: Any,
) -> NodePlan:
    """Return a node's plan; what is simulated goes by keyword."""
    host = node_id.split(".")[2]
    hyperparameters = {f"sim.{name}": str(value) for name, value in sim.items()}
    return node_plan(
        Path("/nowhere"),
        server_url="http://127.0.0.1:1",
        token="token",
        node_id=node_id,
        host=host,
        hosts=(host,),
        hyperparameters=hyperparameters,
        request=request or {},
        warm_pool=warm_pool,
        grace=60.0,
    )


@dataclass
class Scene:
    """One backend; its server can be killed and started again."""

    clock: VirtualClock
    file: Path | None = None
    options: SimulatedBackend = field(default_factory=SimulatedBackend)
    heard: dict[str, list[Fact]] = field(default_factory=dict)
    """By node id, each fact once."""
    reports: int = 0
    away: bool = False
    """Whether reports find a store that is away."""
    unknown: set[str] = field(default_factory=set)
    """Nodes that nobody knows any more."""

    def __post_init__(self) -> None:
        self.began = self.clock.now().timestamp()
        self.driver = self.start()

    def start(self) -> SimulatedDriver:
        """Return a driver on the same file, as after a restart."""
        self.driver = SimulatedDriver(
            name="sim",
            report=self.report,
            clock=self.clock.now,
            options=self.options,
            file=self.file,
        )
        return self.driver

    async def report(self, node_id: str, facts: Sequence[Fact]) -> int | None:
        """Take facts as a server does: each number once, none after a gap."""
        self.reports += 1
        if self.away:
            raise StoreError("away")
        if node_id in self.unknown:
            return None
        known = self.heard.setdefault(node_id, [])
        for fact in facts:
            if fact.n <= len(known):
                assert known[fact.n - 1] == fact, "a fact was told in two ways"
            if fact.n == len(known) + 1:
                known.append(fact)
        return len(known)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[list[frozenset[Handle]]]:
        """Hear the agents, and yield the hints of what changed, as they come."""
        hints: list[frozenset[Handle]] = []

        driver = self.driver

        async def listen() -> None:
            while True:
                hints.append(await driver.changed())

        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen())
            try:
                yield hints
            finally:
                task.cancel()

    def kinds(self, node_id: str = "job.1.algo-1") -> list[Kind]:
        """Return what a node has told so far."""
        return [fact.kind for fact in self.heard.get(node_id, [])]

    def told(self, kind: Kind, node_id: str = "job.1.algo-1") -> list[Fact]:
        """Return the facts of a kind."""
        return [fact for fact in self.heard.get(node_id, []) if fact.kind is kind]

    def end(self, node_id: str = "job.1.algo-1") -> tuple[float, str]:
        """Return (seconds from the beginning, outcome) of a node's end."""
        (ended,) = self.told(Kind.ENDED, node_id)
        return round(ended.at - self.began, 3), ended.detail["outcome"]

    async def state(self, node_id: str = "job.1.algo-1") -> NodeState | None:
        """Return what the driver sees of a node."""
        handle = Handle("sim", node_id)
        sight = (await self.driver.observe([handle])).get(handle)
        return sight.state if sight is not None else None


def played(
    script: Callable[[Scene], Coroutine[Any, Any, None]] | Callable[[Scene], Awaitable[None]],
    file: Path | None = None,
    **options: Any,
) -> Scene:
    """Play a scene to its end on virtual time."""

    async def main(clock: VirtualClock) -> Scene:
        scene = Scene(clock, file, SimulatedBackend(**options))
        await script(scene)
        scene.driver.close()
        return scene

    return run(main)
