"""Servers that share records and a place, on virtual time; any of them may be hurt at any time."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace

from tests.chaos.place import Place

from trainshed.api.reports import Intake, Node
from trainshed.domain.errors import RequestRejected, StoreError
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import SecondaryStatus, TrainingJob
from trainshed.engine.backends import Backends
from trainshed.engine.loop import Engine
from trainshed.engine.ownership import Ownership, new_id
from trainshed.engine.planning import Site
from trainshed.engine.queue import Queue
from trainshed.stores.records.base import Server
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.testing.faults.clock import JumpingClock
from trainshed.testing.faults.faults import Crashed, Faults
from trainshed.testing.faults.plan import Plan
from trainshed.testing.faults.wrapping import through
from trainshed.testing.simulation.clock import VirtualClock
from trainshed.testing.simulation.records import MemoryDatabase

PATIENCE = 10.0
"""Seconds that an agent waits for an answer."""


class OneServer:
    """A server of the shed, over all its lives."""

    def __init__(self, shed: "Shed") -> None:
        self._shed = shed
        self._lives = 0
        self._running: asyncio.Task[None] | None = None
        self.clock = JumpingClock(shed.clock.now)
        self.faults = Faults(Plan())
        self.faults.kill()

    @property
    def up(self) -> bool:
        return self._running is not None and not self._running.done() and not self.faults.dead

    def start(self) -> None:
        """Start, over whatever is in the records."""
        self._lives += 1
        faults = Faults(Plan(), life=self._lives, jump=self.clock.jump)
        shed, self.faults = self._shed, faults
        records = through(faults, "records", shed.records)
        leases = SqlLeases(
            shed.database, alone=shed.alone, clock=lambda: shed.clock.now().timestamp()
        )
        driver = through(faults, "driver", shed.place)
        url = "http://127.0.0.1:1"
        server = Server(id=new_id(), url=url, machine="here", version="1", reaches=("local",))
        ownership = Ownership(through(faults, "leases", leases), server, alone=shed.alone)
        capabilities = {"local": driver.capabilities}
        engine = Engine(
            records=records,
            changes=shed.changes.watch(),
            backends=Backends(drivers={"local": driver}, default="local"),
            site=Site(server_url=url, secret="secret", objects={}, capabilities=capabilities),
            clock=self.clock,
            ownership=ownership,
            queue=Queue(
                records=records,
                capabilities=capabilities,
                default="local",
                clock=self.clock,
                leader=lambda: ownership.id,
            ),
        )
        self.intake = Intake(records=records, logs=shed, secret="secret")
        self._running = asyncio.create_task(engine.run())
        self._running.add_done_callback(_heard)

    async def kill(self) -> None:
        """End it at once, wherever it is."""
        self.faults.kill()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def died_of(self) -> list[BaseException]:
        """Return what ended it that was no crash of ours."""
        if self._running is None or not self._running.done() or self._running.cancelled():
            return []
        return [each for each in _leaves(self._running.exception()) if not _is_crash(each)]


def _heard(ended: asyncio.Task[None]) -> None:
    """Take note of what a task died of: most die on purpose, and nobody else asks them."""
    if not ended.cancelled():
        ended.exception()


class Shed:
    """Everything that outlives a server, and the servers."""

    def __init__(self, clock: VirtualClock, servers: int) -> None:
        self.clock = clock
        self.database = MemoryDatabase()
        self.changes = InProcessChanges()
        self.records = SqlTrainingRecords(self.database, self.changes)
        self.place = Place()
        self.acknowledged: dict[str, dict[int, Fact]] = {}
        """By node id and number, what an agent heard to be taken."""
        self.late: list[tuple[str, bytes]] = []
        """Reports that are still on their way."""
        self.alone = servers == 1
        """Whether there can be no other server, as on SQLite."""
        self.servers = [OneServer(self) for _ in range(servers)]

    async def pass_time(self, seconds: float) -> None:
        """Have time pass."""
        await asyncio.sleep(seconds)

    async def append(self, group: str, stream: str, offset: int, data: bytes) -> int:
        """Keep no log."""
        return offset + len(data)

    async def wish_stop(self, arn: str) -> bool:
        """Do as StopTrainingJob does; tell whether the job could be stopped."""
        while (job := await self.records.get(arn)) is not None:
            if job.over or job.secondary is SecondaryStatus.STOPPING:
                return False
            now = self.clock.now()
            stopping = replace(job.moved_to(SecondaryStatus.STOPPING, at=now), stop_wish=now)
            if await self.records.swap(job, stopping):
                return True
        return False

    def speakers(self) -> list[str]:
        """Return the nodes with a living agent."""
        return sorted(node for node in self.place.living if node in self.place.journals)

    async def all_go_on(self, server: OneServer) -> None:
        """Have each living agent see the next thing, and tell a server."""
        for node in self.speakers():
            if node in self.place.living:  # time may pass with each report
                self.place.advance(node, self.clock.now().timestamp())
                await self.report(node, server)

    async def report(
        self, node_id: str, server: OneServer, *, lost: bool = False, times: int = 1
    ) -> None:
        """Have an agent tell what is new; ``lost`` is the answer, or never to be sent."""
        facts = self.place.unheard(node_id)
        body = _body(facts)
        for _ in range(times):
            taken = await self._sent(node_id, server, body)
        if taken is None or lost or node_id not in self.place.heard:
            return
        journal = self.place.journals[node_id]
        if not taken:
            return
        self.place.heard[node_id] = min(taken, len(journal))
        self.acknowledged.setdefault(node_id, {}).update({fact.n: fact for fact in journal[:taken]})
        if taken >= len(journal) and journal and journal[-1].kind is Kind.ENDED:
            self.place.leave(node_id)

    def delay(self, node_id: str) -> None:
        """Have a report leave now, and arrive whenever."""
        self.late.append((node_id, _body(self.place.unheard(node_id))))

    async def deliver(self, server: OneServer) -> None:
        """Have the reports that are on their way arrive, newest first; nobody hears the answer."""
        late, self.late = self.late, []
        for node_id, body in reversed(late):
            await self._sent(node_id, server, body)

    async def _sent(self, node_id: str, server: OneServer, body: bytes) -> int | None:
        job_id, attempt, host = node_id.split(".")
        if not server.up:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await server.intake.take_facts(Node(job_id, int(attempt), host), body)
        except (Crashed, TimeoutError, StoreError, RequestRejected):
            return None

    async def jobs(self, arns: Iterable[str]) -> dict[str, TrainingJob]:
        """Return the jobs as they stand."""
        found = {arn: await self.records.get(arn) for arn in arns}
        return {arn: job for arn, job in found.items() if job is not None}


def _body(facts: Iterable[Fact]) -> bytes:
    return json.dumps({"facts": [fact.line() for fact in facts]}).encode()


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [] if error is None else [error]


def _is_crash(error: BaseException) -> bool:
    return isinstance(error, Crashed)
