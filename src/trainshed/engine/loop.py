"""The engine: looks at jobs that changed, decides, acts. One job in sequence, jobs in parallel.

    look   the job, its facts, and (now and then) whether its nodes still live
    decide ``training.decide``, pure
    act    one compare-and-set write, then what the driver has to do

Nothing is remembered only here: the list of open jobs is a copy, read from the store at start.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from trainshed.domain.errors import DriverError, NoCapacity, NodeGone
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.drivers.base import Driver, Handle
from trainshed.engine.planning import Site, Unplannable, plan
from trainshed.engine.scheduling import Admission, Request, admit
from trainshed.engine.training import Decision, Seen, decide
from trainshed.stores.records.base import Changes, TrainingRecords

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often every open job is looked at although nothing told of a change: the safety net."""


class Engine:
    """Makes true what the records wish for."""

    def __init__(
        self,
        *,
        records: TrainingRecords,
        changes: Changes,
        drivers: Mapping[str, Driver],
        site: Site,
        clock: Callable[[], datetime],
        backend: str,
    ) -> None:
        """Drivers and ``site.capabilities`` are by backend name; jobs go to ``backend``."""
        self._records = records
        self._changes = changes
        self._drivers = drivers
        self._site = site
        self._clock = clock
        self._backend = backend
        self._open: dict[str, TrainingJob] = {}
        self._again: dict[str, bool] = {}
        """ARNs with a running step; True asks for one more."""
        self._admission = asyncio.Lock()

    async def run(self) -> None:
        """Work until cancelled. A bug in one step ends the engine loudly."""
        async with asyncio.TaskGroup() as group:
            await self._look_at_all(group)
            while True:
                changed = await self._changes.next(LOOK_SECONDS)
                if changed:
                    self._start(group, changed, observe=False)
                else:
                    await self._look_at_all(group)

    async def _look_at_all(self, group: asyncio.TaskGroup) -> None:
        arns = await self._records.open_jobs()
        for arn in arns:
            # Admission counts what is in use: every open job must be known before one may start.
            if arn not in self._open and (job := await self._records.get(arn)) is not None:
                self._open[arn] = job
        self._start(group, arns, observe=True)

    def _start(self, group: asyncio.TaskGroup, arns: Iterable[str], *, observe: bool) -> None:
        for arn in arns:
            if arn in self._again:
                self._again[arn] = True
            else:
                self._again[arn] = False
                group.create_task(self._step_until_quiet(arn, group, observe=observe))

    async def _step_until_quiet(self, arn: str, group: asyncio.TaskGroup, *, observe: bool) -> None:
        """Step a job until it has nothing more to do and nobody asked again meanwhile."""
        asked = True
        while asked:
            self._again[arn] = False
            try:
                freed = await self._step(arn, observe=observe)
            except Exception:
                log.exception("a step failed; the job stands as it is until the next look: %s", arn)
                freed = False
            if freed:
                self._start(group, self._waiting(), observe=False)
            asked = self._again[arn]
        del self._again[arn]

    async def _step(self, arn: str, *, observe: bool) -> bool:
        """Move one job as far as it goes; tell whether it is done with, its nodes free."""
        refusal = ""
        while (job := await self._records.get(arn)) is not None and not job.cleaned:
            self._open[arn] = job
            if job.attempt is None and not job.over:
                moved = await self._admit(job)
            else:
                seen = await self._look(job, refusal, observe=observe)
                moved, refusal = await self._act(job, decide(job, seen))
            if not moved and not refusal:
                return False
            observe = False
        self._open.pop(arn, None)
        return True

    async def _look(self, job: TrainingJob, refusal: str, *, observe: bool) -> Seen:
        attempt = job.attempt
        if attempt is None:
            return Seen(now=self._clock(), backend=self._backend, refusal=refusal)
        facts = await self._records.facts(job.id, attempt.number)
        gone = await self._gone(job, attempt) if observe and not job.over else frozenset()
        return Seen(
            now=self._clock(), backend=self._backend, facts=facts, gone=gone, refusal=refusal
        )

    async def _gone(self, job: TrainingJob, attempt: Attempt) -> frozenset[str]:
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            return frozenset()
        gone = set()
        for host, state in attempt.handles.items():
            try:
                await driver.observe(Handle(attempt.backend, state))
            except NodeGone as error:
                log.warning("node gone", extra={"job": job.name, "host": host, "why": str(error)})
                gone.add(host)
            except DriverError as error:
                # Knowing nothing changes nothing: the next look looks again.
                log.warning("cannot see node", extra={"job": job.name, "why": str(error)})
        return frozenset(gone)

    async def _admit(self, job: TrainingJob) -> bool:
        """Decide over a job that waits; one at a time, so that nodes are not given away twice."""
        async with self._admission:
            seen = Seen(now=self._clock(), backend=self._backend, admission=self._asked(job))
            decided = decide(job, seen).job
            await self._write(job, decided)
            return decided != job

    def _asked(self, job: TrainingJob) -> Admission | None:
        waiting = [
            Request(other.arn, self._backend, other.instance_count)
            for other in sorted(self._open.values(), key=lambda other: (other.created, other.arn))
            if other.attempt is None and not other.over and other.stop_wish is None
        ]
        in_use: dict[str, int] = {}
        for other in self._open.values():
            if other.attempt is not None and not other.cleaned:
                backend = other.attempt.backend
                in_use[backend] = in_use.get(backend, 0) + other.instance_count
        answers = admit(waiting, in_use, self._site.capabilities)
        return next((answer for answer in answers if answer.arn == job.arn), None)

    def _waiting(self) -> list[str]:
        return [arn for arn, job in self._open.items() if job.attempt is None]

    async def _act(self, job: TrainingJob, decision: Decision) -> tuple[bool, str]:
        """Carry a decision out; return whether to look again, and why launching is hopeless."""
        if decision.retire is not None:
            await self._remove(decision.retire)
        moved = decision.job != job
        if not await self._write(job, decision.job):
            return True, ""
        job = decision.job
        if decision.launch and job.attempt is not None:
            return await self._launch(job, job.attempt)
        if decision.clean:
            if job.attempt is not None:
                await self._remove(job.attempt)
            await self._write(job, replace(job, cleaned=True))
            return True, ""
        if decision.stop:
            stopped = await self._stop(job, decision.stop)
            moved = moved or stopped != job
            await self._write(job, stopped)
        return moved, ""

    async def _write(self, old: TrainingJob, new: TrainingJob) -> bool:
        """Write a job if it changed; False if the row moved meanwhile, and nothing was written."""
        if new != old and not await self._records.swap(old, new):
            return False
        self._open[new.arn] = new
        return True

    async def _launch(self, job: TrainingJob, attempt: Attempt) -> tuple[bool, str]:
        launch = plan(job, attempt, self._site)
        if isinstance(launch, Unplannable):
            return False, launch.reason
        driver = self._drivers[attempt.backend]
        handles: dict[str, str] = {}
        try:
            for node in launch.nodes:
                handles[node.host] = (await driver.launch(node)).state
        except NoCapacity as error:
            log.warning("no capacity", extra={"job": job.name, "why": str(error)})
            return False, ""
        except DriverError as error:
            await self._remove(replace(attempt, handles=handles))
            return False, f"InternalServerError: the nodes could not be started: {error}"
        launched = replace(job, attempt=replace(attempt, handles=handles))
        await self._write(job, launched)
        return True, ""

    async def _stop(self, job: TrainingJob, wanted: Mapping[str, int]) -> TrainingJob:
        attempt = job.attempt
        if attempt is None:
            return job
        driver = self._drivers[attempt.backend]
        stops = dict(attempt.stops)
        for host, times in wanted.items():
            while stops.get(host, 0) < times:
                await driver.stop(Handle(attempt.backend, attempt.handles[host]))
                stops[host] = stops.get(host, 0) + 1
        return replace(job, attempt=replace(attempt, stops=stops))

    async def _remove(self, attempt: Attempt) -> None:
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            return
        for state in attempt.handles.values():
            await driver.remove(Handle(attempt.backend, state))
