"""The operator as a whole: who watches, who works, and how it begins and ends.

    the cluster --watching--> seen ---\
    the service --following--> changed --> queue --> workers: reconcile --> the cluster, the service
    the clock   --resync-----> open --/

It may be killed at any instant. Asked to end, it lets every pass that has begun come to its end.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final

from trainshed.operator.cache import Cache
from trainshed.operator.cluster import Cluster, ClusterError
from trainshed.operator.deciding.table import DECIDING
from trainshed.operator.deciding.training_job.deciding import TRAINING_JOBS
from trainshed.operator.following import Following
from trainshed.operator.leading import Lead, LostLead
from trainshed.operator.metrics import Metrics
from trainshed.operator.objects import Key, Object
from trainshed.operator.probes import Probes
from trainshed.operator.queue import Queue
from trainshed.operator.reconcile import Outcome, Passing, Reconciler
from trainshed.operator.services import Services
from trainshed.operator.settings import Settings
from trainshed.operator.watching import Watch, WatchEnded

_CONNECT_PAUSE: Final = 2.0
"""Seconds between looks for an API server that knows our kinds."""
_LOOKS: Final = 10
"""After how many of them kinds that are not there are left out, until the operator is restarted:
they are installed one after the other, and the first operator had fewer of them at first."""
_NEEDED: Final = TRAINING_JOBS.kind.plural
_END_SECONDS: Final = 5.0
"""How long passes that have begun may go on once the operator is asked to end."""

log = logging.getLogger(__name__)


class Operator:
    """One process's operator."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        passing: Passing = lambda _: None,
    ) -> None:
        """Start nothing yet."""
        self._settings, self._clock = settings, clock
        self._cluster = Cluster()
        self._services = Services(settings.endpoint)
        self._cache = Cache(DECIDING)
        self._queue = Queue()
        self._metrics = Metrics()
        self._metrics.count(DECIDING, lambda: self._cache, lambda: len(self._queue))
        self._probes = Probes(self._metrics, lambda: self._connected)
        self._connected = False
        self._kinds: frozenset[str] = frozenset()
        """Plurals that the cluster knows."""
        self._reconciler = Reconciler(
            self._cluster,
            self._services,
            self._cache,
            DECIDING,
            clock=clock,
            metrics=self._metrics,
            patience=settings.deletion_timeout,
            passing=passing,
        )
        self._ending = asyncio.Event()

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; return the process's exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        ended = False
        try:
            await self._probes.start(self._settings.metrics, self._settings.probes)
            await self._work()
            ended = True
        except* (LostLead, WatchEnded) as broken:
            log.warning("%s: this operator ends", leaves(broken)[0])
        finally:
            self._queue.close()
            await self._probes.close()
            await self._cluster.close()
            self._services.close()
        return 0 if ended else 1

    async def _work(self) -> None:
        await self._unless_asked_to_end(self._connect())
        told = self._settings
        if self._ending.is_set():
            return
        if not told.lease:
            await self._operate()
            return
        lead = Lead(self._cluster, told.lease_namespace, told.lease, told.me, clock=self._clock)
        await self._unless_asked_to_end(lead.gain())
        if self._ending.is_set():
            return
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(lead.keep())
            await self._operate()
            keeping.cancel()
        await lead.give_up()

    async def _unless_asked_to_end(self, waiting: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(waiting), group.create_task(self._asked_to_end())}
            _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()

    async def _asked_to_end(self) -> None:
        await self._ending.wait()

    async def _connect(self) -> None:
        """Wait for an API server that knows our kinds, at least the one that is carried out."""
        looks = 0
        while True:
            looks += 1
            try:
                self._kinds = await self._cluster.offered() & DECIDING.keys()
            except ClusterError as error:
                log.warning("%s", error)
            else:
                missing = ", ".join(sorted(DECIDING.keys() - self._kinds))
                if not missing or (_NEEDED in self._kinds and looks > _LOOKS):
                    break
                log.warning("the cluster lacks the CRDs of %s", missing)
            await asyncio.sleep(_CONNECT_PAUSE)
        await self._services.get_ready()
        self._connected = True

    async def _operate(self) -> None:
        self._metrics.leads.set(1)
        watch = Watch(self._kinds, self._settings.namespaces, self._note)
        following = Following(
            self._services,
            self._cache,
            self._queue.add,
            clock=self._clock,
            metrics=self._metrics,
            poll=self._settings.poll,
        )
        where = ", ".join(self._settings.namespaces) or "all namespaces"
        log.info("working for %s", where)
        async with asyncio.TaskGroup() as group:
            sources = (watch.run(), following.run(), self._resync())
            hearing = [group.create_task(source) for source in sources]
            working = [group.create_task(self._labour()) for _ in range(self._settings.workers)]
            await self._ending.wait()
            log.info("asked to end")
            for task in hearing:
                task.cancel()
            self._queue.close()
            for task in working:
                asyncio.get_running_loop().call_later(_END_SECONDS, task.cancel)

    def _note(self, thing: Object, gone: bool) -> None:
        """Take a view of an object from the watch."""
        if gone:
            self._cache.drop(thing)
            self._queue.forget(thing.key)
        elif self._cache.put(thing) and not self._queue.is_busy(thing.key):
            self._queue.add(thing.key)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync.total_seconds())
            for thing in list(self._cache):
                if thing.deleted is not None or DECIDING[thing.plural].awaited(thing):
                    self._queue.add(thing.key)

    async def _labour(self) -> None:
        """Work on one object after the other, until the queue is closed."""
        while (key := await self._queue.take()) is not None:
            try:
                await self._pass(key)
            finally:
                self._queue.done(key)

    async def _pass(self, key: Key) -> None:
        kind = DECIDING[key.plural].kind.kind
        with self._metrics.seconds.labels(kind).time():
            try:
                outcome = await self._reconciler.reconcile(key)
            except Exception:  # of one object, which must not hold up all others
                log.exception("a pass over an object failed", extra={"object": str(key)})
                outcome = Outcome(retry=True, word="failed")
        self._metrics.reconciles.labels(kind, outcome.word).inc()
        self._follow_up(key, outcome)

    def _follow_up(self, key: Key, outcome: Outcome) -> None:
        latest = self._cache.get(key)
        if latest is None:
            self._queue.forget(key)
            return
        if outcome.again or (outcome.thing is not None and latest.is_newer_than(outcome.thing)):
            self._queue.add(key)
        if outcome.retry:
            pause = self._queue.retry(key)
            log.debug("looked at again in %.1f s", pause, extra={"object": str(key)})
        elif not outcome.again:
            self._queue.forgive(key)
        if outcome.look_at is not None:
            seconds = (outcome.look_at - self._clock()).total_seconds()
            self._queue.add_later(key, seconds)


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the errors of a group and of the groups in it."""
    return [
        leaf
        for each in group.exceptions
        for leaf in (leaves(each) if isinstance(each, BaseExceptionGroup) else [each])
    ]
