"""Speaks with a container engine over its socket: HTTP, JSON, and streams that never end.

Docker Engine API, without a version in its paths: each engine then speaks its newest, and nothing
is used here that Docker 20.10 or Podman's compatible API would not know.
"""

import contextlib
import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from trainshed.agent.runtimes.docker import sockets

_TIMEOUT_S: Final = 120.0
"""How long an engine may think about a call that waits for nothing."""
_CONNECT_S: Final = 10.0
_UNIX: Final = "unix://"
PATIENCE_S: Final = 180.0
"""How long an engine may be away, while it is upgraded say, before its containers are lost."""
_AGAIN_S: Final = 0.5
_PIECE: Final = 256 * 1024

_T = TypeVar("_T")
Query = Mapping[str, str | int]


class EngineError(Exception):
    """The engine said no; the text is the engine's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """HTTP's; 0 when there was no answer."""


class EngineAway(EngineError):
    """No engine answers at the socket, or it went away in the middle of an answer."""

    def __init__(self, message: str) -> None:
        super().__init__(0, message)


def patiently(call: Callable[[], _T], note: Callable[[EngineAway], None]) -> _T:
    """Return what a call returns, as soon as the engine answers; only for what may be repeated.

    Args:
        call: what to do.
        note: told each time that it does not answer.

    Raises:
        EngineError: the engine said no, or nothing for too long.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except EngineAway as away:
            note(away)
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


def find_socket(asked: str, environment: Mapping[str, str]) -> str:
    """Return the path of the engine's socket.

    Args:
        asked: ``unix:///path``, or "" for ``DOCKER_HOST`` and then the usual places.
        environment: the process's own.

    Raises:
        EngineError: what was asked for is no socket of this machine, or there is none.
    """
    named = asked or environment.get("DOCKER_HOST", "")
    if named:
        if not named.startswith(_UNIX):
            where = "the backend's engine" if asked else "DOCKER_HOST"
            raise EngineError(
                0,
                f"{where} is {named}, and only an engine of this machine can be used "
                "(unix:///path/of/its.sock): the job's folders are mounted from here",
            )
        return named.removeprefix(_UNIX)
    if path := sockets.found(environment):
        return path
    places = ", ".join(sockets.usual(environment))
    raise EngineError(
        0,
        f"no container engine was found: there is no socket at {places}; start "
        "Docker or Podman, or name the socket (engine of [backends.docker], or DOCKER_HOST)",
    )


class Engine:
    """An engine, by its socket. Safe to share between threads: each call has its connection."""

    def __init__(self, path: str) -> None:
        self.path = path

    def get(self, path: str, /, **query: str | int) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON that lies at a path.

        Raises:
            EngineError: the engine said no.
            EngineAway: it said nothing.
        """
        return self._call("GET", path, query, None, _TIMEOUT_S)

    def post(
        self, path: str, body: object = None, *, patient: bool = False, **query: str | int
    ) -> Any:  # noqa: ANN401 - JSON
        """Send JSON, and return what is answered; raise as ``get``.

        ``patient`` waits for the answer for as long as it takes.
        """
        return self._call("POST", path, query, body, None if patient else _TIMEOUT_S)

    def delete(self, path: str, /, **query: str | int) -> None:
        """Delete what lies at a path; raise as ``get``."""
        self._call("DELETE", path, query, None, _TIMEOUT_S)

    def head(self, path: str, /, **query: str | int) -> http.client.HTTPMessage:
        """Return the headers of what lies at a path; raise as ``get``."""
        with self._answer("HEAD", path, query, None, {}, _TIMEOUT_S) as stream:
            return stream.headers

    def stream(
        self,
        method: str,
        path: str,
        /,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        begins_within: float | None = None,
        **query: str | int,
    ) -> "Stream":
        """Return an answer that comes bit by bit, for as long as it takes; raise as ``get``.

        ``begins_within`` is how many seconds the engine may think before it says anything, where
        it says something at once; a hung one is then told from one that has nothing to say.
        """
        stream = self._answer(method, path, query, body, headers or {}, begins_within)
        stream.wait_for_ever()
        return stream

    def _call(
        self, method: str, path: str, query: Query, body: object, timeout: float | None
    ) -> Any:  # noqa: ANN401 - JSON
        data, headers = None, {}
        if body is not None:
            data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        with self._answer(method, path, query, data, headers, timeout) as stream:
            text = b"".join(stream)
        if not text.strip():
            return None
        try:
            return json.loads(text)
        except ValueError as error:  # it broke off
            raise EngineAway(_no_answer(self.path, error)) from error

    def _answer(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float | None,
    ) -> "Stream":
        connection = _Connection(self.path, timeout)
        target = f"{quote(path)}?{urlencode(query)}" if query else quote(path)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            if answer.status < 400:
                return Stream(self.path, connection, answer)
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise EngineAway(_no_answer(self.path, error)) from error
        connection.close()
        raise EngineError(answer.status, _message(text) or f"HTTP {answer.status} for {target}")


class Stream:
    """An answer that is read bit by bit."""

    def __init__(
        self, path: str, connection: "_Connection", answer: http.client.HTTPResponse
    ) -> None:
        self._path = path
        self._connection = connection
        self._answer = answer
        self.headers: http.client.HTTPMessage = answer.headers

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield what comes, as it comes.

        Raises:
            EngineAway: it broke off before its end.
        """
        while True:
            try:
                data = self._answer.read1(_PIECE)
            except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
                raise EngineAway(_no_answer(self._path, error)) from error
            if not data:
                return
            yield data

    def objects(self) -> Iterator[Any]:
        """Yield the JSON objects of an answer that has one in each line; raise as iterating."""
        rest = b""
        for data in self:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield self._object(line)
        if rest.strip():
            yield self._object(rest)

    def _object(self, line: bytes) -> Any:  # noqa: ANN401 - JSON
        try:
            return json.loads(line)
        except ValueError as error:  # an engine that stops may end in the middle of a line
            raise EngineAway(_no_answer(self._path, error)) from error

    def wait_for_ever(self) -> None:
        """Let its next bit come whenever it comes."""
        self._connection.wait_for_ever()

    def interrupt(self) -> None:
        """Break it off; who waits for it in another thread gets ``EngineAway``, or its end."""
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of it. Not while another thread reads it: ``interrupt`` it first."""
        self._answer.close()
        self._connection.close()


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost")
        self._path = path
        self._patience = timeout
        self._own: socket.socket | None = None

    def connect(self) -> None:
        """Open the socket."""
        self._own = self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_S)
        self.sock.connect(self._path)
        self.sock.settimeout(self._patience)

    def wait_for_ever(self) -> None:
        """Give up on nothing any more for the time that it takes."""
        if self._own is not None:
            self._own.settimeout(None)

    def interrupt(self) -> None:
        """End reading and writing, whoever does."""
        if self._own is not None:
            with contextlib.suppress(OSError):
                self._own.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        super().close()
        if self._own is not None:
            self._own.close()


def _no_answer(path: str, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return (
            f"the container engine at {path} may not be used by this user (uid {os.geteuid()}): "
            "add the user to the group that owns the socket, and log in again"
        )
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"the container engine at {path} does not answer: {why}"


def _message(text: bytes) -> str:
    try:
        said = json.loads(text)
    except ValueError:
        return text.decode(errors="replace").strip()
    if isinstance(said, dict):
        return str(said.get("message") or said.get("cause") or said)
    return str(said)
