"""AwaitTrainingJobs: which jobs have changed, told as soon as they do.

Whoever watches many jobs asks one question again and again, each time with the token of the answer
before. A token says up to which change all was told, so the server remembers nothing of those who
ask: any server answers, also the next one to be started.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import msgspec

from trainshed.api.operations import Table
from trainshed.api.sagemaker.paging import sealed, unsealed
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import status_of
from trainshed.stores.records.base import Changes
from trainshed.stores.records.feed import Change, State
from trainshed.wire.message import Call, Reply

LONGEST: Final = 20
"""Seconds to wait when the caller does not say: below what clients and proxies wait for."""
DEFAULT_PAGE: Final = 100
"""Jobs an answer."""
MOST_WAITING: Final = 256
"""Who may wait at once on one server; each holds a connection, and asks at each change."""
_BREATH: Final = 0.02
"""Seconds between two looks of one that waits: reports of nodes are heard as well, hundreds in a
second, and tell nothing here."""

_HELD: Final = msgspec.json.Decoder(tuple[str, str, int, int])


class Feed(Protocol):
    """Tells what has changed since."""

    async def state(self) -> State:
        """Return how far the numbers of changes go."""
        ...

    async def changes(
        self, region: str, *, after: int, until: int, gone_after: int, limit: int
    ) -> Sequence[Change]:
        """Return the last changes of a region's jobs, in order, each job once."""
        ...


class Watched(Protocol):
    """Where one can hear of changes."""

    def watch(self) -> Changes:
        """Return what hears every change from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a token holds: up to where its owner was told all."""

    records: str
    """Whose numbers these are."""
    region: str
    after: int
    """The change up to which all was told."""
    gone_after: int
    """When all jobs began to be told: those that were gone by then are not."""

    def token(self) -> str:
        """Return the token."""
        return sealed(json.dumps([self.records, self.region, self.after, self.gone_after]))

    @classmethod
    def of(cls, token: str) -> "Seen | None":
        """Return what a token holds; None for one that is damaged."""
        try:
            records, region, after, gone_after = _HELD.decode(unsealed(token) or b"")
        except msgspec.DecodeError:
            return None
        return cls(records=records, region=region, after=after, gone_after=gone_after)

    def goes_on(self, state: State, region: str) -> bool:
        """Tell whether what followed can be told from it, rather than all jobs anew."""
        known = max(self.after, self.gone_after)
        return (
            (self.records, self.region) == (state.id, region)
            and min(self.after, self.gone_after) >= 0
            and state.reaches(known)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One look at what has changed."""

    changes: Sequence[Change]
    seen: Seen
    """Once these are told."""
    started_over: bool
    more: bool

    def answer(self) -> dict[str, Any]:
        """Return what is told."""
        return {
            "Token": self.seen.token(),
            "TrainingJobSummaries": [_told(each) for each in self.changes],
            "StartedOver": self.started_over,
            "HasMore": self.more,
        }


class AwaitTraining:
    """Tells who waits what has changed."""

    def __init__(self, *, feed: Feed, changes: Watched, stopping: asyncio.Event) -> None:
        """Ask ``feed`` at each change that ``changes`` hears.

        Once ``stopping`` is set, nobody waits any longer.
        """
        self._feed = feed
        self._changes = changes
        self._stopping = stopping
        self._waiting = 0

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("trainshed", "AwaitTrainingJobs"): self.await_training_jobs}

    async def await_training_jobs(self, call: Call) -> dict[str, Any] | Reply:
        """Return what has changed since the call's token; wait for it where nothing has.

        Raises:
            RequestRejected: too many wait, or the server stops.
        """
        heard = self._changes.watch()  # before the look, so that nothing falls between the two
        found = await self._look(call, Seen.of(call.params.get("Token") or ""))
        seconds = call.params.get("WaitSeconds", LONGEST)
        if found.changes or found.started_over or not seconds:
            return found.answer()
        with self._place():
            deadline = asyncio.get_running_loop().time() + seconds
            while not found.changes and await self._woken(call, heard, deadline):
                found = await self._look(call, found.seen)
                if not found.changes:
                    await asyncio.sleep(_BREATH)
        # A server that stops lets no connection be kept for a further request.
        headers = {"connection": "close"} if self._stopping.is_set() else {}
        return Reply(result=found.answer(), headers=headers)

    async def _look(self, call: Call, seen: Seen | None) -> Found:
        """Return what has changed since; all jobs where that can't be told."""
        state = await self._feed.state()
        started_over = seen is None or not seen.goes_on(state, call.region)
        if seen is None or started_over:
            seen = Seen(records=state.id, region=call.region, after=0, gone_after=state.newest)
        limit = int(call.params.get("MaxResults") or DEFAULT_PAGE)
        changes: Sequence[Change] = ()
        if seen.after < state.newest:
            changes = await self._feed.changes(
                call.region,
                after=seen.after,
                until=state.newest,
                gone_after=seen.gone_after,
                limit=limit + 1,
            )
        page, more = changes[:limit], len(changes) > limit
        after = page[-1].n if more else state.newest
        return Found(
            changes=page, seen=replace(seen, after=after), started_over=started_over, more=more
        )

    async def _woken(self, call: Call, heard: Changes, deadline: float) -> bool:
        """Wait for a change of any job; False when there is nothing left to wait for."""
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        async with asyncio.TaskGroup() as group:
            ends = {group.create_task(call.gone()), group.create_task(self._stopping.wait())}
            hears = group.create_task(heard.next(left))
            await asyncio.wait({hears, *ends}, return_when=asyncio.FIRST_COMPLETED)
            over = any(each.done() for each in ends)
            for each in (hears, *ends):
                each.cancel()
        return not over and bool(hears.result())

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Be one of those who wait.

        Raises:
            RequestRejected: there is no place.
        """
        if self._stopping.is_set():
            raise RequestRejected(
                "ServiceUnavailable", "This server stops; ask again in a moment.", 503
            )
        if self._waiting >= MOST_WAITING:
            raise RequestRejected(
                "ThrottlingException",
                f"Rate exceeded: {MOST_WAITING} wait on this server already; ask again in a "
                "moment, or with a WaitSeconds of 0.",
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


def _told(change: Change) -> dict[str, Any]:
    told = {
        "TrainingJobName": change.name,
        "TrainingJobArn": change.arn,
        "Deleted": change.standing is None,
    }
    if change.standing is not None:
        told |= {
            "CreationTime": change.standing.created,
            "LastModifiedTime": change.standing.modified,
            "TrainingJobStatus": status_of(change.standing.secondary).value,
            "SecondaryStatus": change.standing.secondary.value,
        }
    return told
