"""What happens in the cluster: kopf watches, and says which object may have changed.

kopf lists, watches, goes on after a broken connection, and nothing else: no handler of it keeps a
state, so it writes no annotation and no finalizer. It runs on a thread of its own, because it takes
every task of its event loop for its own when it ends.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import kopf

from trainshed.domain.errors import TrainshedError
from trainshed.operator.kinds.base import GROUP, VERSION
from trainshed.operator.objects import Object

_SERVER_SECONDS: Final = 540
"""How long one watch may last: shorter than what proxies on the way allow."""

log = logging.getLogger(__name__)


class WatchEnded(TrainshedError):
    """Nothing is seen any more; whoever watches has to begin anew, as a process."""


class Watch:
    """Watches kinds, in some namespaces or all. Runs once."""

    def __init__(
        self,
        plurals: Iterable[str],
        namespaces: tuple[str, ...],
        seen: Callable[[Object, bool], None],
    ) -> None:
        """Watch nothing yet.

        Args:
            plurals: the kinds.
            namespaces: where; all when there are none.
            seen: called on the event loop that ``run`` was called on, with each view of an object
                and whether it is gone.
        """
        self._plurals, self._namespaces, self._seen = tuple(plurals), namespaces, seen
        self._stop = threading.Event()

    async def run(self) -> None:
        """Watch until this is cancelled, or kopf gives up.

        Raises:
            WatchEnded: kopf has ended.
        """
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        thread = threading.Thread(target=self._work, args=(loop, ended), name="watch", daemon=True)
        thread.start()
        try:
            await ended
        finally:
            self._stop.set()
        raise WatchEnded("the watch of the cluster has ended; see the log for why")

    def _work(self, loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
        registry = kopf.OperatorRegistry()
        for plural in self._plurals:
            kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)(
                self._heard(loop, plural)
            )
        kopf.on.login(registry=registry, id="pod")(kopf.login_with_service_account)
        kopf.on.login(registry=registry, id="kubeconfig")(kopf.login_with_kubeconfig)
        try:
            asyncio.run(
                kopf.operator(
                    registry=registry,
                    settings=_settings(),
                    standalone=True,
                    # Else kopf makes one of the user's name; in a container the user may have none.
                    identity=cast("Any", "trainshed"),
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=self._stop,
                )
            )
        except Exception:  # the outermost of a thread; the process ends of it
            log.exception("the watch of the cluster failed")
        loop.call_soon_threadsafe(_end, ended)

    def _heard(self, loop: asyncio.AbstractEventLoop, plural: str) -> Callable[..., Any]:
        async def heard(event: Any, **_: Any) -> None:  # noqa: ANN401 - kopf's
            thing = Object(plural, event["object"])
            loop.call_soon_threadsafe(self._seen, thing, event["type"] == "DELETED")

        return heard


def _end(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Which kinds and namespaces there are is not watched: that takes rights on the whole cluster.
    settings.scanning.disabled = True
    settings.watching.server_timeout = _SERVER_SECONDS
    settings.queueing.idle_timeout = 1.0
    return settings
