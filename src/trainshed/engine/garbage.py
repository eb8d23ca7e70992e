"""Looks for what nobody needs any more, removes it, and looks again: so it proves that it is gone.

Each kind of thing has a finder where that kind lives: nodes and containers below drivers, files in
stores. They tell everything there is, and only then are the jobs asked for: a thing is made after
its job was written down, so what no job owns by then is nobody's, or was removed in between. So
what was found is looked for once more before it counts: a job is written down as cleaned only when
all that it had is gone.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final, Protocol

from trainshed.domain.errors import DriverError, StoreError
from trainshed.domain.garbage import Finding, Item, needed, owners
from trainshed.domain.names import hosts
from trainshed.domain.training import TrainingJob

log = logging.getLogger(__name__)

_JOBS: Final = 50
"""Jobs that are read before others have their turn."""


class Jobs(Protocol):
    """The slice of the record store that is asked."""

    async def open_jobs(self) -> Sequence[str]:
        """Return the ARNs of all jobs that are not over or not cleaned."""
        ...

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...


class Finder(Protocol):
    """Knows one kind of place where things may be left."""

    name: str
    """What is looked at, for people."""

    async def find(self) -> Sequence[Item]:
        """Return all there is, needed or not.

        Raises:
            DriverError, StoreError: the place can't be looked at.
        """
        ...

    async def remove(self, item: Item) -> None:
        """Remove what was found here; what is gone already is no error.

        Raises:
            DriverError, StoreError: it is still there.
        """
        ...


class Garbage:
    """Looks into all places."""

    def __init__(self, jobs: Jobs, finders: Sequence[Finder]) -> None:
        """Ask ``finders``, in this order: what is removed by one may take along what others see."""
        self._jobs = jobs
        self._finders = finders
        self._turn = asyncio.Lock()

    async def collect(self, remove: bool) -> list[Finding]:
        """Return what nobody needs; with ``remove``, what became of it.

        Never raises: what could not be looked at or removed is among the findings, with its
        trouble.
        """
        async with self._turn:
            found, troubles = await self._left()
            if not remove:
                return [*(_finding(item) for _, item in found), *troubles]
            for finder, item in found:
                if not item.lost:
                    await self._remove(finder, item, troubles)
            refused = {(each.kind, each.name): each for each in troubles}
            left = {(item.kind, item.name) for _, item in (await self._unneeded())[0]}
            told = [_told(item, left, refused) for _, item in found]
            of_items = {(each.kind, each.name) for each in told}
            rest = [each for each in troubles if (each.kind, each.name) not in of_items]
            return [*told, *rest]

    async def _left(self) -> tuple[list[tuple[Finder, Item]], list[Finding]]:
        """Return what is nobody's, and stays so: see the module's description."""
        found, troubles = await self._unneeded()
        if not found:
            return found, troubles
        seen = {(item.kind, item.name) for _, item in found}
        found, troubles = await self._unneeded()
        return [pair for pair in found if (pair[1].kind, pair[1].name) in seen], troubles

    async def _unneeded(self) -> tuple[list[tuple[Finder, Item]], list[Finding]]:
        there: list[tuple[Finder, Item]] = []
        troubles = []
        for finder in self._finders:
            try:
                there += [(finder, item) for item in await finder.find()]
            except (DriverError, StoreError, OSError) as error:
                trouble = f"it could not be looked at: {error}"
                troubles.append(Finding(kind="place", name=finder.name, trouble=trouble))
        known = await self._known()
        return [(finder, item) for finder, item in there if not needed(item, known)], troubles

    async def _known(self) -> frozenset[str]:
        found: set[str] = set()
        for number, arn in enumerate(await self._jobs.open_jobs()):
            job = await self._jobs.get(arn)
            if job is not None:
                found |= _owners(job)
            if number % _JOBS == 0:
                await asyncio.sleep(0)
        return frozenset(found)

    async def _remove(self, finder: Finder, item: Item, troubles: list[Finding]) -> None:
        try:
            await finder.remove(item)
        except (DriverError, StoreError, OSError) as error:
            troubles.append(Finding(kind=item.kind, name=item.name, trouble=str(error)))
        else:
            log.info("what nobody needs was removed: the %s %s", item.kind, item.name)


def _owners(job: TrainingJob) -> frozenset[str]:
    """Return by what names an open job owns things; of nodes that it took over, by theirs, too."""
    if job.attempt is None:
        return frozenset({job.id})
    taken_over = {PurePath(state).name for state in job.attempt.handles.values()}
    taken_over |= {job.attempt.pool_chain} - {""}
    return owners(job.id, job.attempt.number, hosts(job.instance_count)) | taken_over


def _finding(item: Item, *, removed: bool = False, trouble: str = "") -> Finding:
    return Finding(
        kind=item.kind,
        name=item.name,
        backend=item.backend,
        reason=item.reason,
        size=item.size,
        removed=removed,
        trouble=trouble,
    )


def _told(
    item: Item, left: set[tuple[str, str]], refused: dict[tuple[str, str], Finding]
) -> Finding:
    key = item.kind, item.name
    if item.lost:
        return _finding(item, trouble="what is missing can't be removed: see the reason")
    if key not in left and key not in refused:
        return _finding(item, removed=True)
    trouble = refused[key].trouble if key in refused else "it is still there after its removal"
    return _finding(item, removed=key not in left, trouble="" if key not in left else trouble)
