"""What happens at the service: which resources have changed, for all objects of a place at once.

Where the service tells of changes by itself (ours does), one request waits for them. Elsewhere the
jobs that were changed lately are listed every few seconds. Nothing is asked while nobody waits for
anything there; and no object is ever asked after by itself, but once it is known to have changed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from trainshed.operator.cache import Cache
from trainshed.operator.deciding.base import Answer, Refused, Told, Trouble
from trainshed.operator.metrics import Metrics
from trainshed.operator.objects import Key, Place

_WAIT: Final = timedelta(seconds=20)
_LOOK_AROUND: Final = 0.5
"""Seconds between looks whether something is awaited at a place that nobody follows yet."""
_LONGEST_PAUSE: Final = 30.0
"""Seconds between tries of a service that does not answer."""
_OVERLAP: Final = timedelta(seconds=15)
"""How far a listing reaches back before the last change that was seen: clocks differ, and what is
changed within one second may come to be listed in two."""
_PAGE: Final = 100
_SILENT: Final = frozenset(
    {"ServiceUnreachable", "NoCredentials", "CredentialsRefused", "Throttled"}
)
"""Troubles that do not tell what a service offers."""
_ASK_AGAIN: Final = 60
"""Listings after which a service is asked once more whether it tells of changes: it may have been
about to begin."""

log = logging.getLogger(__name__)


class Answering(Protocol):
    """Who asks services."""

    def address(self, place: Place) -> str:
        """Return where calls of a place go; "" for Amazon's."""
        ...

    async def call(
        self, place: Place, operation: str, params: Mapping[str, Any]
    ) -> Answer | Trouble:
        """Return what comes of a call of SageMaker's API."""
        ...

    async def wait(
        self, place: Place, operation: str, params: Mapping[str, Any], patience: timedelta
    ) -> Answer | Trouble:
        """Return what comes of a call of our own service that takes its time to answer."""
        ...


