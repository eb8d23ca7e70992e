"""What watches this server is told: ``/healthz``, ``/readyz``, ``/metrics``."""

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

import trainshed
from trainshed.api import health
from trainshed.api.health import Part, Readiness
from trainshed.api.measuring import FolderSize
from trainshed.app import clock
from trainshed.app.build import Parts
from trainshed.domain.errors import StoreError
from trainshed.stores.objects.index import bytes_held
from trainshed.stores.records.survey import Standing, survey

PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Watching:
    """The ASGI app behind ``PATHS``."""

    def __init__(self, parts: Parts, data: Path, reserve: int) -> None:
        """Tell of ``parts``, which keep everything below ``data``.

        ``reserve`` is what the object store leaves free on the disk.
        """
        self._parts = parts
        self._data = data
        self._readiness = Readiness(_checks(parts, data, reserve))
        self._metrics: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match scope["path"]:
            case "/readyz":
                ready, found = await self._readiness.look()
                answer: Response = JSONResponse(found, status_code=200 if ready else 503)
                answer.headers["cache-control"] = "no-store"
            case "/metrics":
                answer = await self._told()
            case _:
                answer = JSONResponse(self._alive())
        await answer(scope, receive, send)

    def _alive(self) -> Mapping[str, Any]:
        return {
            "status": "ok",
            "version": trainshed.__version__,
            "backend": self._parts.backend,
            "backends": {
                name: {"runtime": driver.capabilities.runtime}
                for name, driver in self._parts.drivers.items()
            },
        }

    async def _told(self) -> Response:
        if self._metrics is None:
            # 55 ms of loading, which a server that nobody scrapes never pays, on a thread.
            metrics = await asyncio.to_thread(importlib.import_module, "trainshed.api.metrics")
            self._metrics = metrics.Metrics(self._sources(metrics))
        try:
            text = await self._metrics.text()
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        return Response(text, media_type=self._metrics.content_type)

    def _sources(self, metrics: Any) -> Any:  # noqa: ANN401 - of a module that is loaded late
        parts = self._parts

        async def standing() -> Standing:
            return await survey(parts.database, parts.backend)

        return metrics.Sources(
            version=trainshed.__version__,
            server=lambda: "" if parts.hear is None else parts.ownership.id,
            records=parts.records,
            survey=standing,
            jobs=parts.tallies.jobs,
            requests=parts.tallies.requests,
            report_lag=parts.tallies.report_lag,
            writes=parts.database.writes,
            engine_lag=lambda: parts.engine.pulse.lag(asyncio.get_running_loop().time()),
            duty=lambda: (parts.ownership.leads, len(parts.ownership.mine)),
            capacity={n: driver.capabilities.max_nodes for n, driver in parts.drivers.items()},
            object_bytes=lambda: bytes_held(parts.database),
            data=self._data,
            logs=FolderSize(self._data / "logs"),
            clock=clock.now,
        )


def _checks(parts: Parts, data: Path, reserve: int) -> dict[str, Part]:
    found = {
        "records": Part(health.records(parts.database)),
        "objects": Part(health.folder(data / "objects", reserve)),
        "engine": Part(health.engine(parts.engine.pulse)),
    }
    for name, driver in parts.drivers.items():
        engine = driver.capabilities.engine
        check = health.engine_socket(engine) if engine else health.folder(data, 0)
        found[f"backend {name}"] = Part(check, needed=name == parts.backend)
    return found
