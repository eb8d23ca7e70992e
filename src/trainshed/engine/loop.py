"""The engine: looks at jobs that changed, decides, acts. One job in sequence, jobs in parallel.

    look   the job, its facts, and (when something hints at it) whether its nodes still live
    decide ``training.decide``, pure
    act    one compare-and-set write, then what the driver has to do

Stepped are the jobs that ``ownership`` says are this server's; jobs without an attempt are let in
by ``queue``. Nothing is remembered only here.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from trainshed.domain.errors import DriverError, StoreError
from trainshed.domain.subject import subject
from trainshed.domain.training import TrainingJob, WarmPoolStatus
from trainshed.drivers.base import Driver, Handle
from trainshed.engine.backends import Backends
from trainshed.engine.decision import Decision, Seen
from trainshed.engine.nodes import NEVER_LAUNCHED, Absent, Nodes, handles_of
from trainshed.engine.ownership import Ownership
from trainshed.engine.planning import Site, Unplannable, plan
from trainshed.engine.pulse import Pulse
from trainshed.engine.training import decide
from trainshed.stores.records.base import EVERYTHING, Changes, TrainingRecords

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often nodes are looked at although nothing told of a change: the safety net."""
_STEPS_PER_LOOK: Final = 200
"""How many jobs are stepped at each look though nothing is known to have happened to them: should a
change ever be missed, it is found in turn, and ten thousand jobs cost no more than a hundred."""
_STEPS_AT_ONCE: Final = 5
"""How many of them in one go: nothing is answered meanwhile."""
_DRILL: Final = "a drill that somebody asked for"


