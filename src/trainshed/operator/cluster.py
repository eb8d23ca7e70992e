"""The Kubernetes API as the operator needs it: read, patch, tell an Event, hold a lease.

Who one is comes from kopf, which has aiohttp with it: the service account of the pod, or the
kubeconfig. A token that has become old is read anew.

ClusterError
  x Missing      there is no such object (any more)
  x Outdated     the object has changed since it was read: read it again
  x Exists       there is one of that name already
  x Unwilling    the API server refuses: rights are missing, or the object is wrong
  x Unreachable  nobody answers, or not sensibly; later perhaps
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import kopf

from trainshed import __version__
from trainshed.domain.errors import TrainshedError
from trainshed.operator.kinds.base import API_VERSION
from trainshed.operator.objects import Key, Object

_MERGE: Final = "application/merge-patch+json"
_PATIENCE: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
_CONNECTIONS: Final = 32
_USER_AGENT: Final = f"trainshed-operator/{__version__}"


class ClusterError(TrainshedError):
    """Something could not be had from the API server, or done there."""


class Missing(ClusterError):
    """There is no such object."""


class Outdated(ClusterError):
    """The object has changed since it was read."""


class Exists(ClusterError):
    """There is one of that name already."""


class Unwilling(ClusterError):
    """The API server refuses."""


class Unreachable(ClusterError):
    """Nobody answers, or not sensibly."""


def login() -> kopf.ConnectionInfo:
    """Return how to reach the API server, and as whom.

    Raises:
        Unwilling: this is no pod, and there is no kubeconfig either.
    """
    settings = kopf.OperatorSettings()
    try:
        found = kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(
            settings=settings
        )
    except (kopf.LoginError, OSError, LookupError) as error:
        raise Unwilling(f"the kubeconfig cannot be used: {error}") from error
    if found is None:
        raise Unwilling(
            "there is neither a service account, as pods have, nor a kubeconfig: "
            "run this in a pod, or set KUBECONFIG"
        )
    return found


class Cluster:
    """One API server. Closed by ``close``."""

    def __init__(self, who: Callable[[], kopf.ConnectionInfo] = login) -> None:
        """Connect to nothing yet; ``who`` is asked anew when it is not believed any more."""
        self._who = who
        self._session: aiohttp.ClientSession | None = None
        self._server = ""

    async def close(self) -> None:
        """Close what is open."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def offered(self) -> frozenset[str]:
        """Return the plurals of our group that the API server knows."""
        try:
            told = await self.request("GET", f"/apis/{API_VERSION}")
        except Missing:
            return frozenset()
        return frozenset(each["name"] for each in told.get("resources", ()))

    async def read(self, key: Key) -> Object:
        """Return an object as it is now."""
        return Object(key.plural, await self.request("GET", _path(key)))

    async def patch(self, thing: Object, change: Mapping[str, Any]) -> Object:
        """Change metadata and spec of an object that is still as it was read; return it."""
        meta = {**change.get("metadata", {}), "resourceVersion": thing.version}
        body = {**change, "metadata": meta}
        return Object(thing.plural, await self.request("PATCH", _path(thing.key), body))

    async def patch_status(self, thing: Object, change: Mapping[str, Any]) -> Object:
        """Change the status of an object that is still as it was read; return it."""
        body = {"metadata": {"resourceVersion": thing.version}, "status": change}
        told = await self.request("PATCH", f"{_path(thing.key)}/status", body)
        return Object(thing.plural, told)

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send one request; a body of PATCH is a merge patch.

        Raises:
            ClusterError: of the kind that the answer means.
        """
        status, text = await self._send(method, path, body)
        if status == 401:  # a token lasts an hour; its file has the next one
            await self.close()
            status, text = await self._send(method, path, body)
        if status >= 400:
            raise _error(method, path, status, text)
        try:
            told = json.loads(text)
        except ValueError as error:
            raise Unreachable(f"{self._server} answers {method} {path} with no JSON") from error
        return dict(told)

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        session = self._opened()
        kind = _MERGE if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": kind}
        try:
            async with session.request(
                method, self._server + path, data=data, headers=headers, timeout=_PATIENCE
            ) as response:
                return response.status, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{self._server} does not answer: {error}") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            info = self._who()
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=info.as_ssl_context())
            self._server = info.server.rstrip("/")
            # What an API server keeps of who wrote which field is named after it.
            headers = {**info.as_http_headers(), "User-Agent": _USER_AGENT}
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, proxy=info.proxy_url
            )
        return self._session


def _path(key: Key) -> str:
    return f"/apis/{API_VERSION}/namespaces/{key.namespace}/{key.plural}/{key.name}"


def _error(method: str, path: str, status: int, text: bytes) -> ClusterError:
    try:
        told = json.loads(text)
        reason, message = told.get("reason", ""), told.get("message", "")
    except (ValueError, AttributeError):
        reason, message = "", text[:200].decode(errors="replace")
    said = f"{method} {path}: {status} {message}"
    if status == 404:
        return Missing(said)
    if status == 409:
        return Exists(said) if reason == "AlreadyExists" else Outdated(said)
    if status in {401, 403}:
        return Unwilling(f"{said}; the operator's role has to allow it")
    if status < 500 and status != 429:
        return Unwilling(said)
    return Unreachable(said)
