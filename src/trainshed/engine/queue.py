"""Lets jobs in: reads the line of those that wait, has ``scheduling`` decide, writes the answers.

Works only while this server leads. Nothing is remembered only here: the line is a copy of what the
records say, and is read again when this server begins to lead.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from trainshed.domain.errors import StoreError
from trainshed.domain.training import TrainingJob
from trainshed.drivers.base import Capabilities
from trainshed.engine.decision import Seen
from trainshed.engine.line import Line
from trainshed.engine.scheduling import Admission
from trainshed.engine.training import decide
from trainshed.stores.records.base import TrainingRecords

log = logging.getLogger(__name__)

_TELL_SECONDS: Final = 0.1
"""How long a job may stand in line before it is told what it waits for."""
_AGAIN_SECONDS: Final = 1.0
"""How long to wait before the records, which could not be read, are asked again."""


class Queue:
    """The line of all backends."""

    def __init__(
        self,
        *,
        records: TrainingRecords,
        capabilities: Mapping[str, Capabilities],
        default: str,
        clock: Callable[[], datetime],
    ) -> None:
        """``capabilities`` by backend name; jobs that name no backend go to ``default``."""
        self._records = records
        self._clock = clock
        self._line = Line(capabilities, default)
        self._leads = asyncio.Event()
        self._waits = asyncio.Event()
        """Set when somebody in line has not been told."""

    def note(self, job: TrainingJob) -> None:
        """Keep the line as the job now is."""
        if self._leads.is_set():
            self._line.note(job)

    def forget(self, arn: str) -> None:
        """Let go of a job; the nodes that it held are free."""
        self._line.forget(arn)

    def no_capacity(self, backend: str, instance_type: str) -> None:
        """Note that a launch was refused: nobody is let in there for a while."""

    def lead(self, leads: bool) -> None:
        """Begin or cease to let jobs in."""
        if leads:
            self._leads.set()
        else:
            self._leads.clear()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            while True:
                await self._leads.wait()
                try:
                    await self._read_all()
                except StoreError:
                    log.exception("the line could not be read this time")
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
                await self._let_in()

    async def _read_all(self) -> None:
        for arn in await self._records.open_jobs():
            # Every node in use must be known before one more is given away.
            if (job := await self._records.get(arn)) is not None:
                self._line.note(job)
        self._line.turn.set()

    async def _let_in(self) -> None:
        """Answer the heads of the lines, each time a job joined one or nodes became free."""
        while self._leads.is_set():
            await self._line.turn.wait()
            self._line.turn.clear()
            await self._answer_all(self._line.answers())
            if self._line.untold:
                self._waits.set()

    async def _tell(self) -> None:
        """Tell those who must wait what for; together, a moment later, for one flush to disk."""
        while True:
            await self._waits.wait()
            await asyncio.sleep(_TELL_SECONDS)
            self._waits.clear()
            if self._leads.is_set():
                await self._answer_all(self._line.reasons())

    async def _answer_all(self, answers: Mapping[str, Admission]) -> None:
        async with asyncio.TaskGroup() as answering:
            for arn, answer in answers.items():
                answering.create_task(self._answer(self._line.waiting[arn], answer))

    async def _answer(self, job: TrainingJob, admission: Admission) -> None:
        """Write what became of a job in line; if its row moved meanwhile, its change is heard."""
        backend = self._line.backend_of(job)
        seen = Seen(now=self._clock(), backend=backend, admission=admission)
        decided = decide(job, seen).job
        try:
            if decided != job and not await self._records.swap(job, decided):
                return
        except StoreError:
            log.exception("a job in line could not be answered: %s", job.arn)
        else:
            self._line.note(decided)
            self._line.untold.discard(job.arn)
