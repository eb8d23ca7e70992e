"""What is asked of a cluster's API server."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.core.exceptions import ConfigError

from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.operator.smlogs.kubeconfig import NoCluster, Place

_ANSWER: Final = 20.0
"""Seconds that one read may take, unless it is said."""
_CONNECT: Final = 5.0
"""Seconds in which an API server takes a connection."""


class Forbidden(ClientError):
    """The API server knows who asks, and does not allow it; or does not know."""


class Cluster:
    """One cluster's API server, as one user."""

    def __init__(self, place: Place, timeout: float | None = None) -> None:
        """Take the place; nothing is sent yet. ``timeout``: seconds that one read may take.

        Raises:
            NoCluster: its credentials or certificates can't be used.
        """
        self.namespace = place.namespace
        self.url = place.cluster.server.rstrip("/")
        self._extensions = {"sni_hostname": place.server_name} if place.server_name else {}
        headers = [(name, one) for name, values in place.headers.items() for one in values]
        try:
            verify = verify_cluster(place.cluster, place.user, Path)
            auth = user_auth(place.user)
        except (ConfigError, OSError, ValueError) as error:
            raise NoCluster(f"the credentials for {self.url}: {error}") from error
        self._client = httpx2.Client(
            base_url=self.url,
            verify=verify,
            auth=auth,
            headers=headers,
            proxy=place.proxy or None,
            timeout=httpx2.Timeout(timeout or _ANSWER, connect=_CONNECT),
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return an object, or a list.

        Raises:
            Forbidden: it is not allowed.
            ApiError: it was refused otherwise; ``code`` is its ``reason``, such as ``NotFound``.
            ServerUnreachable: no answer came.
        """
        with self._answered("GET", path, params=params) as response:
            response.read()
            found = response.json()
            return found if isinstance(found, dict) else {}

    def lines(self, path: str, params: Mapping[str, str]) -> Iterator[bytes]:
        """Yield what a container wrote, line by line, without their ends.

        Raises:
            as ``get``.
        """
        with self._answered("GET", path, params=params) as response:
            yield from split(response.iter_bytes())

    def send(
        self, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of what answers a POST, whoever it is.

        Raises:
            ServerUnreachable: no answer came.
        """
        with self._sent("POST", path, headers=headers, content=body) as response:
            return response.status_code, response.headers, response.read()

    @property
    def host(self) -> str:
        """The Host header that requests carry."""
        netloc = self._client.build_request("GET", "/").headers["host"]
        return str(netloc)

    @contextmanager
    def _answered(self, method: str, path: str, **asked: Any) -> Iterator[httpx2.Response]:  # noqa: ANN401
        with self._sent(method, path, **asked) as response:
            if response.status_code >= 400:
                response.read()
                raise _refusal(response, path)
            yield response

    @contextmanager
    def _sent(self, method: str, path: str, **asked: Any) -> Iterator[httpx2.Response]:  # noqa: ANN401
        extensions = dict(self._extensions)
        answering = self._client.stream(method, path, extensions=extensions, **asked)
        try:
            with self._with_credentials(answering) as response:
                yield response
        except httpx2.TransportError as error:
            why = str(error) or type(error).__name__
            raise ServerUnreachable(
                f"the API server at {self.url} does not answer ({why})", "kubectl cluster-info"
            ) from error

    @contextmanager
    def _with_credentials(
        self, answering: AbstractContextManager[httpx2.Response]
    ) -> Iterator[httpx2.Response]:
        """Tell what a credential plugin did, or did not print, in words of its own."""
        with ExitStack() as open_:
            try:
                response = open_.enter_context(answering)
            except LookupError as error:
                raise NoCluster(
                    f"the credentials for {self.url}: the plugin's answer has no {error}"
                ) from error
            except (ConfigError, OSError, ValueError) as error:
                raise NoCluster(f"the credentials for {self.url}: {error}") from error
            yield response


def split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines; LF alone ends one, for programs write CR within theirs."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _refusal(response: httpx2.Response, path: str) -> ClientError:
    status, reason, message = response.status_code, "", ""
    try:
        told = response.json()
    except ValueError:
        told = None
    if isinstance(told, dict):
        reason, message = str(told.get("reason") or ""), str(told.get("message") or "")
    message = message or response.text.strip()[:200] or response.reason_phrase
    if status == 401:
        return Forbidden(
            f"the API server at {response.url.host} does not know who asks: {message}",
            "kubectl auth can-i get pods, with the same context",
        )
    if status == 403:
        return Forbidden(message, "ask who administers the cluster for that right")
    return ApiError(reason or f"HTTP {status}", message or path, status)
