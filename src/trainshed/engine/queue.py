"""Lets jobs in: keeps a small copy of who waits and who runs, has ``scheduling`` decide, writes it.

Works only while this server leads. Nothing is remembered only here: the copy is read anew from the
records when this server begins to lead. Every write says so, and is refused once another leads.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from trainshed.domain.errors import StoreError
from trainshed.domain.training import TrainingJob, WarmPoolStatus
from trainshed.drivers.base import Capabilities
from trainshed.engine import warm
from trainshed.engine.cooling import Cooling
from trainshed.engine.decision import Seen
from trainshed.engine.scheduling import Admission, Answer, Board, Group, Place, Policy, schedule
from trainshed.engine.scheduling.jobs import note, version
from trainshed.engine.training import decide
from trainshed.stores.records.base import TrainingRecords

log = logging.getLogger(__name__)

_ROUND_SECONDS: Final = 0.05
"""The least time between two rounds: what changes meanwhile is decided, and flushed, together."""
_SHARE_OF_TIME: Final = 0.2
"""How much of its time this server may spend on deciding: a long line must not hold requests up."""
_LOOK_SECONDS: Final = 60.0
"""How often those who wait are looked at though nothing changed: time alone raises priorities, but
frees nothing."""
_AUDIT_SECONDS: Final = 60.0
"""How often the copy is compared with the records: the safety net."""
_AGAIN_SECONDS: Final = 1.0
"""How long to wait before the records, which could not be read, are asked again."""
_AT_ONCE: Final = 200
"""How many rows are read or written side by side."""
_TOLD_A_ROUND: Final = 500
"""How many are told in one round what they wait for; the others are in the next ones."""
_SETTLED_SECONDS: Final = 10.0
"""For how long something else must be missing before rows are written anew for it."""

Answering = Callable[[TrainingJob], TrainingJob]


class Queue:
    """The line of all backends."""

    def __init__(
        self,
        *,
        records: TrainingRecords,
        capabilities: Mapping[str, Capabilities],
        default: str,
        clock: Callable[[], datetime],
        policy: Policy | None = None,
        leader: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Let nobody in yet.

        Args:
            records: where jobs are kept.
            capabilities: what each backend has, by name.
            default: the backend of jobs that name none.
            clock: tells the time.
            policy: the rules; by default all jobs are of one project, without quota.
            leader: returns what this server is called now; None where there is no other.
        """
        self._records = records
        self._places = {name: Place.of(name, each) for name, each in capabilities.items()}
        self._default = default
        self._clock = clock
        self._policy = policy or Policy()
        self._leader = leader
        self._board = Board(self._places, self._policy)
        self._versions: dict[str, tuple[int, int]] = {}
        self._untold: dict[str, str] = {}
        """Those in line who are to be told what they wait for, with what they were told last."""
        self._kinds: dict[Group, str] = {}
        """What those of each group were told, or are being told."""
        self._other: dict[Group, tuple[str, float]] = {}
        """What is missing by now instead, and since when."""
        self._cooling = Cooling()
        self._leads = asyncio.Event()
        self._changed = asyncio.Event()
        self._audited = 0.0
        self._patience = _LOOK_SECONDS
        """For how long nothing has to be decided unless something changes."""

    def note(self, job: TrainingJob) -> None:
        """Keep the line as the job now is; a row that is older than the last one is passed over."""
        if not self._leads.is_set():
            return
        seen = version(job)
        known = self._versions.get(job.arn, (0, 0))
        if seen < known:
            return
        if seen == known and job.stop_wish is None and job.arn in self._board.waiting:
            return  # nothing of what the scheduler knows of it can have changed
        if note(self._board, job, self._default):
            self._changed.set()
        if job.arn not in self._board:
            self._versions.pop(job.arn, None)
            self._untold.pop(job.arn, None)
            return
        if job.arn in self._board.waiting and self._versions.get(job.arn) != seen:
            self._untold[job.arn] = job.transitions[-1].message if job.transitions else ""
        self._versions[job.arn] = seen

    def forget(self, arn: str) -> None:
        """Let go of a job; the nodes that it held are free."""
        self._versions.pop(arn, None)
        self._untold.pop(arn, None)
        if self._board.forget(arn):
            self._changed.set()

    def no_capacity(self, backend: str, instance_type: str) -> None:
        """Note that a launch was refused: nobody is let in there for a while.

        ``instance_type``: "" for all of the backend.
        """
        self._cooling.refused(backend, instance_type, self._clock().timestamp())
        self._changed.set()

    def lead(self, leads: bool) -> None:
        """Begin or cease to let jobs in."""
        self._board = Board(self._places, self._policy)
        self._versions, self._untold, self._kinds, self._other = {}, {}, {}, {}
        if leads:
            self._leads.set()
        else:
            self._leads.clear()
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._leads.wait()
            try:
                await self._work()
            except StoreError:
                log.exception("the line could not be read or answered this time")
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _work(self) -> None:
        """Let jobs in for as long as this server leads."""
        # Every node in use must be known before one more is given away.
        board = self._board
        await self._read(await self._records.open_jobs())
        board.now = self._audited = self._clock().timestamp()
        board.recall()
        self._changed.set()
        while self._board is board and self._leads.is_set():
            await self._wait()
            if self._board is board:
                busy = await self._round()
                await asyncio.sleep(max(_ROUND_SECONDS, busy / _SHARE_OF_TIME))

    async def _wait(self) -> None:
        """Return when something changed, or time alone may decide something."""
        if not self._untold:
            try:
                async with asyncio.timeout(self._patience):
                    await self._changed.wait()
            except TimeoutError:
                pass
        self._changed.clear()

    async def _round(self) -> float:
        """Ask the scheduler, and write what it says; return for how many seconds it thought."""
        now = self._clock()
        seconds = now.timestamp()
        if seconds - self._audited >= _AUDIT_SECONDS:
            self._audited = seconds
            await self._audit()
        board = self._board
        board.now = seconds
        if not board.waiting and not board.handed:
            self._untold.clear()
            return 0.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        cooling = self._cooling.at(seconds)
        self._patience = min([until - seconds for until in cooling.values()] + [_LOOK_SECONDS])
        answer = schedule(board, seconds, cooling)
        busy = loop.time() - began
        await self._all(self._answer(arn, told) for arn, told in answer.admissions.items())
        await self._all(
            self._answer(arn, Admission(admitted=False, hopeless=why))
            for arn, why in answer.hopeless.items()
        )
        await self._all(
            self._write(arn, partial(_preempted, by=by)) for arn, by in answer.preemptions.items()
        )
        await self._all(
            self._write(arn, partial(_taken_over, by=by, now=now))
            for arn, by in list(board.taken_over())
        )
        await self._all(self._write(arn, partial(_released, now=now)) for arn in answer.releases)
        self._find_untold(answer, seconds)
        await self._tell(answer)
        return busy

    def _find_untold(self, answer: Answer, now: float) -> None:
        """Find those for whom something else is missing by now, and has been for a while."""
        kinds, other = {}, {}
        for group, reason in answer.reasons.items():
            told = kinds[group] = self._kinds.get(group, reason.kind)
            if told == reason.kind:
                continue
            kind, since = self._other.get(group, ("", now))
            other[group] = (reason.kind, since if kind == reason.kind else now)
            if now - other[group][1] >= _SETTLED_SECONDS:
                kinds[group] = other.pop(group)[0]
                line = self._board.lines.get(group.priority, {}).get(group.project, {}).get(group)
                if line is not None:
                    self._untold.update((arn, "") for _, arn, _ in line.entries)
        self._kinds, self._other = kinds, other

    async def _tell(self, answer: Answer) -> None:
        """Tell some of those who do not know yet what they wait for."""
        told: dict[str, Admission] = {}
        for arn, message in list(self._untold.items()):
            entry = self._board.waiting.get(arn)
            reason = None if entry is None else answer.reasons.get(entry[0])
            if reason is not None:
                # Whoever led before has told it most of them.
                if not message.endswith(reason.text):
                    told[arn] = Admission(admitted=False, reason=reason.text)
            elif entry is not None:
                continue  # it came after the scheduler had been asked
            del self._untold[arn]
            if len(told) >= _TOLD_A_ROUND:
                break
        await self._all(self._answer(arn, each) for arn, each in told.items())

    async def _answer(self, arn: str, admission: Admission) -> None:
        """Write what became of a job in line, if it still is there."""

        def answered(job: TrainingJob) -> TrainingJob:
            if job.over or job.attempt is not None or job.stop_wish is not None:
                return job
            backend = job.backend or self._default
            return decide(job, Seen(now=self._clock(), backend=backend, admission=admission)).job

        await self._write(arn, answered)

    async def _write(self, arn: str, change: Answering) -> None:
        """Change a row, and the copy with it; a row that moved meanwhile is looked at once more."""
        job = await self._records.get(arn)
        if job is None:
            self.forget(arn)
            return
        changed = change(job)
        if changed == job:
            self.note(job)
        elif await self._records.swap(job, changed, leader=self._leader()):
            self.note(changed)
        else:
            self._changed.set()
            if arn in self._board.waiting:
                self._untold[arn] = ""

    async def _all(self, answering: Iterable[Awaitable[None]]) -> None:
        """Do some of it at once, until all is done; rows that can't be written now wait."""
        works = list(answering)
        for first in range(0, len(works), _AT_ONCE):
            done = await asyncio.gather(*works[first : first + _AT_ONCE], return_exceptions=True)
            for trouble in filter(None, done):
                if not isinstance(trouble, StoreError):
                    raise trouble
                log.error("a job could not be answered this time: %s", trouble)
                self._changed.set()

    async def _read(self, arns: Iterable[str]) -> None:
        """Bring the copy up to date with rows."""

        async def read(arn: str) -> None:
            if (job := await self._records.get(arn)) is not None:
                self.note(job)

        wanted = list(arns)
        for first in range(0, len(wanted), _AT_ONCE):
            await asyncio.gather(*(read(arn) for arn in wanted[first : first + _AT_ONCE]))

    async def _audit(self) -> None:
        """Find what was missed: jobs that are not known here, and known ones that are not open."""
        there = set(await self._records.open_jobs())
        missing = [arn for arn in there if arn not in self._board]
        gone = [arn for arn in self._versions if arn not in there]
        for arn in gone:
            if (job := await self._records.get(arn)) is None or job.settled:
                self.forget(arn)
        await self._read(missing)


def _preempted(job: TrainingJob, by: str) -> TrainingJob:
    """Return a running job that is to make room for another."""
    attempt = job.attempt
    if attempt is None or attempt.over is not None or attempt.preempted_for or job.over:
        return job
    return replace(job, attempt=replace(attempt, preempted_for=by))


def _taken_over(job: TrainingJob, by: str, now: datetime) -> TrainingJob:
    """Return a job whose warm nodes another has taken over."""
    if job.pool is None or job.pool.status is not WarmPoolStatus.AVAILABLE:
        return job
    return warm.reused(job, by, now)


def _released(job: TrainingJob, now: datetime) -> TrainingJob:
    """Return a job whose warm nodes are not kept any longer."""
    if job.pool is None or job.pool.status is not WarmPoolStatus.AVAILABLE:
        return job
    return replace(job, pool=replace(job.pool, until=min(job.pool.until, now)))
