"""Connections to one S3 server, kept open between requests and lent to one thread at a time."""

import contextlib
import datetime
import hashlib
import ssl
import threading
import weakref
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from trainshed.stores.objects.remote import signing
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.http1 import BadAnswer, Connection
from trainshed.stores.objects.remote.places import Body
from trainshed.stores.objects.remote.troubles import StoreAway

_SILENCE_S: Final = 60.0
"""How long a server may say nothing: when it reads a body, or sends one."""
_WORK_S: Final = 600.0
"""How long it may work on an answer; joining the parts of a large object takes minutes."""
_KEPT: Final = 32
"""Connections that are kept open unused."""
_FAULTS: Final = (OSError, BadAnswer)


class Answer:
    """What a server answered; its body is still to be read, unless ``read`` was called.

    Close it: a connection whose answer was read to its end is used again.
    """

    def __init__(self, pool: "Connections", connection: Connection, asked: tuple[str, str]) -> None:
        """Read the head of the answer that is due on ``connection``.

        Args:
            pool: takes the connection back.
            connection: where the answer comes.
            asked: the method, and what was asked for, in words.
        """
        method, self._what = asked
        self._pool = pool
        self._connection = connection
        self._closed = False
        self._incoming = connection.answered(method)
        self.status = self._incoming.status
        self.length = self._incoming.length
        """Bytes of the body; None when the server does not say."""
        self.headers = self._incoming.headers
        """By lower-case name."""

    def header(self, name: str) -> str:
        """Return a header, by its lower-case name; "" when there is none."""
        return self.headers.get(name, "")

    def read(self) -> bytes:
        """Return the whole body; raise ``StoreAway`` when it breaks off."""
        try:
            return self._incoming.read()
        except _FAULTS as error:
            raise self._broken(error) from error

    def into(self, buffer: memoryview) -> int:
        """Read the next bytes of the body; 0 at its end.

        Raises:
            StoreAway: the connection broke. An end that comes too early is the caller's to see.
        """
        try:
            return self._incoming.into(buffer)
        except _FAULTS as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Give the connection back, or close it when there is more on it than anybody read.

        A second call changes nothing: the connection may have been lent to somebody else since.
        """
        if self._closed:
            return
        self._closed = True
        if self._incoming.reusable:
            self._pool.keep(self._connection)
        else:
            self._connection.close()

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _broken(self, error: Exception) -> StoreAway:
        return StoreAway(f"{self._what}: the connection broke: {error!r}")


class Connections:
    """Asks one server. Safe to share between threads."""

    def __init__(self, access: Access) -> None:
        """Ask ``access.endpoint``, or Amazon's own in its region."""
        self._access = access
        url = urlsplit(access.endpoint or f"https://s3.{access.region}.amazonaws.com")
        self._host = url.netloc
        self._base = url.path.rstrip("/")
        self._context = ssl.create_default_context() if url.scheme == "https" else None
        name = url.hostname or ""
        self._address = name, url.port or (443 if self._context else 80)
        loopback = name in {"localhost", "::1"} or name.startswith("127.")
        self._guarded = loopback or self._context is not None
        self.own = access.own
        """Whether the server's own store is asked."""
        self._idle: list[Connection] = []
        self._open: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._cut = False
        self._lock = threading.Lock()
        # Nobody says when they are done; the list outlives this object until it is emptied.
        weakref.finalize(self, _close, self._idle)

    def ask(
        self,
        method: str,
        where: tuple[str, str],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> Answer:
        """Return the answer to one signed request.

        Args:
            method: such as GET.
            where: bucket and key; "" as the key asks the bucket.
            query: what stands behind the question mark.
            headers: lower-case names; ``content-length`` when ``body`` has no length.
            body: bytes, or memory in pieces; a guarded one (by a checksum among ``headers``)
                is not signed where nobody on the way could change it.

        Raises:
            StoreAway: there is no answer.
        """
        path, text = self._base + signing.path_of(*where), signing.query_of(query or {})
        sent = {"host": self._host, **(headers or {})}
        if isinstance(body, bytes | bytearray | memoryview) and (body or method in {"PUT", "POST"}):
            sent["content-length"] = str(len(body))
        now = datetime.datetime.now(datetime.UTC)
        signature = signing.signed(
            self._access, (method, path, text), sent, self._hash(body, sent), now
        )
        target = f"{path}?{text}" if text else path
        what = f"s3://{where[0]}/{where[1]}"
        # A kept connection may have been closed meanwhile; only a new one proves the server away.
        if (kept := self._kept(repeatable=method != "POST")) is not None:
            with contextlib.suppress(*_FAULTS):
                return self._sent(kept, (method, target, what), signature, body)
        try:
            new = Connection(*self._address, self._context, silence_s=_SILENCE_S)
            return self._sent(new, (method, target, what), signature, body)
        except _FAULTS as error:
            raise StoreAway(f"{what}: {self._host} does not answer: {error}") from error

    def keep(self, connection: Connection) -> None:
        """Take a connection back that owes no answer."""
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def cut(self) -> None:
        """Break off what is under way in any thread, and refuse all that follows: ``StoreAway``."""
        with self._lock:
            self._cut = True
            for connection in self._open:
                connection.cut()

    def _kept(self, *, repeatable: bool) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle and repeatable else None

    def _sent(
        self,
        connection: Connection,
        asked: tuple[str, str, str],
        headers: Mapping[str, str],
        body: Body,
    ) -> Answer:
        method, target, what = asked
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            with self._lock:
                self._open.add(connection)
                if self._cut:
                    raise BadAnswer("requests were broken off")
            # A server that refuses a body answers before it has read it, and may close at once.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(method, target, headers, body)
            works = method in {"PUT", "POST"}
            if works:
                connection.bear(_WORK_S)
            answer = Answer(self, connection, (method, what))
            if works:
                connection.bear(_SILENCE_S)
            undo.pop_all()
        return answer

    def _hash(self, body: Body, headers: Mapping[str, str]) -> str:
        if not body:
            return signing.EMPTY
        if not isinstance(body, bytes | bytearray | memoryview):
            return signing.UNSIGNED
        if self._guarded and _checked(headers):
            return signing.UNSIGNED
        return hashlib.sha256(body).hexdigest()


def _close(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def _checked(headers: Mapping[str, str]) -> bool:
    return "content-md5" in headers or any(name.startswith("x-amz-checksum-") for name in headers)
