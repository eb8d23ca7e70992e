"""One HTTP/1.1 connection: a request goes out, the answer comes into the caller's memory.

The standard library's client takes more processor time for the head of an answer than a small
object takes for everything else: network, checksum and file together (see docs/benchmarks.md).
"""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import httptools

from trainshed.stores.objects.remote.places import Body

_READ: Final = 32 << 10
"""Bytes that are read to find an answer's head, or the next chunks of a body cut into such."""
_JOINED: Final = 64 << 10
"""Bytes of a body that go out in one piece with the head."""
_HEAD: Final = 256 << 10
"""Bytes of a head at most."""
_PROBES: Final = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
"""A server whose machine went away is noticed after 40 seconds, even while it owes nothing."""


class BadAnswer(Exception):
    """What came is not HTTP, or ended in its middle."""


class Connection:
    """A connection to one server, for one request after the other. Not for two threads at once."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, *, silence_s: float
    ) -> None:
        """Connect, by TLS if there is a ``context``; bear ``silence_s`` seconds of silence.

        Raises:
            OSError: there is no connection.
        """
        connected = socket.create_connection((host, port), silence_s)
        with contextlib.ExitStack() as undo:
            undo.callback(connected.close)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _PROBES:
                if hasattr(socket, name):
                    connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            self._socket = (
                context.wrap_socket(connected, server_hostname=host) if context else connected
            )
            undo.pop_all()
        self._buffer = bytearray(_READ)

    def send(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> None:
        """Send a request; ``headers`` say how long its body is.

        Raises:
            OSError: the connection broke. The server may have answered before it did.
        """
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        if not isinstance(body, bytes | bytearray | memoryview):
            self._socket.sendall(head)
            for piece in body:
                self._socket.sendall(piece)
        elif len(body) <= _JOINED:
            self._socket.sendall(b"".join((head, body)))
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)

    def answered(self, method: str) -> "Incoming":
        """Return the answer to what was sent, as soon as its head is there.

        Raises:
            OSError: the connection broke.
            BadAnswer: it ended before the answer did, or what came is not HTTP.
        """
        return Incoming(self._socket, self._buffer, method)

    def bear(self, silence_s: float) -> None:
        """Bear so many seconds of silence from now on."""
        self._socket.settimeout(silence_s)

    def cut(self) -> None:
        """Break it off; may be called while another thread waits for what comes."""
        with contextlib.suppress(OSError):  # it was closed meanwhile
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class Incoming:
    """An answer whose head is there, and whose body is on its way."""

    def __init__(self, connected: socket.socket, buffer: bytearray, method: str) -> None:
        """Read the head that is due on a connection; ``buffer`` is free to be used.

        Args:
            connected: where it comes.
            buffer: for what is neither the caller's nor wanted.
            method: what was asked; the answer to HEAD has no body.
        """
        self._socket = connected
        self._buffer = buffer
        self._told = _Told()
        self._read_head()
        self.status = self._told.status
        self.headers = self._told.headers
        """By lower-case name; one that came more than once has its values joined by commas."""
        if method == "HEAD":
            self._told.complete = True
        self.length = self._length()
        """Bytes of the body; None when the server does not say."""
        self._left = (self.length or 0) - sum(map(len, self._told.body))
        if self.length is not None:
            # All that follows is the body. The two know each other, and would wait to be collected.
            self._told.parser = None

    @property
    def reusable(self) -> bool:
        """Whether the connection has nothing more of this answer, and stays open."""
        return self._ended and self._told.lasting

    def into(self, buffer: memoryview) -> int:
        """Read the next bytes of the body; 0 at its end, also one that comes too early.

        Raises:
            OSError: the connection broke.
            BadAnswer: what came is not HTTP.
        """
        if not buffer:
            return 0
        while not self._told.body:
            if self._ended:
                return 0
            if self.length is not None:
                count = self._socket.recv_into(buffer[: self._left])
                self._left -= count
                return count
            if not self._feed():
                return 0
        piece = self._told.body.popleft()
        count = min(len(piece), len(buffer))
        buffer[:count] = piece[:count]
        if count < len(piece):
            self._told.body.appendleft(piece[count:])
        return count

    def read(self) -> bytes:
        """Return the rest of the body.

        Raises:
            OSError: the connection broke.
            BadAnswer: what came is not HTTP, or ended too early.
        """
        pieces, room = [], memoryview(self._buffer)
        while count := self.into(room):
            pieces.append(bytes(room[:count]))
        if not self._ended and (self.length is not None or self._told.cut):
            raise BadAnswer("the connection ended in the middle of an answer")
        return b"".join(pieces)

    @property
    def _ended(self) -> bool:
        if self._told.body:
            return False
        return self._told.complete or (self.length is not None and not self._left)

    def _length(self) -> int | None:
        if self._told.complete:
            return sum(map(len, self._told.body))
        text = self.headers.get("content-length", "")
        return int(text) if text and not self._told.cut else None

    def _read_head(self) -> None:
        come = 0
        while not self._told.headed:
            if come > _HEAD:
                raise BadAnswer(f"the head of an answer has more than {_HEAD} bytes")
            count = self._feed()
            if not count:
                raise BadAnswer("the connection ended before an answer")
            come += count

    def _feed(self) -> int:
        """Read and understand what comes; return how many bytes."""
        count = self._socket.recv_into(self._buffer)
        try:
            self._told.parser.feed_data(memoryview(self._buffer)[:count])
        except httptools.HttpParserError as error:
            raise BadAnswer(f"the answer is not HTTP: {error}") from error
        return count


class _Told:
    """What an answer has told so far; called by the parser."""

    def __init__(self) -> None:
        self.parser: Any = httptools.HttpResponseParser(self)
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body: deque[bytes] = deque()
        self.headed = self.complete = self.cut = self.lasting = False

    def on_header(self, name: bytes, value: bytes) -> None:
        known, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if known in self.headers:
            text = f"{self.headers[known]}, {text}"
        self.headers[known] = text

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.cut = "transfer-encoding" in self.headers
        self.lasting = self.parser.should_keep_alive()
        # What only says that the real answer will come is none.
        self.headed = self.status >= 200

    def on_body(self, piece: bytes) -> None:
        self.body.append(piece)

    def on_message_complete(self) -> None:
        self.complete = self.headed