class Following:
    """Follows every place at which an object waits for something."""

    def __init__(
        self,
        services: Answering,
        cache: Cache,
        changed: Callable[[Key], None],
        *,
        clock: Callable[[], datetime],
        metrics: Metrics,
        poll: timedelta,
    ) -> None:
        """Follow nothing yet.

        Args:
            services: what to ask.
            cache: who waits for what.
            changed: told of objects whose resource has changed.
            clock: returns the time.
            metrics: what is counted.
            poll: how often to list where nothing better is offered.
        """
        self._services, self._cache, self._changed = services, cache, changed
        self._clock, self._metrics, self._poll = clock, metrics, poll
        self._followed: set[Place] = set()

    async def run(self) -> None:
        """Follow for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                for place in self._cache.places() - self._followed:
                    self._followed.add(place)
                    group.create_task(self._follow(place))
                await asyncio.sleep(_LOOK_AROUND)

    async def _follow(self, place: Place) -> None:
        """Follow one place until nobody waits for anything there."""
        follower = Follower(place, self._services, self._cache, self._changed)
        pause = 1.0
        try:
            while place in self._cache.places():
                how = follower.how
                with self._metrics.watches.labels(how).track_inprogress():
                    fine = await follower.look(self._clock(), _WAIT)
                pause = 1.0 if fine else min(pause * 2, _LONGEST_PAUSE)
                if not fine:
                    await asyncio.sleep(pause)
                elif follower.how == "listed":
                    await asyncio.sleep(self._poll.total_seconds())
        finally:
            self._followed.discard(place)


class Follower:
    """One place, and how far its changes were read."""

    def __init__(
        self, place: Place, services: Answering, cache: Cache, changed: Callable[[Key], None]
    ) -> None:
        """Ask nothing yet; ``changed`` is told of objects whose resource has changed."""
        self._place, self._services, self._cache = place, services, cache
        self._changed = changed
        self._token = ""
        self._told: set[str] | None = None
        """Names told since the service began to tell all; None while it does not."""
        self._since: datetime | None = None
        self._listed: dict[str, datetime] = {}
        """When those were changed that the last listing had."""
        self._lists = 0
        # Amazon's has no such operation.
        self._may_tell = bool(services.address(place))
        self.how = "unknown" if self._may_tell else "listed"

    async def look(self, now: datetime, patience: timedelta) -> bool:
        """Wait for changes, or list them; tell whether the service answered."""
        if self.how == "listed":
            self._lists += 1
            if self._may_tell and self._lists % _ASK_AGAIN == 0:
                self.how = "unknown"
            return await self._list(now)
        answer = await self._await(patience)
        match answer:
            case Told(result):
                self.how = "awaited"
                self._take(result)
                return True
            case Refused(reason, message) | Trouble(reason, message):
                log.info("changes are not told at %s: %s", self._place, message)
                self._token = ""
                # Whoever answers so is there, and has no such operation.
                if self.how == "unknown" and reason not in _SILENT:
                    self.how = "listed"
                return self.how == "listed"

    async def _await(self, patience: timedelta) -> Told | Refused | Trouble:
        # The first call answers at once, with all there is: whether it is offered is known then.
        seconds = 0 if self.how == "unknown" else int(patience.total_seconds())
        params: dict[str, Any] = {"WaitSeconds": seconds, "MaxResults": _PAGE}
        if self._token:
            params["Token"] = self._token
        return await self._services.wait(self._place, "AwaitTrainingJobs", params, patience)

    def _take(self, result: Mapping[str, Any]) -> None:
        if result["StartedOver"]:
            self._told = set()
        told = result["TrainingJobSummaries"]
        self._wake(told)
        if self._told is not None:
            self._told |= {each["TrainingJobName"] for each in told}
            if not result["HasMore"]:
                waiting = self._cache.awaiting(self._place)
                self._tell(waiting.keys() - self._told)
                self._told = None
        self._token = result["Token"]

    async def _list(self, now: datetime) -> bool:
        since = (self._since or now) - _OVERLAP
        newest, token = self._since or now - _OVERLAP, ""
        listed: dict[str, datetime] = {}
        while True:
            params: dict[str, Any] = {"LastModifiedTimeAfter": since, "MaxResults": _PAGE}
            if token:
                params["NextToken"] = token
            answer = await self._services.call(self._place, "ListTrainingJobs", params)
            if not isinstance(answer, Told):
                log.info("jobs cannot be listed at %s: %s", self._place, answer.message)
                return False
            told = answer.result.get("TrainingJobSummaries", ())
            listed |= {each["TrainingJobName"]: each["LastModifiedTime"] for each in told}
            newest = max([newest, *listed.values()])
            token = answer.result.get("NextToken") or ""
            if not token:
                break
        self._tell(name for name, changed in listed.items() if self._listed.get(name) != changed)
        self._since, self._listed = newest, listed
        return True

    def _wake(self, told: Iterable[Mapping[str, Any]]) -> None:
        """Have those looked at whose job is told to be other than their status says."""
        waiting = self._cache.awaiting(self._place)
        self._tell(
            name
            for each in told
            if (name := each["TrainingJobName"]) in waiting and not self._is_known(name, each)
        )

    def _is_known(self, name: str, told: Mapping[str, Any]) -> bool:
        for key in self._cache.awaiting(self._place).get(name, ()):
            thing = self._cache.get(key)
            if thing is None or told.get("Deleted"):
                return False
            status = thing.status
            if status.get("trainingJobStatus") != told.get("TrainingJobStatus"):
                return False
            if status.get("secondaryStatus") != told.get("SecondaryStatus"):
                return False
        return True

    def _tell(self, names: Iterable[str]) -> None:
        waiting = self._cache.awaiting(self._place)
        for key in [key for name in names for key in waiting.get(name, ())]:
            self._changed(key)
