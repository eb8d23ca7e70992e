"""Forgets what nobody needs any more: jobs that ended, old logs, unsent results, as settings say.

Only one of several servers does it, and in small steps: others have their turn between any two.
Everything may be killed at any line, and the next look goes on.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from trainshed.domain.errors import StoreError
from trainshed.domain.names import TRAINING_LOG_GROUP, hosts, log_stream, split_arn
from trainshed.domain.training import TrainingJob
from trainshed.stores.logs.segments import Group, Stream

log = logging.getLogger(__name__)

_LEAD_SECONDS: Final = 1.0
"""How often to look whether this server is to do it by now."""
_LOOK_SECONDS: Final = 3600.0
"""How often to look; a day more or less matters to nobody."""
_STREAMS: Final = 100
"""Streams that are looked at in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long things are kept; zero for ever."""

    jobs: timedelta = timedelta()
    """After their end; their logs go with them."""
    logs: timedelta = timedelta()
    """After a stream's last line."""
    unsent: timedelta = timedelta()
    """After results found no store."""


class Jobs(Protocol):
    """The slice of the record store that is forgotten."""

    async def open_jobs(self) -> Sequence[str]:
        """Return the ARNs of all jobs that are not over or not cleaned."""
        ...

    async def remove(self, job: TrainingJob) -> bool:
        """Forget the job and all that is known of it, if the row still equals ``job``."""
        ...


class Aged(Protocol):
    """Finds jobs by when they ended."""

    def ended_before(self, moment: datetime) -> AsyncIterator[TrainingJob]:
        """Yield the jobs that were over before then and of which nothing is left to be done."""
        ...


class Logs(Protocol):
    """The slice of the log store that is pruned."""

    async def groups(self) -> Sequence[Group]:
        """Return all groups."""
        ...

    async def stream_names(self, group: str) -> Sequence[str] | None:
        """Return the names of a group's streams; None when there is no such group."""
        ...

    async def streams(self, group: str, names: Sequence[str]) -> Sequence[Stream]:
        """Return what is known of the streams of these names; missing ones are left out."""
        ...

    async def delete_stream(self, group: str, stream: str) -> bool:
        """Delete a stream; return False when there is none."""
        ...


class Retention:
    """Looks now and then."""

    def __init__(
        self,
        keep: Keep,
        *,
        jobs: Jobs,
        aged: Aged,
        logs: Logs,
        unsent: Path,
        clock: Callable[[], datetime],
        leads: Callable[[], bool],
    ) -> None:
        """Forget what is older than ``keep``, while ``leads`` says that this is ours to do.

        ``unsent`` is the folder of results that no store took: a folder per job, in it one per
        node.
        """
        self._keep = keep
        self._jobs = jobs
        self._aged = aged
        self._logs = logs
        self._unsent = unsent
        self._clock = clock
        self._leads = leads

    async def run(self) -> None:
        """Work until cancelled."""
        while self._keep != Keep():
            led = self._leads()
            if led:
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS if led else _LEAD_SECONDS)

    async def look(self) -> None:
        """Forget, once, what is due. What can't be forgotten now is logged, and left."""
        now = self._clock()
        works = (
            ("jobs", self._keep.jobs, self._forget_jobs),
            ("logs", self._keep.logs, self._prune_logs),
            ("unsent results", self._keep.unsent, self._drop_unsent),
        )
        for what, age, work in works:
            if not age:
                continue
            try:
                count = await work(now - age)
            except (StoreError, OSError):  # a full disk, mostly
                log.exception("old %s could not be forgotten this time", what)
            else:
                if count:
                    log.info("%d %s of more than %d days were forgotten", count, what, age.days)

    async def _forget_jobs(self, moment: datetime) -> int:
        count = 0
        async for job in self._aged.ended_before(moment):
            if not self._leads():
                break
            # The record last: whoever is killed before it finds the job again.
            for stream in log_streams(job):
                await self._logs.delete_stream(TRAINING_LOG_GROUP, stream)
            count += await self._jobs.remove(job)
        return count

    async def _prune_logs(self, moment: datetime) -> int:
        split = [split_arn(arn) for arn in await self._jobs.open_jobs()]
        still_open = {found[1] for found in split if found is not None}
        count = 0
        for group in await self._logs.groups():
            names = await self._logs.stream_names(group.name) or ()
            if group.name == TRAINING_LOG_GROUP:
                names = [name for name in names if name.partition("/")[0] not in still_open]
            for first in range(0, len(names), _STREAMS):
                if not self._leads():
                    return count
                some = names[first : first + _STREAMS]
                for stream in await self._logs.streams(group.name, some):
                    last = stream.created if stream.last is None else stream.last
                    if datetime.fromtimestamp(last / 1000, UTC) < moment:
                        count += await self._logs.delete_stream(group.name, stream.name)
        return count

    async def _drop_unsent(self, moment: datetime) -> int:
        return await asyncio.to_thread(_drop_older, self._unsent, moment.timestamp())


def log_streams(job: TrainingJob) -> list[str]:
    """Return the names of all streams that a job's nodes may have written, over its attempts."""
    attempts = [each.started for each in job.past]
    if job.attempt is not None:
        attempts.append(job.attempt.started)
    nodes = hosts(job.instance_count)
    return [log_stream(job.name, host, started) for started in attempts for host in nodes]


def _drop_older(unsent: Path, moment: float) -> int:
    count = 0
    for folder in unsent.glob("*/*"):
        if folder.stat().st_mtime < moment:
            log.warning("the results in %s, which no store has taken, are given up", folder)
            shutil.rmtree(folder)
            count += 1
            with contextlib.suppress(OSError):  # another node's are there still
                folder.parent.rmdir()
    return count
