"""Tells webhooks what happened to objects: look, decide, act, once for each webhook.

Each event is told at least once, in order as long as all goes well, and goes when its webhook has
answered 2xx. A webhook that is away holds up its own events only; one event that is refused
holds up none.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Protocol

from trainshed.domain.errors import StoreError
from trainshed.engine.webhooks import Refused, Unreachable, Webhook
from trainshed.stores.objects.events import Event

log = logging.getLogger(__name__)

_AT_ONCE: Final = 50
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_KEPT: Final = timedelta(days=7)
"""How long a webhook may be away before its events are given up."""
_LOOK_SECONDS: Final = 30.0
"""How often to look although nothing told of a change: the safety net."""
_IDLE_SECONDS: Final = 1.0
"""How often to ask whether this server has become the one that tells."""
_CLEAR_SECONDS: Final = 3600.0
"""How often to look for events that nobody can be told."""


class Events(Protocol):
    """The slice of ``EventLog`` that is told from."""

    def watch(self) -> asyncio.Event:
        """Return what is set whenever there may be new events."""
        ...

    async def due(self, webhook: str, now: datetime, limit: int) -> Sequence[Event]:
        """Return the first events that a webhook may be told now, in order."""
        ...

    async def next_due(self, webhook: str) -> float | None:
        """Return when the next event is due, in seconds since the epoch; None without events."""
        ...

    async def waiting(self) -> Mapping[str, int]:
        """Return how many events wait, by webhook."""
        ...

    async def forget(self, event: Event) -> None:
        """Remove an event."""
        ...

    async def postpone(self, event: Event, until: datetime) -> None:
        """Note that telling an event failed, and when it may be tried again."""
        ...

    async def drop(self, before: datetime, besides: Collection[str]) -> int:
        """Remove events from before a time, but those of the webhooks named; tell how many."""
        ...


class Fate(Enum):
    """What becomes of an event after a try to tell it."""

    TOLD = "told"
    LATER = "later"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about an event, and whether the webhook is to be left alone meanwhile."""

    fate: Fate
    pause: timedelta = timedelta()
    """How long the event waits, or the webhook is left alone."""
    whole: bool = False
    """Whether all of the webhook's events wait, because nobody answered."""


def decide(event: Event, trouble: Exception | None, now: datetime) -> Verdict:
    """Return what becomes of an event after a try; pure."""
    if trouble is None:
        return Verdict(Fate.TOLD)
    if now.timestamp() - event.at > _KEPT.total_seconds():
        return Verdict(Fate.GIVEN_UP)
    pause = min(_FIRST_PAUSE * 2 ** min(event.tries, 20), _LONGEST_PAUSE)
    return Verdict(Fate.LATER, pause, whole=isinstance(trouble, Unreachable))


class Notifier:
    """Tells the webhooks of the settings."""

    def __init__(
        self,
        events: Events,
        webhooks: Mapping[str, Webhook],
        clock: Callable[[], datetime],
        post: Callable[[Webhook, Event], None],
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Tell ``webhooks`` of ``events``.

        Args:
            events: what is to be told.
            webhooks: by name.
            clock: the time.
            post: tells one event; it blocks, and raises ``Unreachable`` or ``Refused``.
            leads: whether this server is the one that tells; another one does while it is not.
        """
        self._events = events
        self._webhooks = webhooks
        self._clock = clock
        self._post = post
        self._leads = leads
        # Of its own: webhooks that do not answer must not use up the threads that serve objects.
        self._threads = ThreadPoolExecutor(max(len(webhooks), 1), "webhook")

    async def run(self) -> None:
        """Work until cancelled."""
        for name, count in (await self._events.waiting()).items():
            if name not in self._webhooks:
                log.warning(
                    "%d events wait for the webhook %r, which no setting names", count, name
                )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._clear())
                for webhook in self._webhooks.values():
                    group.create_task(self._serve(webhook))
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _clear(self) -> None:
        """Give up, in time, what waits for webhooks that no setting names."""
        while True:
            try:
                count = await self._events.drop(self._clock() - _KEPT, self._webhooks)
            except StoreError:
                log.exception("old events could not be removed; trying again in an hour")
            else:
                if count:
                    log.error("%d events of a week ago are given up: no setting names who", count)
            await asyncio.sleep(_CLEAR_SECONDS)

    async def _serve(self, webhook: Webhook) -> None:
        news = self._events.watch()
        while True:
            news.clear()
            if not self._leads():
                await asyncio.sleep(_IDLE_SECONDS)
                continue
            try:
                pause = await self._look(webhook)
            except StoreError:  # a full disk, mostly; what was told meanwhile is told again
                log.exception("events for the webhook %s could not be taken note of", webhook.name)
                pause = timedelta(seconds=_LOOK_SECONDS)
            if pause:
                await asyncio.sleep(pause.total_seconds())
            else:
                await self._await(news, webhook)

    async def _look(self, webhook: Webhook) -> timedelta:
        """Tell what is due; return how long the webhook is to be left alone."""
        while found := await self._events.due(webhook.name, self._clock(), _AT_ONCE):
            for event in found:
                verdict = decide(event, await self._told(webhook, event), self._clock())
                if verdict.fate is Fate.LATER and verdict.whole:
                    # It stays due, so that it comes before all others when the pause is over.
                    await self._events.postpone(event, self._clock())
                    return verdict.pause
                if verdict.fate is Fate.LATER:
                    await self._events.postpone(event, self._clock() + verdict.pause)
                    continue
                if verdict.fate is Fate.GIVEN_UP:
                    log.error(
                        "webhook %s: an event of a week ago is given up: %s", webhook.name, event
                    )
                await self._events.forget(event)
        return timedelta()

    async def _told(self, webhook: Webhook, event: Event) -> Exception | None:
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, self._post, webhook, event)
        except (Unreachable, Refused) as trouble:
            log.warning(
                "webhook %s was not told of %s %s/%s (try %d): %s",
                webhook.name,
                event.name,
                event.bucket,
                event.key,
                event.tries + 1,
                trouble,
            )
            return trouble
        return None

    async def _await(self, news: asyncio.Event, webhook: Webhook) -> None:
        """Wait for a change of objects, or until an event that was put off is due."""
        due = await self._events.next_due(webhook.name)
        until = _LOOK_SECONDS if due is None else due - self._clock().timestamp()
        try:
            async with asyncio.timeout(min(max(until, 0.0), _LOOK_SECONDS)):
                await news.wait()
        except TimeoutError:
            return
