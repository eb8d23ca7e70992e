"""The engine: looks at jobs that changed, decides, acts. One job in sequence, jobs in parallel.

    look   the job, its facts, and (now and then) whether its nodes still live
    decide ``training.decide``, pure
    act    one compare-and-set write, then what the driver has to do

Jobs without an attempt stand in line; one task lets them in, so that no node is given away twice.
Nothing is remembered only here: the line and the nodes in use are copies, read from the store at
start.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from trainshed.domain.errors import DriverError, NoCapacity, StoreError
from trainshed.domain.subject import subject
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.drivers.base import Handle, NodeState
from trainshed.engine.backends import Backends
from trainshed.engine.line import Line
from trainshed.engine.planning import Site, Unplannable, plan
from trainshed.engine.pulse import Pulse
from trainshed.engine.scheduling import Admission
from trainshed.engine.training import Decision, Seen, decide
from trainshed.stores.records.base import Changes, TrainingRecords

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often open jobs are looked at although nothing told of a change: the safety net."""
_LINE_AT_ONCE: Final = 200
"""How many that only stand in line are looked at each time: a long line must not hold others up."""
_TELL_SECONDS: Final = 0.1
"""How long a job may stand in line before it is told what it waits for."""


class Engine:
    """Makes true what the records wish for."""

    def __init__(
        self,
        *,
        records: TrainingRecords,
        changes: Changes,
        backends: Backends,
        site: Site,
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """``site.capabilities`` has the backends' by their names."""
        self._records = records
        self._changes = changes
        self._drivers = backends.drivers
        self._site = site
        self._clock = clock
        self._look_seconds = look_seconds
        self.pulse = Pulse(look_seconds)
        """Whether it goes round."""
        self._line = Line(site.capabilities, backends.default)
        self._line_seen = 0
        """How far down the line the last look came."""
        self._waits = asyncio.Event()
        """Set when somebody in line has not been told."""
        self._again: dict[str, bool] = {}
        """ARNs with a running step; True asks for one more."""
        self._due: set[str] = set()
        """ARNs to look at because time alone may decide something."""
        self._rung = asyncio.Event()
        """Set when ``_due`` has one."""

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            await self._look_at_all(group)
            self.pulse.beat(asyncio.get_running_loop().time())
            group.create_task(self._let_in(group))
            group.create_task(self._tell())
            group.create_task(self._look_when_due(group))
            loop = asyncio.get_running_loop()
            due = loop.time() + self._look_seconds
            while True:
                changed = await self._changes.next(max(0.0, due - loop.time()))
                self._start(group, changed, observe=False)
                # Some jobs change every second; that must not hide another whose agent is gone.
                if loop.time() >= due:
                    due = loop.time() + self._look_seconds
                    try:
                        await self._look_at_all(group)
                    except StoreError:
                        log.exception("the open jobs could not be looked at this time")
                    self.pulse.beat(loop.time())

    async def _look_when_due(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            due, self._due = self._due, set()
            self._start(group, due, observe=False)

    def _ring(self, arn: str) -> None:
        self._due.add(arn)
        self._rung.set()

    async def _look_at_all(self, group: asyncio.TaskGroup) -> None:
        arns = await self._records.open_jobs()
        for arn in arns:
            # Every node in use must be known before one more is given away.
            if arn not in self._line:
                job = await self._records.get(arn)
                if job is not None:
                    self._line.note(job)
        self._line.turn.set()
        self._start(group, self._worth_a_look(arns), observe=True)

    def _worth_a_look(self, arns: list[str]) -> list[str]:
        """Return those that may have to move, and the next few of those that only wait."""
        moving: list[str] = []
        waiting: list[str] = []
        for arn in arns:
            standing = self._line.waiting.get(arn)
            (moving if standing is None or standing.stop_wish else waiting).append(arn)
        if self._line_seen >= len(waiting):
            self._line_seen = 0
        few = waiting[self._line_seen : self._line_seen + _LINE_AT_ONCE]
        self._line_seen += len(few)
        return moving + few

    def _start(self, group: asyncio.TaskGroup, arns: Iterable[str], *, observe: bool) -> None:
        for arn in arns:
            if arn in self._again:
                self._again[arn] = True
            else:
                self._again[arn] = False
                group.create_task(self._step_until_quiet(arn, observe=observe))

    async def _let_in(self, group: asyncio.TaskGroup) -> None:
        """Answer the heads of the lines, each time a job joined one or nodes became free."""
        while True:
            await self._line.turn.wait()
            self._line.turn.clear()
            answers = self._line.answers()
            await self._answer_all(answers)
            self._start(group, answers, observe=False)
            if self._line.untold:
                self._waits.set()

    async def _tell(self) -> None:
        """Tell those who must wait what for; together, a moment later, for one flush to disk."""
        while True:
            await self._waits.wait()
            await asyncio.sleep(_TELL_SECONDS)
            self._waits.clear()
            await self._answer_all(self._line.reasons())

    async def _answer_all(self, answers: Mapping[str, Admission]) -> None:
        async with asyncio.TaskGroup() as answering:
            for arn, answer in answers.items():
                answering.create_task(self._answer(self._line.waiting[arn], answer))

    async def _answer(self, job: TrainingJob, admission: Admission) -> None:
        """Write what became of a job in line; if its row moved meanwhile, its own step looks."""
        backend = self._line.backend_of(job)
        seen = Seen(now=self._clock(), backend=backend, admission=admission)
        try:
            await self._write(job, decide(job, seen).job)
        except StoreError:
            log.exception("a job in line could not be answered: %s", job.arn)
        else:
            self._line.untold.discard(job.arn)

    async def _step_until_quiet(self, arn: str, *, observe: bool) -> None:
        """Step a job until it has nothing more to do and nobody asked again meanwhile."""
        asked = True
        while asked:
            self._again[arn] = False
            try:
                await self._step(arn, observe=observe)
            except Exception:
                # The outermost loop of one job: a fault in its step must not stop the others.
                log.exception("a step failed; the job stands as it is until the next look: %s", arn)
            asked = self._again[arn]
        del self._again[arn]

    async def _step(self, arn: str, *, observe: bool) -> None:
        """Move one job as far as it goes."""
        refusal = ""
        while (job := await self._records.get(arn)) is not None and not job.cleaned:
            subject.set(job)
            self._line.note(job)
            if job.attempt is None and not job.over and job.stop_wish is None:
                return
            seen = await self._look(job, refusal, observe=observe)
            decision = decide(job, seen)
            if decision.look_at is not None:
                seconds = (decision.look_at - seen.now).total_seconds()
                asyncio.get_running_loop().call_later(seconds, self._ring, arn)
            moved, refusal = await self._act(job, decision)
            if not moved and not refusal:
                return
            observe = False
        self._line.forget(arn)

    async def _look(self, job: TrainingJob, refusal: str, *, observe: bool) -> Seen:
        attempt = job.attempt
        backend = self._line.backend_of(job)
        if attempt is None:
            return Seen(now=self._clock(), backend=backend, refusal=refusal)
        # In this order: what an agent told before it left must be among the facts.
        gone = await self._gone(job, attempt) if observe and not job.over else frozenset()
        facts = await self._records.facts(job.id, attempt.number)
        return Seen(now=self._clock(), backend=backend, facts=facts, gone=gone, refusal=refusal)

    async def _gone(self, job: TrainingJob, attempt: Attempt) -> frozenset[str]:
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            return frozenset(attempt.handles)  # and planning says why they can't be had back
        hosts = {Handle(attempt.backend, state): host for host, state in attempt.handles.items()}
        try:
            states = await driver.observe(list(hosts))
        except DriverError as error:
            # Knowing nothing changes nothing: the next look looks again.
            log.warning("%s: its nodes cannot be seen: %s", job.name, error)
            return frozenset()
        return frozenset(
            hosts[handle] for handle, state in states.items() if state is not NodeState.LIVES
        )

    async def _act(self, job: TrainingJob, decision: Decision) -> tuple[bool, str]:
        """Carry a decision out; return whether to look again, and why launching is hopeless."""
        if decision.retire is not None:
            await self._remove(decision.retire)
        moved = decision.job != job
        if not await self._write(job, decision.job):
            return True, ""
        job = decision.job
        if decision.launch and job.attempt is not None:
            if job.attempt.relaunches:
                log.warning("%s: agents vanished, started over their journals", job.name)
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
        self._line.note(new)
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
            log.warning("%s: not launched yet: %s", job.name, error)
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
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            return job
        stops = dict(attempt.stops)
        for host, times in wanted.items():
            if stops.get(host, 0) < times:
                handle = Handle(attempt.backend, attempt.handles[host])
                await driver.stop(handle, at_once=times > 1)
                stops[host] = times
        return replace(job, attempt=replace(attempt, stops=stops))

    async def _remove(self, attempt: Attempt) -> None:
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            if attempt.handles:
                log.error(
                    "the backend %r is not configured any more, so what it still has of these "
                    "nodes is left: %s",
                    attempt.backend,
                    ", ".join(attempt.handles.values()),
                )
            return
        for state in attempt.handles.values():
            await driver.remove(Handle(attempt.backend, state))
