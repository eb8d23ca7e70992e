"""What answers to Prometheus and to the kubelet.

/metrics   what was counted
/healthz   200 while the event loop turns
/readyz    200 once this operator is connected, leading or not: a spare one is ready as well
"""

from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web

from trainshed.operator.metrics import CONTENT_TYPE, Metrics


class Probes:
    """Servers for both. Started once."""

    def __init__(self, metrics: Metrics, is_ready: Callable[[], bool]) -> None:
        """Listen nowhere yet."""
        self._metrics, self._is_ready = metrics, is_ready
        self._stack = AsyncExitStack()

    async def start(self, metrics: str, probes: str) -> None:
        """Listen at these addresses, ``host:port``; at none that is "".

        Raises:
            OSError: one is taken.
        """
        told = web.get("/metrics", self._tell)
        asked = [web.get("/healthz", self._health), web.get("/readyz", self._readiness)]
        if metrics == probes:
            await self._listen(metrics, [told, *asked])
        else:
            await self._listen(metrics, [told])
            await self._listen(probes, asked)

    async def close(self) -> None:
        """Listen no more."""
        await self._stack.aclose()

    async def _listen(self, address: str, routes: list[web.RouteDef]) -> None:
        if not address:
            return
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        host, _, port = address.rpartition(":")
        await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()

    async def _tell(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, _: web.Request) -> web.Response:
        if self._is_ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not connected yet\n")
