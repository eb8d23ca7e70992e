"""One HTTP connection: uvicorn's, its headers bounded, answers sent at once, files by the kernel.

uvicorn collects headers for as long as a client sends some, before anybody has asked for a
signature; it writes head and body one after the other, which costs a small answer a tenth of its
time; and it knows no sendfile, which saves a large one two copies of every byte.
"""

import asyncio
import os
from functools import partial
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from trainshed.wire.sending import FILES

MOST_HEAD: Final = 512 * 1024
"""Bytes of an address and headers without an end. Real ones have some 10 KiB at most; the bound is
above one read from a socket, which may begin with the end of another request."""
_HELD: Final = 64 * 1024
"""Bytes that wait for more of the same answer."""
_STRETCH: Final = 16 * 1024 * 1024
"""Bytes of a file given to the kernel at once; a socket takes some megabytes before it is full."""


class Connection(HttpToolsProtocol):
    """Give it to ``uvicorn.Config`` as ``http``."""

    _head: int | None = None
    """Bytes read of a head that has not ended; None outside of one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._joined = _Joined(transport, self.loop)
        super().connection_made(self._joined)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Take what has come; close the connection when a head has no end."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > MOST_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's address and headers are too long.")

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
