"""The nodes of an attempt, as the engine has drivers launch, look at, stop and remove them.

Every act may be repeated after a crash at any line: drivers promise that, see ``drivers.base``.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from trainshed.domain import names
from trainshed.domain.errors import DriverError, NoCapacity, NodeTaken
from trainshed.domain.plan import LaunchPlan
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.drivers.base import Driver, Handle, NodeState
from trainshed.engine.sights import Sights

log = logging.getLogger(__name__)

_AT_ONCE: Final = 16
"""How many nodes of an attempt are removed side by side."""
NEVER_LAUNCHED = ""
"""Stands for the handle of a node that was taken away before anybody knew its handle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What became of a launch."""

    handles: Mapping[str, str] = field(default_factory=dict)
    """By host; empty when nothing runs."""
    refusal: str = ""
    """Why it is hopeless, as a FailureReason."""
    no_room: str = ""
    """Why it is not, but nothing was started: the place has no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Whose agents do not live; see ``Seen``."""

    gone: frozenset[str] = frozenset()
    taken: Mapping[str, str] = field(default_factory=dict)


class Nodes:
    """All that the engine does to nodes."""

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        """``drivers`` by backend name."""
        self._drivers = drivers
        self.sights = Sights()
        """What they last said."""

    async def absent(self, job: TrainingJob, attempt: Attempt, now: datetime) -> Absent:
        """Look at an attempt's nodes; return who is absent: nobody, when they can't be seen.

        What drivers say of the others is in ``sights`` then.
        """
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            # Planning says why they can't be had back.
            return Absent(gone=frozenset(attempt.handles))
        hosts = handles_of(attempt)
        never = {host: "" for host, state in attempt.handles.items() if state == NEVER_LAUNCHED}
        try:
            sights = await driver.observe(list(hosts))
        except DriverError as error:
            # Knowing nothing changes nothing: the next look looks again.
            log.warning("%s: its nodes cannot be seen: %s", job.name, error)
            return Absent(taken=never)
        self.sights.note(sights, now)
        found = [(hosts[handle], sight) for handle, sight in sights.items()]
        taken = {host: sight.says for host, sight in found if sight.state is NodeState.TAKEN}
        return Absent(
            gone=frozenset(host for host, sight in found if sight.state is NodeState.VANISHED),
            taken=taken | never,
        )

    async def launch(self, plan: LaunchPlan, attempt: Attempt) -> Launched:
        """Launch all nodes of a plan, or again those that vanished; all of them or none."""
        driver = self._drivers[attempt.backend]
        handles: dict[str, str] = {}
        try:
            for node in plan.nodes:
                try:
                    handles[node.host] = (await driver.launch(node)).state
                except NodeTaken as error:
                    log.warning("%s: %s", plan.backend, error)
                    handles[node.host] = attempt.handles.get(node.host, NEVER_LAUNCHED)
        except NoCapacity as error:
            if attempt.handles:  # it ran before: what is left of it waits with it
                log.warning("a node that vanished can't be had back yet: %s", error)
                return Launched(handles=attempt.handles)
            return Launched(no_room=str(error))
        except DriverError as error:
            return Launched(refusal=f"InternalServerError: the nodes could not be started: {error}")
        return Launched(handles=handles)

    async def stop(self, attempt: Attempt, wanted: Mapping[str, int]) -> Attempt:
        """Tell nodes to stop, each not less urgently than before; return who has been told."""
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            return attempt
        stops = dict(attempt.stops)
        for host, times in wanted.items():
            if stops.get(host, 0) < times and attempt.handles[host] != NEVER_LAUNCHED:
                await driver.stop(_handle(attempt, host), at_once=times > 1)
                stops[host] = times
        return replace(attempt, stops=stops)

    async def interrupt(
        self, attempt: Attempt, wanted: Mapping[str, float | None], reason: str
    ) -> Attempt:
        """Have nodes taken away; return who has been told."""
        driver = self._drivers.get(attempt.backend)
        if driver is None:
            return attempt
        for host, notice in wanted.items():
            if attempt.handles[host] != NEVER_LAUNCHED:
                await driver.interrupt(_handle(attempt, host), notice=notice, reason=reason)
        told = {*attempt.interrupted, *wanted}
        return replace(attempt, interrupted=tuple(sorted(told)))

    async def remove(self, job: TrainingJob, attempt: Attempt) -> None:
        """Remove what there may be of an attempt's nodes, also of those that nobody told of.

        Only once the attempt, or the job, is written down as over: a server that was paused then
        removes nothing that another still wants.

        Raises:
            DriverError: something is still there.
        """
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
        turns = asyncio.Semaphore(_AT_ONCE)

        async def end(host: str) -> None:
            state = attempt.handles.get(host, NEVER_LAUNCHED)
            async with turns:
                if state != NEVER_LAUNCHED:
                    handle = Handle(attempt.backend, state)
                else:
                    handle = await driver.find(names.node_id(job.id, attempt.number, host))
                await driver.remove(handle)

        # One that can't be removed now keeps no other: they would all be paid for.
        hosts = names.hosts(job.instance_count)
        for error in await asyncio.gather(*map(end, hosts), return_exceptions=True):
            if error is not None:
                raise error

    async def release(self, attempt: Attempt) -> None:
        """Delete what an attempt's nodes, which are removed, kept for a next job.

        Only once it is written down that there is none.

        Raises:
            DriverError: something is still there.
        """
        driver = self._drivers.get(attempt.backend)
        if driver is not None and attempt.pool_chain:
            await driver.release_pool(attempt.pool_chain)


def handles_of(attempt: Attempt) -> dict[Handle, str]:
    """Return the hosts of an attempt's nodes by their handles."""
    return {
        Handle(attempt.backend, state): host
        for host, state in attempt.handles.items()
        if state != NEVER_LAUNCHED
    }


def _handle(attempt: Attempt, host: str) -> Handle:
    return Handle(attempt.backend, attempt.handles[host])
