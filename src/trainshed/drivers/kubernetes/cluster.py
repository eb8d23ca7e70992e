"""The API server of a cluster, as lightkube speaks to it, with its troubles in our words."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Final, TypeVar

import httpx2
import msgspec
import yaml  # type: ignore[import-untyped]
from lightkube import ApiError, AsyncClient, ConfigError, KubeConfig, SingleConfig
from lightkube.config import client_adapter
from lightkube.core.resource import NamespacedResource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod
from lightkube.types import CascadeType, PatchType

from trainshed.domain.errors import DriverError, NoCapacity

_TIMEOUT_S: Final = 15.0
_WATCH_S: Final = 290
"""How long a server may keep one watch open; most end them after five to ten minutes themselves."""
_SILENT_S: Final = 600.0
"""After so long without a word a watch is begun anew: its connection may be dead."""
_GUIDE: Final = "docs/how-to/run-on-kubernetes.md"
_UNAUTHORIZED, _FORBIDDEN, _MISSING, _CONFLICT, _TOO_MANY = 401, 403, 404, 409, 429
_GONE, _BROKEN = 410, 500

_UNREADABLE: Final = (
    OSError, AttributeError, LookupError, TypeError, ValueError,
    ConfigError, yaml.YAMLError, msgspec.MsgspecError,
)  # fmt: skip
"""What reading a kubeconfig may raise: whatever stands in the file."""

_Thing = TypeVar("_Thing", bound=NamespacedResource)
_Answer = TypeVar("_Answer")


class Away(NoCapacity):
    """The cluster does not answer, or not now: the same may be asked again."""


class Refused(DriverError):
    """The cluster says no, and will say it again."""


class Conflict(DriverError):
    """Somebody else has changed what was to be changed: look again."""


class Expired(DriverError):
    """A watch is too far behind: list anew."""


class Cluster:
    """One cluster, from its kubeconfig; asked for by the first request and not before."""

    def __init__(self, *, kubeconfig: str = "", context: str = "", namespace: str = "") -> None:
        """See ``options.KubernetesBackend``."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._wanted = namespace
        self._config: SingleConfig | None = None
        self._client: AsyncClient | None = None
        self._groups: frozenset[str] | None = None

    def namespace(self) -> str:
        """Return where nodes are made; raise ``Away`` when the kubeconfig can't be read."""
        return self._wanted or self._found().namespace

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def get(self, kind: type[_Thing], name: str, namespace: str) -> _Thing | None:
        """Return an object; None where there is none."""
        with contextlib.suppress(_Absent):
            return await self._asked(
                f"read {kind.__name__} {name}",
                namespace,
                self._connected().get(kind, name, namespace=namespace),
            )
        return None

    async def create(self, thing: _Thing, namespace: str) -> _Thing | None:
        """Make an object and return it; None where there is one of that name already.

        Raises:
            NoCapacity: a quota has no room for it, or the cluster is away.
            Refused: it is not allowed, or no such object can be.
        """
        metadata: ObjectMeta = getattr(thing, "metadata", None) or ObjectMeta()
        metadata.namespace = namespace
        kind, name = type(thing).__name__, metadata.name
        try:
            return await self._asked(
                f"make {kind} {name}",
                namespace,
                self._connected().create(thing),
            )
        except Conflict:
            return None
        except _Absent as error:
            raise Refused(f"{error}; is there a namespace {namespace}?") from error

    async def patch(
        self, kind: type[_Thing], name: str, change: Mapping[str, Any], namespace: str
    ) -> _Thing | None:
        """Merge a change into an object and return it; None where there is none.

        Raises:
            Conflict: the change names a ``resourceVersion``, and it is not the last.
        """
        with contextlib.suppress(_Absent):
            return await self._asked(
                f"change {kind.__name__} {name}",
                namespace,
                self._connected().patch(
                    kind, name, dict(change), namespace=namespace, patch_type=PatchType.MERGE
                ),
            )
        return None

    async def delete(
        self, kind: type[NamespacedResource], name: str, namespace: str, *, grace: int | None = None
    ) -> None:
        """Delete an object, and what is made from it; what is gone is no error."""
        with contextlib.suppress(_Absent):
            await self._asked(
                f"delete {kind.__name__} {name}",
                namespace,
                self._connected().delete(
                    kind,
                    name,
                    namespace=namespace,
                    grace_period=grace,
                    cascade=None if kind is Pod else CascadeType.BACKGROUND,
                ),
            )

    async def list(
        self, kind: type[_Thing], namespace: str, labels: Mapping[str, str] | None = None
    ) -> tuple[list[_Thing], str]:
        """Return all objects with these labels, and the version at which they were read."""
        found = self._connected().list(kind, namespace=namespace, labels=dict(labels or {}) or None)

        async def gathered() -> tuple[list[_Thing], str]:
            return [each async for each in found], found.resourceVersion

        return await self._asked(f"list {kind.__name__}s", namespace, gathered())

    async def watch(
        self,
        kind: type[_Thing],
        namespace: str,
        labels: Mapping[str, str] | None,
        version: str,
    ) -> AsyncIterator[tuple[str, _Thing]]:
        """Yield what becomes of the objects with these labels after a version, as it comes.

        Raises:
            Expired: that version is too old; others as ever.
        """
        changes = self._connected().watch(
            kind,
            namespace=namespace,
            labels=dict(labels or {}) or None,
            server_timeout=_WATCH_S,
            resource_version=version,
        )
        told = aiter(changes)
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    change = await self._asked(
                        f"watch {kind.__name__}s", namespace, anext(told, None)
                    )
            except TimeoutError as error:
                raise Expired("the watch has been silent for too long") from error
            if change is None:
                return
            yield change

    async def has_group(self, group: str) -> bool:
        """Tell whether the cluster knows an API group, such as Kueue's; asked once."""
        if self._groups is None:
            self._groups = await self._asked("read the cluster's APIs", "", self._api_groups())
        return group in self._groups

    async def _api_groups(self) -> frozenset[str]:
        timeout = httpx2.Timeout(_TIMEOUT_S)
        parameters = client_adapter.ConnectionParams(timeout=timeout)
        async with client_adapter.AsyncClient(self._found(), parameters) as client:
            answer = await client.get("apis")
            answer.raise_for_status()
            return frozenset(str(each["name"]) for each in answer.json()["groups"])

    def _connected(self) -> AsyncClient:
        if self._client is None:
            config = self._found()
            try:
                self._client = AsyncClient(config=config, timeout=httpx2.Timeout(_TIMEOUT_S))
            except (OSError, ValueError, ConfigError) as error:
                raise Away(f"the cluster can't be reached with this kubeconfig: {error}") from error
        return self._client

    def _found(self) -> SingleConfig:
        if self._config is None:
            where = self._kubeconfig or "what the environment names"
            try:
                every = (
                    KubeConfig.from_file(self._kubeconfig)
                    if self._kubeconfig
                    else KubeConfig.from_env()
                )
                found = every.get(self._context or None)
            except _UNREADABLE as error:
                raise Away(f"the kubeconfig ({where}) can't be used: {error}") from error
            if found is None:
                raise Away(f"the kubeconfig ({where}) has no current context; set context")
            self._config = found
        return self._config

    async def _asked(self, what: str, namespace: str, answer: Awaitable[_Answer]) -> _Answer:
        """Return an answer, or raise what its error means."""
        try:
            return await answer
        except httpx2.HTTPStatusError as error:
            raise _meaning(what, namespace, error) from error
        except (httpx2.HTTPError, ConfigError, OSError) as error:
            raise Away(f"cannot {what}: the cluster does not answer: {_text(error)}") from error
        except msgspec.MsgspecError as error:
            raise Away(f"cannot {what}: the cluster says what can't be read: {error}") from error


