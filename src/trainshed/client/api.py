"""Signed calls to a server, over connections that are kept open.

Written on ``http.client``: the AWS SDKs take longer to import than most commands take to run.
"""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit
from xml.etree import ElementTree

from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.wire.signer import Signer

_TARGETS: Final = {"sagemaker": "SageMaker", "logs": "Logs_20140328", "trainshed": "Trainshed"}
"""``X-Amz-Target`` prefixes, from the service models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What requests are signed with."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    token: str = field(default="", repr=False)
    """The session's token, of temporary keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An object store beside the server's own: jobs find there what begins with its prefix."""

    prefix: str
    """Such as ``s3://bucket/``."""
    url: str
    """"" for the cloud's own of ``gs://`` and ``az://``."""
    credentials: Credentials | None
    """None when the settings name no keys, and nodes ask as whom their machine is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Api:
    """One server. May be used from several threads at once."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        now: Callable[[], datetime],
        timeout: float = 60.0,
        endpoints: Mapping[str, str] | None = None,
        stores: Sequence[Store] = (),
    ) -> None:
        """Take the server's address; nothing is sent yet.

        Args:
            url: such as ``http://127.0.0.1:7070``.
            credentials: what to sign with.
            now: returns the time, aware; signatures carry it.
            timeout: seconds one read or write on the connection may take.
            endpoints: services that answer elsewhere, such as ``s3``, and where.
            stores: asked in the server's place for objects below their prefix; the longest wins.
        """
        self.url = url.rstrip("/")
        self.credentials = credentials
        self.now = now
        self._timeout = timeout
        self._endpoints = dict(endpoints or {})
        self.stores = tuple(stores)
        self._idle: dict[str, list[http.client.HTTPConnection]] = {}
        self._busy: set[http.client.HTTPConnection] = set()
        self._cut = False
        self._lock = threading.Lock()

    def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Carry out an operation of ``sagemaker``, ``logs`` or ``trainshed``, our own service.

        Timestamps stay epoch seconds.

        Raises:
            ApiError: the server refused it.
            ServerUnreachable: no answer came.
        """
        return self.call_at(service, operation, params)[0]

    def call_at(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Return ``call``'s answer, and the server's time in its ``Date`` header, "" without."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{_TARGETS[service]}.{operation}",
        }
        body = json.dumps(params or {}).encode()
        if operation.startswith("Create"):
            self.close()  # a kept connection may be dead; a second try would find the name taken
        answer = self.request("POST", "/", service=service, headers=headers, body=body)
        result = json.loads(answer.body) if answer.body else {}
        if not isinstance(result, dict):
            raise ApiError("InternalServerError", "the answer is no JSON object", answer.status)
        return result, answer.headers.get("date", "")

    def account(self) -> str:
        """Return the number of the account that the credentials belong to."""
        body = urlencode({"Action": "GetCallerIdentity", "Version": "2011-06-15"}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = self.request("POST", "/", service="sts", headers=headers, body=body)
        return _texts(answer.body).get("Account", "")

    def request(
        self,
        method: str,
        path: str,
        *,
        service: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
    ) -> Answer:
        """Send one signed request and read the whole answer.

        Args:
            method: HTTP's.
            path: quoted path, and query.
            service: whose credential scope to sign for.
            headers: names in lower case.
            body: the payload. One in pieces may be asked for them again; its ``content-length`` and
                ``x-amz-content-sha256`` are among the headers.

        Raises:
            ApiError: the status is 400 or more.
            ServerUnreachable: no answer came.
        """
        store = self.store_of(_uri(path)) if service == "s3" else None
        base, keys = (self.endpoint(service), self.credentials)
        if store is not None:
            base, keys = store.url, keys_of(store)
        signed = self._signed(method, base + path, (service, keys), dict(headers or {}), body)
        with self._sent(method, base + path, signed, body) as response:
            if response.status >= 400:
                raise _error_of(response)
            try:
                content = response.read()
            except (http.client.HTTPException, OSError) as error:
                raise ServerUnreachable(f"{self.url} broke off its answer: {error}") from error
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, content)

    def endpoint(self, service: str) -> str:
        """Return where a service answers."""
        return self._endpoints.get(service, self.url)

    def store_of(self, uri: str) -> Store | None:
        """Return the store that an address lies in; None for the server's own."""
        found = [store for store in self.stores if uri.startswith(store.prefix)]
        return max(found, key=lambda store: len(store.prefix), default=None)

    def alive(self) -> dict[str, Any] | None:
        """Return what ``/healthz`` says, or None when nothing sensible answers there."""
        try:
            with self._sent("GET", f"{self.url}/healthz", {}, b"") as response:
                content = json.loads(response.read())
        except (ServerUnreachable, OSError, http.client.HTTPException, ValueError):
            return None
        return content if isinstance(content, dict) and "status" in content else None

    def close(self) -> None:
        """Close the connections that are not in use; the next request opens another."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in (one for some in idle.values() for one in some):
            connection.close()

    def cut(self) -> None:
        """Break off every request that is under way in any thread; refuse further ones till mended.

        Those that wait for them are told with ``ServerUnreachable``.
        """
        with self._lock:
            self._cut = True
            busy = [connection.sock for connection in self._busy]
        for sock in busy:
            with suppress(OSError, AttributeError):  # it was closed meanwhile, or never opened
                sock.shutdown(socket.SHUT_RDWR)
        self.close()

    def mend(self) -> None:
        """Take requests again after ``cut``."""
        self._cut = False

    @property
    def was_cut(self) -> bool:
        """Whether requests are refused."""
        return self._cut

    def __enter__(self) -> "Api":
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _signed(
        self,
        method: str,
        url: str,
        whom: tuple[str, Credentials],
        headers: dict[str, str],
        body: bytes | Iterable[bytes],
    ) -> dict[str, str]:
        service, keys = whom
        signer = Signer(
            access_key=keys.access_key, secret=keys.secret_key, region=keys.region, service=service
        )
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        whole = body if isinstance(body, bytes) else None
        return signer.sign(method, url, headers, whole, self.now())

    @contextmanager
    def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes]
    ) -> Iterator[http.client.HTTPResponse]:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        target = url.removeprefix(base)
        connection, response = self._exchange(base, (method, target), headers, body)
        try:
            yield response
        finally:
            # What was left unread would be taken for the next answer.
            with self._lock:
                self._busy.discard(connection)
                kept = response.isclosed() and connection.sock is not None and not self._cut
                if kept:
                    self._idle.setdefault(base, []).append(connection)
            if not kept:
                connection.close()
                response.close()

    def _exchange(
        self,
        base: str,
        line: tuple[str, str],
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes],
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        while True:
            connection, kept = self._connection(base)
            try:
                with ExitStack() as undo:
                    undo.callback(self._forget, connection)
                    with suppress(BrokenPipeError):  # it may have answered before it heard all
                        connection.request(*line, body=body, headers=dict(headers))
                    response = connection.getresponse()
                    undo.pop_all()
            except (http.client.HTTPException, OSError) as error:
                # The server closes connections that were idle for long: once more on another.
                if kept and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                    continue
                raise ServerUnreachable(f"no server answers at {base} ({error})") from error
            return connection, response

    def _connection(self, base: str) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection and whether it was used before."""
        parts = urlsplit(base)
        https = parts.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        with self._lock:
            if self._cut:
                raise ServerUnreachable(f"requests to {base} were broken off")
            idle = self._idle.get(base)
            host = parts.hostname or ""
            connection = idle.pop() if idle else kind(host, parts.port, timeout=self._timeout)
            self._busy.add(connection)
            return connection, connection.sock is not None

    def _forget(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        with self._lock:
            self._busy.discard(connection)


def keys_of(store: Store) -> Credentials:
    """Return what requests to a store are signed with.

    Raises:
        ClientError: its keys are not known here.
    """
    if store.credentials is None:
        raise ClientError(
            f"{store.prefix} lies in the store at {store.url}, for which the server's settings "
            "name no keys",
            f"with keys of your own: AWS_ENDPOINT_URL={store.url} trainshed data … --aws",
        )
    return store.credentials


def _uri(path: str) -> str:
    """Return the address that an S3 request is about: an object, or the prefix that it lists."""
    place, _, query = path.removeprefix("/").partition("?")
    bucket, _, key = place.partition("/")
    return f"s3://{unquote(bucket)}/{unquote(key) or dict(parse_qsl(query)).get('prefix', '')}"


def _error_of(response: http.client.HTTPResponse) -> ApiError:
    try:
        body = response.read()
    except (http.client.HTTPException, OSError):
        body = b""  # the status tells enough
    found: dict[str, Any] = {}
    if body.lstrip().startswith(b"{"):
        try:
            found = json.loads(body)
        except ValueError:
            found = {}
    elif body.lstrip().startswith(b"<"):
        found = dict(_texts(body))
    code = str(found.get("__type") or found.get("code") or found.get("Code") or "")
    if not code:
        code = "NotFound" if response.status == 404 else f"HTTP {response.status}"
    message = found.get("message") or found.get("Message") or response.reason
    return ApiError(code.rpartition("#")[2], str(message), response.status)


def _texts(xml: bytes) -> dict[str, str]:
    """Return every leaf of an XML answer by its local name; the first of a name wins."""
    texts: dict[str, str] = {}
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - from our own server, over our own socket
    except ElementTree.ParseError:
        return texts
    for element in root.iter():
        if not len(element):
            texts.setdefault(element.tag.rpartition("}")[2], element.text or "")
    return texts
