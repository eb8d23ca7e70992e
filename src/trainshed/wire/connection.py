"""One HTTP connection: uvicorn's, its headers bounded, bodies not copied around.

uvicorn collects headers for as long as a client sends some, before anybody has asked for a
signature; it writes head and body one after the other, which costs a small answer a tenth of its
time; it knows no sendfile, which saves a large one two copies of every byte; and it copies what
comes in three times, all on the one thread that answers everybody.
"""

import asyncio
import contextlib
import os
from collections import deque
from functools import partial
from typing import Any, Final

from httptools import HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from trainshed.wire.sending import FILES

MOST_HEAD: Final = 512 * 1024
"""Bytes of an address and headers without an end. Real ones have some 10 KiB at most; the bound is
above one read from a socket, which may begin with the end of another request."""
_HELD: Final = 64 * 1024
"""Bytes that wait for more of the same answer."""
_STRETCH: Final = 16 * 1024 * 1024
"""Bytes of a file given to the kernel at once; a socket takes some megabytes before it is full."""
_LONG: Final = 256 * 1024
"""Bytes still to come of a body, from which on it goes past the parser."""
_READ: Final = 1024 * 1024
"""Bytes of such a body read at once."""


class Connection(HttpToolsProtocol):
    """Give it to ``uvicorn.Config`` as ``http``."""

    _head: int | None = None
    """Bytes read of a head that has not ended; None outside of one."""
    _body: "_LongBody | None" = None
    """What all that comes belongs to; None where the parser is to tell."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._joined = _Joined(transport, self.loop)
        super().connection_made(self._joined)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Take what has come; close the connection when a head has no end."""
        if self._body is not None and self._body.left:
            self._unset_keepalive_if_required()
            data = self._body.take(data)
            if not data:
                return
        before = self.cycle
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > MOST_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's address and headers are too long.")
        elif self.cycle is not before and self.cycle.more_body:
            self._pass_by(self.cycle)

    def on_message_begin(self) -> None:
        """Count from here."""
        super().on_message_begin()
        self._head = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. What is sent behind a body, nobody reads: it is dropped."""
        if self._head is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Count no further."""
        self._head = None
        super().on_headers_complete()
        if self.transport.get_extra_info("sslcontext") is None:
            cycle = self.cycle
            cycle.scope["extensions"] = {FILES: partial(self._send_file, cycle)}  # type: ignore[dict-item]

    def _pass_by(self, cycle: RequestResponseCycle) -> None:
        """Let what is left of a request's body go past the parser, where it is long."""
        headers = dict(self.headers)
        length = int(headers.get(b"content-length", 0))
        left = length - len(cycle.body)
        if left < _LONG or b"transfer-encoding" in headers or self.parser.should_upgrade():
            return
        self._body = _LongBody(cycle, self.flow, self.transport, left)
        # The old one would go on waiting for this body.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    async def _send_file(
        self, cycle: RequestResponseCycle, file: int, offset: int, length: int
    ) -> None:
        """Send a stretch of an open file as the next bytes of an answer of known length.

        Ends early, without an error, when the client has gone.
        """
        self._joined.flush()
        self.transport.set_write_buffer_limits(high=0)
        try:
            await cycle.flow.drain()  # what was written before must leave before
        finally:
            self.transport.set_write_buffer_limits()
        if cycle.disconnected or self.transport.is_closing():
            return
        # A descriptor of its own: the loop lets nobody else watch that of a transport.
        target = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            await _carry(file, target, offset, length)
            cycle.expected_content_length -= length
        except ConnectionError:
            cycle.disconnected = True
            self.transport.abort()
        finally:
            os.close(target)


class _LongBody:
    """What is left of a request's body of known length, handed on as it comes from the socket."""

    def __init__(
        self,
        cycle: RequestResponseCycle,
        flow: FlowControl,
        transport: asyncio.Transport,
        left: int,
    ) -> None:
        self.left = left
        """Bytes still to come."""
        self._cycle = cycle
        self._flow = flow
        self._transport = transport
        self._pieces = deque([bytes(cycle.body)])
        self._held = len(cycle.body)
        self._receive = cycle.receive
        cycle.body.clear()
        cycle.receive = self.receive  # type: ignore[method-assign]

    def take(self, data: bytes) -> bytes:
        """Take what belongs to the body; return what comes behind it."""
        piece, behind = data[: self.left], data[self.left :]
        self.left -= len(piece)
        if not self._cycle.response_complete:  # else nobody will ask for it
            self._pieces.append(piece)
            self._held += len(piece)
            if self._held > HIGH_WATER_LIMIT:
                self._flow.pause_reading()
            self._cycle.more_body = self.left > 0
            self._cycle.message_event.set()
        return behind

    async def receive(self) -> Any:  # noqa: ANN401 - ASGI's messages
        """Return the next piece, as ASGI's ``receive``."""
        cycle = self._cycle
        if self.left and not self._pieces:
            await asyncio.sleep(0)  # a quick client is not the only one
            self._read()
        while cycle.disconnected or cycle.response_complete or not self._pieces:
            # It says "100 Continue", has the socket read again, and waits.
            message: Any = await self._receive()
            if message["type"] == "http.disconnect" or not (self._pieces or message["more_body"]):
                return message
        piece = self._pieces.popleft()
        self._held -= len(piece)
        more = cycle.more_body or bool(self._pieces)
        return {"type": "http.request", "body": piece, "more_body": more}

    def _read(self) -> None:
        """Take what has come already, in larger pieces than the event loop reads.

        Where nothing has, or the client has gone, the event loop will tell.
        """
        transport = self._transport
        if transport.is_closing() or transport.get_extra_info("sslcontext") is not None:
            return
        with contextlib.suppress(OSError):
            data = os.read(transport.get_extra_info("socket").fileno(), min(self.left, _READ))
            if data:
                self.take(data)


async def _carry(file: int, target: int, offset: int, length: int) -> None:
    """Have the kernel copy from a file to a socket that does not block."""
    loop = asyncio.get_running_loop()
    while length:
        try:
            # On a thread: the file may have to come from the disk first.
            size = min(length, _STRETCH)
            sent = await asyncio.to_thread(os.sendfile, target, file, offset, size)
        except BlockingIOError:
            writable = asyncio.Event()
            loop.add_writer(target, writable.set)
            try:
                await writable.wait()
            finally:
                loop.remove_writer(target)
            continue
        if not sent:
            raise OSError(f"the file ends {length} bytes before what was promised")
        offset, length = offset + sent, length - sent


class _Joined:
    """A transport that sends what is written within one turn of the event loop at once."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> object:
        attribute: object = getattr(self._transport, name)
        return attribute

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _HELD:
            self.flush()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(b"".join(self._held))
        self._held.clear()
        self._size = 0
