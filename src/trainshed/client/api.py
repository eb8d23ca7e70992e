"""Signed calls to a server, over connections that are kept open.

Written on ``http.client``: the AWS SDKs take longer to import than most commands take to run.
"""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.wire.signer import Signer

_TARGETS: Final = {"sagemaker": "SageMaker", "logs": "Logs_20140328"}
"""``X-Amz-Target`` prefixes, from the service models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What requests are signed with."""

    access_key: str
    secret_key: str
    region: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Api:
    """One server. May be used from several threads: each has a connection of its own."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        now: Callable[[], datetime],
        timeout: float = 60.0,
    ) -> None:
        """Take the server's address; nothing is sent yet.

        Args:
            url: such as ``http://127.0.0.1:7070``.
            credentials: what to sign with.
            now: returns the time, aware; signatures carry it.
            timeout: seconds one read or write on the connection may take.
        """
        self.url = url.rstrip("/")
        self.credentials = credentials
        self.now = now
        self._timeout = timeout
        self._mine = threading.local()

    def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Carry out an operation of ``sagemaker`` or ``logs``; timestamps stay epoch seconds.

        Raises:
            ApiError: the server refused it.
            ServerUnreachable: no answer came.
        """
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
        return result

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
        body: bytes = b"",
    ) -> Answer:
        """Send one signed request and read the whole answer.

        Args:
            method: HTTP's.
            path: unquoted path, with a query that is already quoted if it has one.
            service: whose credential scope to sign for.
            headers: names in lower case.
            body: the payload.

        Raises:
            ApiError: the status is 400 or more.
            ServerUnreachable: no answer came.
        """
        with self.streamed(method, path, service=service, headers=headers, body=body) as response:
            try:
                content = response.read()
            except (http.client.HTTPException, OSError) as error:
                self.close()
                raise ServerUnreachable(f"{self.url} broke off its answer: {error}") from error
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, content)

    @contextmanager
    def streamed(
        self,
        method: str,
        path: str,
        *,
        service: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Iterator[http.client.HTTPResponse]:
        """Send one signed request; the answer's body is for the caller to read.

        Raises:
            ApiError: the status is 400 or more.
            ServerUnreachable: no answer came.
        """
        plain, _, query = path.partition("?")
        target = quote(plain, safe="/-_.~") + (f"?{query}" if query else "")
        signed = self._signed(method, target, service, dict(headers or {}), body)
        response = self._send(method, target, signed, body)
        try:
            if response.status >= 400:
                raise _error_of(response)
            yield response
        finally:
            if not response.isclosed():
                self.close()  # what was left unread would be taken for the next answer

    def alive(self) -> dict[str, Any] | None:
        """Return what ``/healthz`` says, or None when nothing sensible answers there."""
        try:
            response = self._send("GET", "/healthz", {}, b"")
            content = json.loads(response.read())
        except (ServerUnreachable, OSError, http.client.HTTPException, ValueError):
            self.close()
            return None
        return content if isinstance(content, dict) and "status" in content else None

    def close(self) -> None:
        """Close this thread's connection; the next request opens another."""
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is not None:
            connection.close()
            self._mine.connection = None

    def _signed(
        self, method: str, target: str, service: str, headers: dict[str, str], body: bytes
    ) -> dict[str, str]:
        keys = self.credentials
        signer = Signer(
            access_key=keys.access_key, secret=keys.secret_key, region=keys.region, service=service
        )
        return signer.sign(method, self.url + target, headers, body, self.now())

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> http.client.HTTPResponse:
        kept = getattr(self._mine, "connection", None) is not None
        try:
            return self._exchange(method, target, headers, body)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if not (kept and isinstance(error, (ConnectionError, http.client.BadStatusLine))):
                raise ServerUnreachable(f"no server answers at {self.url} ({error})") from error
        try:  # the server closed an idle connection: once more on a fresh one
            return self._exchange(method, target, headers, body)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise ServerUnreachable(f"no server answers at {self.url} ({error})") from error

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> http.client.HTTPResponse:
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            parts = urlsplit(self.url)
            kind = (
                http.client.HTTPSConnection
                if parts.scheme == "https"
                else http.client.HTTPConnection
            )
            connection = kind(parts.hostname or "", parts.port, timeout=self._timeout)
            self._mine.connection = connection
        connection.request(method, target, body=body, headers=dict(headers))
        return connection.getresponse()


def _error_of(response: http.client.HTTPResponse) -> ApiError:
    body = response.read()
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