class Waiting(Protocol):
    """Who lets jobs in; see ``queue.Queue``."""

    def note(self, job: TrainingJob) -> None:
        """Keep the line as the job now is."""
        ...

    def forget(self, arn: str) -> None:
        """Let go of a job; the nodes that it held are free."""
        ...

    def no_capacity(self, backend: str, instance_type: str) -> None:
        """Note that a launch was refused: nobody is let in there for a while."""
        ...

    def lead(self, leads: bool) -> None:
        """Begin or cease to let jobs in."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...


class NotOurs(Exception):
    """Others may have this server's work by now."""


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
        ownership: Ownership,
        queue: Waiting,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """``site.capabilities`` has the backends' by their names."""
        self._records = records
        self._changes = changes
        self._backends = backends
        self._nodes = Nodes(backends.drivers)
        self._site = site
        self._clock = clock
        self._ownership = ownership
        self._queue = queue
        self._look_seconds = look_seconds
        self.pulse = Pulse(look_seconds)
        """Whether it goes round."""
        self._seen_of: dict[Handle, str] = {}
        """The ARN of each job's every node: what to look at."""
        self._handles: dict[str, tuple[Handle, ...]] = {}
        """The same by ARN."""
        self._looked = 0
        """How far the last look came in the jobs of this server."""
        self._failed: dict[str, None] = {}
        """Jobs whose last step failed: to be stepped again at the next look."""
        self._again: dict[str, bool] = {}
        """ARNs with a running step; True asks for one more."""
        self._observe: set[str] = set()
        """Those whose nodes the next step is to look at."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """When to look at jobs of which time alone may decide something."""

    async def run(self) -> None:
        """Work until cancelled."""
        self._ownership.on_lead = self._queue.lead
        await self._ownership.begin()
        try:
            await self._work()
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ownership.run())
            group.create_task(self._queue.run())
            group.create_task(self._take_over(group))
            for name, driver in self._backends.drivers.items():
                group.create_task(self._watch(name, driver, group))
                group.create_task(self._look_at_nodes(name, driver, group))
            loop = asyncio.get_running_loop()
            due = loop.time()
            while True:
                changed = await self._changes.next(max(0.0, due - loop.time()))
                await self._hear(group, changed)
                # Some jobs change every second; that must not hide another whose agent is gone.
                if loop.time() >= due:
                    self.pulse.beat(loop.time())
                    due = loop.time() + self._look_seconds
                    await self._look_round(group)

    async def _take_over(self, group: asyncio.TaskGroup) -> None:
        """Step what this server comes to own, its nodes looked at first."""
        while True:
            self._start(group, await self._ownership.next_claimed(), observe=True)

    async def _hear(self, group: asyncio.TaskGroup, changed: frozenset[str]) -> None:
        if EVERYTHING in changed:
            self._start(group, tuple(self._ownership.mine))
            if self._ownership.leads:
                self._queue.lead(True)  # to read the line anew
        for arn in sorted(changed - {EVERYTHING}):
            try:
                ours = await self._ownership.owns(arn)
                if not ours and self._ownership.leads:
                    await self._note(arn)
            except StoreError:
                log.exception("a change could not be looked at this time: %s", arn)
                self._failed[arn] = None
                continue
            if ours:
                self._start(group, [arn])

    async def _note(self, arn: str) -> None:
        """Have the queue know of a job that another server steps."""
        if (job := await self._records.get(arn)) is None or job.settled:
            self._queue.forget(arn)
        else:
            self._queue.note(job)

    async def _watch(self, name: str, driver: Driver, group: asyncio.TaskGroup) -> None:
        """Look at the nodes that a driver says may have changed."""
        while True:
            hints = await driver.changed()
            self._look_closer(group, (Handle(name, hint.state) for hint in hints))

    async def _look_at_nodes(self, name: str, driver: Driver, group: asyncio.TaskGroup) -> None:
        """Look at all nodes of a backend at once, now and then, however long that takes there."""
        while True:
            await asyncio.sleep(self._look_seconds)
            handles = [handle for handle in self._seen_of if handle.driver == name]
            try:
                sights = await driver.observe(handles) if handles else {}
            except DriverError as error:
                log.warning("the nodes of the backend '%s' cannot be seen: %s", name, error)
                continue
            self._look_closer(group, self._nodes.sights.news(sights))

    def _look_closer(self, group: asyncio.TaskGroup, handles: Iterable[Handle]) -> None:
        """Step the jobs of nodes of which there may be news, their nodes looked at first."""
        arns = {self._seen_of[each]: None for each in handles if each in self._seen_of}
        self._start(group, arns, observe=True)

    async def _look_round(self, group: asyncio.TaskGroup) -> None:
        """Step what failed, and the next few jobs whatever is known of them."""
        failed, self._failed = self._failed, {}
        self._start(group, failed, observe=True)
        mine = self._ownership.mine
        if self._looked >= len(mine):
            self._looked = 0
        few = list(islice(mine, self._looked, self._looked + _STEPS_PER_LOOK))
        self._looked += len(few)
        for first in range(0, len(few), _STEPS_AT_ONCE):
            self._start(group, few[first : first + _STEPS_AT_ONCE])
            await asyncio.sleep(0)  # what was asked meanwhile is answered in between

    def _start(
        self, group: asyncio.TaskGroup, arns: Iterable[str], *, observe: bool = False
    ) -> None:
        for arn in arns:
            if observe:
                self._observe.add(arn)
            if arn in self._again:
                self._again[arn] = True
            else:
                self._again[arn] = False
                group.create_task(self._step_until_quiet(group, arn))

    async def _step_until_quiet(self, group: asyncio.TaskGroup, arn: str) -> None:
        """Step a job until it has nothing more to do and nobody asked again meanwhile."""
        asked = True
        while asked:
            self._again[arn] = False
            observe = arn in self._observe
            self._observe.discard(arn)
            try:
                await self._step(group, arn, observe=observe)
            except NotOurs:
                log.info("a step is left to whoever has the job by now: %s", arn)
            except Exception:
                # The outermost loop of one job: a fault in its step must not stop the others.
                log.exception("a step failed; the job stands as it is until the next look: %s", arn)
                self._failed[arn] = None
            asked = self._again[arn]
        del self._again[arn]

    async def _step(self, group: asyncio.TaskGroup, arn: str, *, observe: bool) -> None:
        """Move one job as far as it goes."""
        refused: Seen | None = None
        if not await self._ownership.owns(arn):
            self._drop(arn)
            return
        while (job := await self._records.get(arn)) is not None and not job.settled:
            subject.set(job)
            self._keep(job)
            seen = await self._look(job, refused, observe=observe)
            decision = decide(job, seen)
            self._remind(group, arn, decision.look_at, seen.now)
            moved, refused = await self._act(job, decision)
            if not moved:
                return
            observe = False
        self._drop(arn)

    async def _look(self, job: TrainingJob, refused: Seen | None, *, observe: bool) -> Seen:
        """Return what is seen of a job, with what a launch has just been ``refused`` for."""
        attempt = job.attempt
        seen = refused or Seen(now=self._clock(), backend=job.backend or self._backends.default)
        if attempt is None:
            return seen
        # In this order: what an agent told before it left must be among the facts.
        # What nobody can see is in no hint: that it was taken is found at any look, or never.
        unseen = NEVER_LAUNCHED in attempt.handles.values()
        looks = (observe or unseen) and not job.over
        absent = await self._nodes.absent(job, attempt, seen.now) if looks else Absent()
        facts = await self._records.facts(job.id, attempt.number)
        hosts, sights = handles_of(attempt), self._nodes.sights
        return replace(
            seen,
            facts=facts,
            gone=absent.gone,
            taken=absent.taken,
            hopeless=sights.hopeless(hosts),
            waiting=sights.waiting(hosts),
        )

    async def _act(self, job: TrainingJob, decision: Decision) -> tuple[bool, Seen | None]:
        """Carry a decision out; return whether to look again, and what a launch was refused for."""
        if decision.retire is not None:
            self._be_sure()
            await self._nodes.remove(job, decision.retire)
            await self._nodes.release(decision.retire)
        moved = decision.job != job
        if not await self._write(job, decision.job):
            return True, None
        job = decision.job
        if decision.launch:
            return await self._launch(job)
        if decision.clean:
            self._be_sure()
            if job.attempt is not None:
                await self._nodes.remove(job, job.attempt)
                if job.warm_status is not WarmPoolStatus.AVAILABLE:
                    await self._nodes.release(job.attempt)
            await self._write(job, replace(job, cleaned=True))
            return True, None
        told = await self._tell(job, decision)
        moved = moved or told != job
        await self._write(job, told)
        return moved, None

    async def _write(self, old: TrainingJob, new: TrainingJob) -> bool:
        """Write a job if it changed; False if the row moved meanwhile, and nothing was written."""
        if new == old:
            return True
        owner = self._ownership.id
        if not await self._records.swap(old, new, owner=owner):
            if not await self._ownership.owns(old.arn):
                raise NotOurs
            return False
        self._keep(new)
        return True

    async def _launch(self, job: TrainingJob) -> tuple[bool, Seen | None]:
        attempt = job.attempt
        if attempt is None:
            return False, None
        seen = Seen(now=self._clock(), backend=attempt.backend)
        launch = plan(job, attempt, self._site)
        if isinstance(launch, Unplannable):
            return True, replace(seen, refusal=launch.reason)
        if attempt.relaunches:
            log.warning("%s: agents vanished, started over their journals", job.name)
        self._be_sure()
        launched = await self._nodes.launch(launch, attempt)
        if launched.refusal:
            return True, replace(seen, refusal=launched.refusal)
        if launched.no_room:
            log.warning("%s: not launched yet: %s", job.name, launched.no_room)
            asked = (job.request.get("ResourceConfig") or {}).get("InstanceType")
            self._queue.no_capacity(attempt.backend, attempt.instance_type or str(asked or ""))
            return True, replace(seen, no_room=launched.no_room)
        running = replace(job, attempt=replace(attempt, handles=launched.handles))
        await self._write(job, running)
        return True, None

    async def _tell(self, job: TrainingJob, decision: Decision) -> TrainingJob:
        """Tell nodes what they are to be told; return the job with that noted."""
        attempt = job.attempt
        if attempt is None or not (decision.stop or decision.interrupt):
            return job
        self._be_sure()
        if decision.stop:
            attempt = await self._nodes.stop(attempt, decision.stop)
        drill = job.drill
        for host, notice in decision.interrupt.items():
            drilled = drill is not None and not drill.told and drill.host == host
            why = _why_taken(job) if not drilled else _DRILL
            attempt = await self._nodes.interrupt(attempt, {host: notice}, why)
            if drill is not None and drilled:
                drill = replace(drill, told=True)
        return replace(job, attempt=attempt, drill=drill)

    def _be_sure(self) -> None:
        """Raise ``NotOurs`` when others may act for this server's jobs by now."""
        if not self._ownership.sure:
            raise NotOurs

    def _keep(self, job: TrainingJob) -> None:
        """Keep the copies as a job now is."""
        self._queue.note(job)
        handles = () if job.attempt is None or job.over else tuple(handles_of(job.attempt))
        if handles != self._handles.get(job.arn, ()):
            self._unsee(job.arn)
            self._seen_of |= dict.fromkeys(handles, job.arn)
            self._handles[job.arn] = handles

    def _drop(self, arn: str) -> None:
        """Forget a job of which nothing is left to be done."""
        self._queue.forget(arn)
        self._unsee(arn)
        self._ownership.mine.pop(arn, None)
        if (timer := self._timers.pop(arn, None)) is not None:
            timer.cancel()

    def _unsee(self, arn: str) -> None:
        handles = self._handles.pop(arn, ())
        self._nodes.sights.forget(handles)
        for handle in handles:
            self._seen_of.pop(handle, None)

    def _remind(
        self, group: asyncio.TaskGroup, arn: str, at: datetime | None, now: datetime
    ) -> None:
        """Have a job stepped again at a time; at none, if it is None."""
        if (timer := self._timers.pop(arn, None)) is not None:
            timer.cancel()
        if at is not None:
            seconds = max(0.0, (at - now).total_seconds())
            loop = asyncio.get_running_loop()
            self._timers[arn] = loop.call_later(seconds, self._start, group, [arn])


def _why_taken(job: TrainingJob) -> str:
    """Return for whom, or after whom, nodes of a job are given up."""
    if job.attempt is not None and job.attempt.preempted_for:
        name = job.attempt.preempted_for.rpartition("/")[2]
        return f"the nodes are given to the job {name}, which goes before this one"
    return "another node of the job is being taken away"
