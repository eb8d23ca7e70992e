"""Speaks with the API server of the cluster that a pod runs in: JSON, and streams without an end.

As plain HTTP: what runs beside the user's container stays small, and four paths of the core API,
which no version of Kubernetes has changed, are all that it asks for.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from trainshed.agent.runtimes.sibling.place import Place

_TIMEOUT_S: Final = 30.0
"""How long the server may think about what it answers at once."""
_PIECE: Final = 256 * 1024
_PASSING: Final = frozenset({401, 408, 429, 500, 502, 503, 504})
"""What may be another answer in a moment; a token that is just being exchanged is a 401."""
_CORE: Final = "/api/v1"
_LEASES: Final = "/apis/coordination.k8s.io/v1"


class ClusterError(Exception):
    """The API server said no; the text is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """HTTP's; 0 when there was no answer."""


class ClusterAway(ClusterError):
    """It does not answer, is in trouble itself, or broke off in the middle: try again."""


class Cluster:
    """The API server, for one namespace. Safe to share between threads."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def pods(self, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Return the list of the pods that a query fits; raise as ``ask``."""
        return self.ask("GET", self._path(_CORE, "pods"), query=query)

    def watch_pods(self, silent_s: float, **query: str) -> "Answer":
        """Return what becomes of them, an event a line; raise as ``stream``."""
        return self.stream(self._path(_CORE, "pods"), silent_s, watch="true", **query)

    def log(self, pod: str, silent_s: float, **query: str) -> "Answer":
        """Return what a container writes; raise as ``stream``."""
        return self.stream(self._path(_CORE, "pods", pod, "log"), silent_s, **query)

    def lease(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return a lease; raise as ``ask``."""
        return self.ask("GET", self._path(_LEASES, "leases", name))

    def leases(self, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Return the list of the leases that a query fits; raise as ``ask``."""
        return self.ask("GET", self._path(_LEASES, "leases"), query=query)

    def replace_lease(self, lease: Mapping[str, Any]) -> None:
        """Write a lease over the version that it names; raise as ``ask`` (409: it has changed)."""
        path = self._path(_LEASES, "leases", str(lease["metadata"]["name"]))
        self.ask("PUT", path, body=lease)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of an answer.

        Raises:
            ClusterAway: there was none; the same may be asked again.
            ClusterError: it is no.
        """
        data = None if body is None else json.dumps(body).encode()
        with self._answer(method, path, query or {}, data, _TIMEOUT_S) as answer:
            text = b"".join(answer)
        try:
            return json.loads(text)
        except ValueError as error:
            raise ClusterAway(0, f"the cluster's answer broke off: {error}") from error

    def stream(self, path: str, silent_s: float, **query: str) -> "Answer":
        """Return an answer that comes bit by bit, and may be silent for so many seconds.

        Raises:
            ClusterError: as ``ask``.
        """
        answer = self._answer("GET", path, query, None, _TIMEOUT_S)
        answer.be_patient(silent_s)
        return answer

    def _answer(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, timeout: float
    ) -> "Answer":
        target = f"{path}?{urlencode(query)}" if query else path
        connection = None
        try:
            # Both are exchanged while we run: they are read again each time.
            token = (self._place.credentials / "token").read_text().strip()
            context = ssl.create_default_context(cafile=str(self._place.credentials / "ca.crt"))
            connection = http.client.HTTPSConnection(
                self._place.host, self._place.port, timeout=timeout, context=context
            )
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, */*"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            if answer.status < 400:
                return Answer(connection, answer)
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if connection is not None:
                connection.close()
            raise ClusterAway(0, f"the cluster does not answer: {_why(error)}") from error
        connection.close()
        kind = ClusterAway if answer.status in _PASSING else ClusterError
        raise kind(answer.status, _message(text) or f"HTTP {answer.status} for {path}")

    def _path(self, api: str, *parts: str) -> str:
        try:
            namespace = (self._place.credentials / "namespace").read_text().strip()
        except OSError as error:
            raise ClusterAway(0, f"the pod's credentials cannot be read: {error}") from error
        return "/".join([api, "namespaces", namespace, *parts])


class Answer:
    """An answer that is read bit by bit, by one thread."""

    def __init__(
        self, connection: http.client.HTTPSConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._socket: socket.socket | None = connection.sock

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield what comes, as it comes.

        Raises:
            ClusterAway: it broke off before its end, or was silent for too long.
        """
        while True:
            try:
                data = self._answer.read1(_PIECE)
            except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
                raise ClusterAway(0, f"the cluster's answer broke off: {_why(error)}") from error
            if not data:
                return
            yield data

    def objects(self) -> Iterator[Any]:
        """Yield the JSON objects of an answer that has one in each line; raise as iterating."""
        rest = b""
        for data in self:
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(bytes.strip, lines):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ClusterAway(0, f"the cluster said nonsense: {error}") from error

    def be_patient(self, silent_s: float) -> None:
        """Let so many seconds pass between two bits of it."""
        if self._socket is not None:
            self._socket.settimeout(silent_s)

    def interrupt(self) -> None:
        """Break it off, from any thread; who reads it gets ``ClusterAway``, or its end."""
        held = self._socket
        if held is None:
            return
        with contextlib.suppress(OSError):
            # By a descriptor of its own: TLS sockets can't be shut down under a reader.
            other = socket.socket(fileno=os.dup(held.fileno()))
            with other:
                other.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it. Not while another thread reads it: ``interrupt`` it first."""
        self._socket = None
        self._answer.close()
        self._connection.close()


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _message(text: bytes) -> str:
    """Return what a ``Status`` says; the text itself where it is none."""
    try:
        said = json.loads(text)
    except ValueError:
        return text.decode(errors="replace").strip()
    return str(said.get("message") or said) if isinstance(said, dict) else str(said)
