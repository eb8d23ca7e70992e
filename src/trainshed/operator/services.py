"""Calls of SageMaker's API, at any place that answers it, by botocore on threads.

The same code for our server, for Amazon, and for whatever else answers. One botocore client for
each place is kept; botocore finds the credentials, as every AWS program does.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import botocore.session
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config

from trainshed.operator import errors
from trainshed.operator.deciding.base import Answer, Told, Trouble
from trainshed.operator.objects import Place
from trainshed.wire.model import OWN, OWN_MODELS

SAGEMAKER: Final = "sagemaker"
_USER_AGENT: Final = "sagemaker-on-kubernetes"
"""What the first operator called itself; usage is counted by it."""
_MOST_PLACES: Final = 64
_CALLS_AT_ONCE: Final = 16
_WAITS_AT_ONCE: Final = 64
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30


class Services:
    """All places that were asked so far."""

    def __init__(self, endpoint: str) -> None:
        """Connect to nothing yet.

        Args:
            endpoint: where objects' calls go that name no endpoint; "" for Amazon's.
        """
        self._endpoint = endpoint
        self._session = botocore.session.Session()
        self._session.get_component("data_loader").search_paths.append(str(OWN_MODELS))
        self._clients: OrderedDict[tuple[str, Place, float], BaseClient] = OrderedDict()
        self._lock = threading.Lock()
        self._calls = ThreadPoolExecutor(_CALLS_AT_ONCE, "service")
        self._waits = ThreadPoolExecutor(_WAITS_AT_ONCE, "service-wait")

    def address(self, place: Place) -> str:
        """Return the endpoint of a place; "" for Amazon's."""
        return place.endpoint or self._endpoint

    async def call(
        self, place: Place, operation: str, params: Mapping[str, Any]
    ) -> Answer | Trouble:
        """Return what comes of a call of SageMaker's API; nothing is raised."""
        return await self._on(self._calls, (SAGEMAKER, place, _READ_SECONDS), operation, params)

    async def wait(
        self, place: Place, operation: str, params: Mapping[str, Any], patience: timedelta
    ) -> Answer | Trouble:
        """Return what comes of a call of our own service that takes its time to answer."""
        reads = patience.total_seconds() + _READ_SECONDS
        return await self._on(self._waits, (OWN, place, reads), operation, params)

    async def get_ready(self) -> None:
        """Have the service's model read, so that the first call takes no longer than others."""
        await asyncio.get_running_loop().run_in_executor(
            self._calls,
            self._client,
            (SAGEMAKER, Place(self._endpoint, "us-east-1"), _READ_SECONDS),
        )

    def close(self) -> None:
        """Let calls that are under way end by themselves; nobody waits for them."""
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._waits.shutdown(wait=False, cancel_futures=True)

    async def _on(
        self,
        pool: ThreadPoolExecutor,
        which: tuple[str, Place, float],
        operation: str,
        params: Mapping[str, Any],
    ) -> Answer | Trouble:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, self._called, which, operation, params)

    def _called(
        self, which: tuple[str, Place, float], operation: str, params: Mapping[str, Any]
    ) -> Answer | Trouble:
        place = Place(self.address(which[1]), which[1].region)
        try:
            client = self._client((which[0], place, which[2]))
            told = getattr(client, xform_name(operation))(**params)
        except errors.ERRORS as error:
            return errors.meaning(error, place)
        return Told({name: value for name, value in told.items() if name != "ResponseMetadata"})

    def _client(self, which: tuple[str, Place, float]) -> BaseClient:
        with self._lock:  # a session makes one client at a time
            if which in self._clients:
                self._clients.move_to_end(which)
                return self._clients[which]
            name, place, reads = which
            made = self._session.create_client(
                name,
                region_name=place.region,
                endpoint_url=place.endpoint or None,
                config=Config(
                    user_agent_extra=_USER_AGENT,
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=reads,
                    retries={"mode": "standard", "total_max_attempts": 3},
                    max_pool_connections=_CALLS_AT_ONCE,
                    tcp_keepalive=True,
                ),
            )
            self._clients[which] = made
            if len(self._clients) > _MOST_PLACES:
                self._clients.popitem(last=False)
            return made
