"""Finders of files that crashes leave, and of logs whose job is not there any more."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from trainshed.domain.garbage import Item
from trainshed.domain.names import TRAINING_LOG_GROUP
from trainshed.domain.training import TrainingJob
from trainshed.engine.retention import log_streams
from trainshed.stores.logs.reading import StreamReader


class Jobs(Protocol):
    """The slice of the record store that is asked."""

    async def named(self, names: Iterable[str]) -> Sequence[TrainingJob]:
        """Return all jobs that are called so."""
        ...


class Logs(Protocol):
    """The slice of the log store that is looked at."""

    async def stream_names(self, group: str) -> Sequence[str] | None:
        """Return the names of a group's streams; None when there is no such group."""
        ...

    async def reader(self, group: str, stream: str) -> StreamReader | None:
        """Return a view of a stream as it stands; None when there is none."""
        ...

    async def delete_stream(self, group: str, stream: str) -> bool:
        """Delete a stream; return False when there is none."""
        ...


class LogLeftovers:
    """Streams that nodes wrote whose job was deleted."""

    name = "logs of training jobs"

    def __init__(self, logs: Logs, jobs: Jobs) -> None:
        """Compare ``logs`` with ``jobs``."""
        self._logs = logs
        self._jobs = jobs

    async def find(self) -> list[Item]:
        """Return those that no attempt of a job has written; see ``Finder``.

        A stream that a client made by itself in the group of training jobs is left alone.
        """
        names = await self._logs.stream_names(TRAINING_LOG_GROUP) or ()
        jobs = await self._jobs.named(name.partition("/")[0] for name in names)
        theirs = {stream for job in jobs for stream in log_streams(job)}
        found = []
        for name in names:
            if name in theirs:
                continue
            reader = await self._logs.reader(TRAINING_LOG_GROUP, name)
            if reader is not None and reader.copied:
                reason = "its training job was deleted"
                size = reader.size - reader.start
                found.append(Item(kind="log stream", name=name, reason=reason, size=size))
        return found

    async def remove(self, item: Item) -> None:
        """Delete a stream."""
        await self._logs.delete_stream(TRAINING_LOG_GROUP, item.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Files of one kind that a crash may leave."""

    folder: Path
    pattern: str
    """As ``Path.glob`` reads it."""
    kind: str
    reason: str
    age: timedelta = timedelta(hours=1)
    """How long nobody must have written them."""
    owned: bool = False
    """Whether their names are those of attempts or nodes."""


class FileLeftovers:
    """Files that are written under another name until they are whole, and those of attempts."""

    name = "unfinished files"

    def __init__(self, traces: Sequence[Trace], clock: Callable[[], datetime]) -> None:
        """Look for ``traces``."""
        self._traces = traces
        self._clock = clock

    async def find(self) -> list[Item]:
        """Return those that are old enough; see ``Finder``."""
        return await asyncio.to_thread(self._find)

    async def remove(self, item: Item) -> None:
        """Remove a file, or a folder with all that is in it."""
        await asyncio.to_thread(_remove, Path(item.name))

    def _find(self) -> list[Item]:
        found = []
        for trace in self._traces:
            before = (self._clock() - trace.age).timestamp()
            for path in sorted(trace.folder.glob(trace.pattern)):
                try:
                    about = path.lstat()
                except FileNotFoundError:  # it was finished just now
                    continue
                if about.st_mtime < before:
                    owner = path.name if trace.owned else ""
                    size = None if path.is_dir() else about.st_size
                    found.append(
                        Item(
                            kind=trace.kind,
                            name=str(path),
                            owner=owner,
                            reason=trace.reason,
                            size=size,
                        )
                    )
        return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
