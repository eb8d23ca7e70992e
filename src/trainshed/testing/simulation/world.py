"""The real engine, queue and records on simulated places and virtual time.

Days of a busy shed pass in seconds, and each time in the same way: for rehearsing what a queue, a
policy or a flood of interruptions leads to. See docs/how-to/rehearse-without-machines.md.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from trainshed.domain.facts import Fact
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.drivers.base import Driver
from trainshed.engine.backends import Backends
from trainshed.engine.loop import Engine
from trainshed.engine.ownership import Ownership
from trainshed.engine.planning import Site
from trainshed.engine.queue import Queue
from trainshed.stores.records.base import Server
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.jobs import job
from trainshed.testing.simulation.clock import VirtualClock
from trainshed.testing.simulation.driver import SimulatedDriver
from trainshed.testing.simulation.options import SimulatedBackend
from trainshed.testing.simulation.records import MemoryDatabase

_SECRET = "no secret"  # noqa: S105


class World:
    """One server's worth of everything that decides; to be used within ``clock.run``."""

    def __init__(
        self,
        clock: VirtualClock,
        places: Mapping[str, SimulatedBackend] | None = None,
        others: Mapping[str, Driver] | None = None,
    ) -> None:
        """Have places by backend name, the first for jobs that name none.

        Args:
            clock: tells and turns the time.
            places: simulated ones; None for one, if there are no others.
            others: drivers that a test brings with it.
        """
        self.clock = clock
        self.database = MemoryDatabase()
        self.changes = InProcessChanges()
        self.records = SqlTrainingRecords(self.database, self.changes)
        self.drivers = {
            name: SimulatedDriver(name=name, report=self._take, clock=clock.now, options=options)
            for name, options in (places or ({} if others else {"sim": SimulatedBackend()})).items()
        }
        self._all: dict[str, Driver] = {**self.drivers, **(others or {})}
        self._servers = 0

    @asynccontextmanager
    async def engine(self, *, look_seconds: float = 60.0, **members: Any) -> AsyncIterator[Engine]:
        """Run a server's engine within the block.

        Args:
            look_seconds: how often it looks though nothing told of a change; in days of waiting
                this is most of what there is to compute.
            members: further arguments of the queue.
        """
        self._servers += 1
        capabilities = {name: driver.capabilities for name, driver in self._all.items()}
        url = "http://127.0.0.1:1"
        server = Server(
            id=f"server-{self._servers}",
            url=url,
            machine="here",
            version="1",
            reaches=tuple(self._all),
        )
        default = next(iter(self._all))
        leases = SqlLeases(self.database, alone=True, clock=lambda: self.clock.now().timestamp())
        engine = Engine(
            records=self.records,
            changes=self.changes.watch(),
            backends=Backends(drivers=self._all, default=default),
            site=Site(server_url=url, secret=_SECRET, objects={}, capabilities=capabilities),
            clock=self.clock.now,
            ownership=Ownership(leases, server, alone=True),
            queue=Queue(
                records=self.records,
                capabilities=capabilities,
                default=default,
                clock=self.clock.now,
                **members,
            ),
            look_seconds=look_seconds,
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run())
            try:
                yield engine
            finally:
                running.cancel()

    async def submit(
        self,
        name: str,
        request: Mapping[str, Any] | None = None,
        members: Mapping[str, Any] | None = None,
        **sim: Any,
    ) -> TrainingJob:
        """Create a job now.

        Args:
            name: its name.
            request: members of CreateTrainingJob, and ``nodes``.
            members: those of ``TrainingJob`` that tags say: project, priority, backend, ….
            sim: what its nodes do: ``duration=3600`` is the hyperparameter ``sim.duration``.
        """
        hyperparameters = {f"sim.{key}": str(value) for key, value in sim.items()}
        made = job(name, **{"HyperParameters": hyperparameters, **(request or {})})
        now = self.clock.now()
        opening = replace(made.transitions[0], start=now)
        told = {"created": now, "modified": now, "transitions": (opening,), **(members or {})}
        made = replace(made, id=name, **told)
        if not await self.records.add(made, {}, owner=f"server-{self._servers}"):
            raise ValueError(f"there is a job {name!r} already")
        return made

    async def found(self, arn: str) -> TrainingJob:
        """Return a job as it stands.

        Raises:
            KeyError: there is none.
        """
        job = await self.records.get(arn)
        if job is None:
            raise KeyError(arn)
        return job

    async def until(
        self, arn: str, true: Callable[[TrainingJob], bool], *, within: float = 30 * 86400.0
    ) -> TrainingJob:
        """Return a job once ``true`` of it.

        Raises:
            TimeoutError: it never was, for ``within`` seconds.
        """
        watch = self.changes.watch()
        async with asyncio.timeout(within):
            while True:
                found = await self.found(arn)
                if true(found):
                    return found
                await watch.next(within)

    async def until_moment(self, seconds: float) -> None:
        """Return that many seconds after the beginning."""
        await asyncio.sleep(max(0.0, seconds - self.clock.seconds))

    async def stop(self, arn: str) -> None:
        """Wish for a job's stop, as StopTrainingJob does."""
        now = self.clock.now()
        stopped = False
        while not stopped:
            found = await self.found(arn)
            wished = replace(found.moved_to(SecondaryStatus.STOPPING, at=now), stop_wish=now)
            stopped = await self.records.swap(found, wished)

    async def over(self, arn: str) -> TrainingJob:
        """Return a job once it is over and nothing of it is left."""
        return await self.until(arn, lambda found: found.settled)

    async def _take(self, node_id: str, facts: Sequence[Fact]) -> int | None:
        job_id, attempt, host = node_id.split(".")
        return await self.records.take(job_id, int(attempt), host, facts)
