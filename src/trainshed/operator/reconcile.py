"""One pass over one object: look, decide, act, until there is nothing more to do.

The same for every kind, and for every reason to look: that an object changed, that its resource
did, that a pause is over, that the operator began. Whatever a pass finds out it forgets again.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from trainshed.operator import events
from trainshed.operator.cache import Cache
from trainshed.operator.cluster import Cluster, ClusterError, Missing, Outdated, Unwilling
from trainshed.operator.deciding.base import Answer, Call, Deciding, Decision, Notice, Seen, Trouble
from trainshed.operator.metrics import Metrics
from trainshed.operator.objects import Key, Object, Place

_MOST_ROUNDS: Final = 16
"""A pass takes six at most; more is a mistake in a ``decide``."""

log = logging.getLogger(__name__)

Passing = Callable[[str], object]
"""Told of each point that a pass comes by, ``operator.<what>.before`` and ``.after``."""


class Calls(Protocol):
    """Who makes calls of services."""

    async def call(
        self, place: Place, operation: str, params: Mapping[str, Any]
    ) -> Answer | Trouble:
        """Return what comes of one; nothing is raised."""
        ...

    def address(self, place: Place) -> str:
        """Return where calls of a place go; "" for Amazon's."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to follow a pass."""

    retry: bool = False
    """Whether it came to nothing, and is to be tried again after a pause."""
    again: bool = False
    """Whether the object was another by then, and is to be looked at anew."""
    look_at: datetime | None = None
    """When to look again though nothing tells of a change."""
    thing: Object | None = None
    """The object as the pass left it; None when it came to no end."""
    word: str = "done"
    """What to count it as."""


class Reconciler:
    """Does what is decided. Safe to be killed anywhere."""

    def __init__(
        self,
        cluster: Cluster,
        services: Calls,
        cache: Cache,
        deciding: Mapping[str, Deciding],
        *,
        clock: Callable[[], datetime],
        metrics: Metrics,
        patience: timedelta,
        passing: Passing = lambda _: None,
    ) -> None:
        """Do nothing yet.

        Args:
            cluster: where objects are.
            services: where resources are.
            cache: what was last seen of objects.
            deciding: by plural, who decides.
            clock: returns the time.
            metrics: what is counted.
            patience: how long a deletion may wait for the service.
            passing: told of points, for faults on purpose.
        """
        self._cluster, self._services, self._cache = cluster, services, cache
        self._deciding, self._clock, self._metrics = deciding, clock, metrics
        self._patience, self._passing = patience, passing

    async def reconcile(self, key: Key) -> Outcome:
        """Have one object, and what belongs to it, be as it should."""
        thing = self._cache.get(key)
        if thing is None:
            return Outcome(word="gone")
        try:
            return await self._through(thing)
        except Missing:
            self._cache.drop(thing)
            return Outcome(word="gone")
        except Outdated:
            return await self._read_anew(thing)
        except ClusterError as error:
            log.warning("an object cannot be written: %s", error, extra={"object": str(key)})
            return Outcome(retry=True, word="unwritten")

    async def _read_anew(self, thing: Object) -> Outcome:
        try:
            self._cache.put(await self._cluster.read(thing.key))
        except Missing:
            self._cache.drop(thing)
            return Outcome(word="gone")
        except ClusterError as error:
            log.warning("an object cannot be read: %s", error, extra={"object": str(thing.key)})
            return Outcome(retry=True, word="unwritten")
        return Outcome(again=True, word="outdated")

    async def _through(self, thing: Object) -> Outcome:
        deciding = self._deciding[thing.plural]
        address = self._services.address(deciding.place(thing))
        seen = Seen(now=self._clock(), patience=self._patience, endpoint=address)
        retry, look_at = False, None
        for _ in range(_MOST_ROUNDS):
            decision = deciding.decide(thing, seen)
            retry, look_at = retry or decision.retry, decision.look_at
            thing = await self._written(deciding, thing, decision)
            if decision.call is not None:
                seen = await self._asked(deciding, thing, seen, decision.call)
            elif decision.status is None and decision.patch is None:
                word = "retry" if retry else "done"
                return Outcome(retry=retry, look_at=look_at, thing=thing, word=word)
        raise AssertionError(f"{thing.key}: there is no end of deciding; it knows {seen}")

    async def _written(self, deciding: Deciding, thing: Object, decision: Decision) -> Object:
        """Tell, then write; return the object as it is then."""
        for notice in decision.notices:
            self._passing("operator.event.before")
            await self._tell(deciding, thing, notice)
            self._passing("operator.event.after")
        if decision.status is not None:
            self._passing("operator.status.before")
            thing = await self._cluster.patch_status(thing, decision.status)
            self._keep("status", thing)
        if decision.patch is not None:
            self._passing("operator.metadata.before")
            thing = await self._cluster.patch(thing, decision.patch)
            self._keep("metadata", thing)
        return thing

    async def _tell(self, deciding: Deciding, thing: Object, notice: Notice) -> None:
        words = {"object": str(thing.key)}
        log.info("%s: %s", notice.reason, notice.message, extra=words)
        try:
            now = self._clock()
            await events.tell(self._cluster, thing, deciding.kind.kind, notice, now)
        except (Unwilling, Missing) as error:
            # A namespace that is being deleted takes no Events, and must not be held up by that.
            log.warning("an Event is not taken: %s", error, extra=words)

    def _keep(self, what: str, thing: Object) -> None:
        self._metrics.writes.labels(what).inc()
        if thing.deleted is not None and not thing.finalizers:
            self._cache.drop(thing)
        else:
            self._cache.put(thing)
        self._passing(f"operator.{what}.after")

    async def _asked(self, deciding: Deciding, thing: Object, seen: Seen, call: Call) -> Seen:
        """Make a call; return what is known with its answer."""
        point = f"operator.{call.operation}"
        self._passing(f"{point}.before")
        answer = await self._services.call(deciding.place(thing), call.operation, call.params)
        self._passing(f"{point}.after")
        self._metrics.calls.labels(call.operation, _word(answer)).inc()
        answers = {name: old for name, old in seen.answers.items() if name not in call.stale}
        if isinstance(answer, Trouble):
            log.info("%s: %s", answer.reason, answer.message, extra={"object": str(thing.key)})
            return replace(seen, answers=answers, trouble=answer)
        return replace(seen, answers={**answers, call.operation: answer})


def _word(answer: object) -> str:
    return "trouble" if isinstance(answer, Trouble) else type(answer).__name__.lower()
