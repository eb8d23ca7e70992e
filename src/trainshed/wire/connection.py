"""One HTTP connection: uvicorn's, its headers bounded, head and body of an answer sent at once.

uvicorn collects headers for as long as a client sends some, before anybody has asked for a
signature; and it writes head and body one after the other, which costs a small answer a tenth of
its time.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD: Final = 512 * 1024
"""Bytes of an address and headers without an end. Real ones have some 10 KiB at most; the bound is
above one read from a socket, which may begin with the end of another request."""
_HELD: Final = 64 * 1024
"""Bytes that wait for more of the same answer."""


class Connection(HttpToolsProtocol):
    """Give it to ``uvicorn.Config`` as ``http``."""

    _head: int | None = None
    """Bytes read of a head that has not ended; None outside of one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]

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
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _HELD:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(b"".join(self._held))
        self._held.clear()
        self._size = 0