class _Absent(DriverError):
    """There is no such object."""


def _meaning(what: str, namespace: str, error: httpx2.HTTPStatusError) -> DriverError:
    """Return the error that an answer of the API server stands for."""
    code, reason, text = _status(error)
    if code == _MISSING:
        return _Absent(f"cannot {what}: {text}")
    if code == _CONFLICT:
        return Conflict(f"cannot {what}: {text}")
    if code == _GONE:
        return Expired(f"cannot {what}: {text}")
    if code == _FORBIDDEN and "exceeded quota" in text:
        return NoCapacity(f"the quota of the namespace {namespace} has no room: {text}")
    if code == _FORBIDDEN:
        return Refused(
            f"the cluster forbids to {what} in the namespace {namespace}: {text}; {_GUIDE} says "
            "what the server's account must be allowed"
        )
    if code in {0, _UNAUTHORIZED, _TOO_MANY} or code >= _BROKEN:
        return Away(f"cannot {what}: the cluster answers {code} {reason}: {text}")
    return Refused(f"the cluster refuses to {what}: {text}")


def _status(error: httpx2.HTTPStatusError) -> tuple[int, str, str]:
    """Return (HTTP status, its word for it, what it says)."""
    if isinstance(error, ApiError) and error.status is not None:
        status = error.status
        return status.code or 0, status.reason or "", status.message or ""
    response = error.response
    return response.status_code, response.reason_phrase, str(error)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
