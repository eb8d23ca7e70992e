"""Which of several operators works: the one whose name stands in a Lease.

Who leads writes into the Lease again and again. Who does not takes it over once nothing was written
for its whole duration, by its own clock: so clocks need not agree. Who could not write for a while
ends, before anybody else may begin.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from trainshed.domain.errors import TrainshedError
from trainshed.operator.cluster import Cluster, ClusterError, Exists, Missing, Outdated

DURATION: Final = 15.0
"""Seconds after which a Lease that nobody has renewed is anybody's."""
_RENEW: Final = 1 / 7
"""Of the duration: how often to write."""
_GIVE_UP: Final = 2 / 3
"""Of the duration: without a write for so long, one does not lead any more."""

log = logging.getLogger(__name__)


class LostLead(TrainshedError):
    """Another operator may be about to work: this one has to end."""


class Lead:
    """One candidate for one Lease."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        me: str,
        *,
        clock: Callable[[], datetime],
        duration: float = DURATION,
    ) -> None:
        """Hold nothing yet.

        Args:
            cluster: where the Lease is.
            namespace: the Lease's.
            name: the Lease's.
            me: no other candidate's name.
            clock: returns the time, for people who read the Lease.
            duration: seconds; the same for all candidates.
        """
        self._cluster, self._me, self._clock, self._duration = cluster, me, clock, duration
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._lease: dict[str, Any] = {}
        self._said: tuple[Any, Any] = (None, None)
        """Who wrote last what was seen, and what time it wrote."""
        self._heard = 0.0
        """When that was first seen, by the event loop's clock."""

    async def gain(self) -> None:
        """Return once this one leads."""
        loop, pause = asyncio.get_running_loop(), self._duration * _RENEW
        while True:
            try:
                if await self._try(loop.time()):
                    log.info("this operator leads", extra={"lease": self._name})
                    return
            except (Exists, Outdated):
                pass  # another one was quicker
            except ClusterError as error:
                log.warning("the lease cannot be read or written: %s", error)
            await asyncio.sleep(pause)

    async def keep(self) -> None:
        """Write into the Lease for ever.

        Raises:
            LostLead: it could not be for too long, or another one's name stands there.
        """
        loop = asyncio.get_running_loop()
        written = loop.time()
        while True:
            await asyncio.sleep(self._duration * _RENEW)
            try:
                self._lease = await self._put(self._spec(self._lease["spec"]))
                written = loop.time()
            except Outdated as error:
                raise LostLead(f"another operator took the lease {self._name}") from error
            except ClusterError as error:
                log.warning("the lease cannot be renewed: %s", error)
                if loop.time() - written > self._duration * _GIVE_UP:
                    raise LostLead(f"the lease {self._name} could not be renewed") from error

    async def give_up(self) -> None:
        """Let another one lead at once, if this one does."""
        if self._lease:
            try:
                await self._put({**self._lease["spec"], "holderIdentity": ""})
            except ClusterError as error:
                log.info("the lease is left to run out: %s", error)

    async def _try(self, now: float) -> bool:
        try:
            lease = await self._cluster.request("GET", f"{self._folder}/{self._name}")
        except Missing:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name},
                "spec": self._spec({}),
            }
            self._lease = await self._cluster.request("POST", self._folder, body)
            return True
        spec = lease.get("spec") or {}
        said = (spec.get("holderIdentity"), spec.get("renewTime"))
        if said != self._said:
            self._said, self._heard = said, now
        lasts = float(spec.get("leaseDurationSeconds") or self._duration)
        if said[0] not in {None, "", self._me} and now - self._heard < lasts:
            return False
        self._lease = lease
        self._lease = await self._put(self._spec(spec))
        return True

    async def _put(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = {**self._lease, "spec": spec}  # with the version that was read
        return await self._cluster.request("PUT", f"{self._folder}/{self._name}", body)

    def _spec(self, old: Mapping[str, Any]) -> dict[str, Any]:
        stamp = self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        new = old.get("holderIdentity") != self._me
        return {
            "holderIdentity": self._me,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "acquireTime": stamp if new else old.get("acquireTime", stamp),
            "renewTime": stamp,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (1 if old and new else 0),
        }
