"""Sends an answer over ASGI: its length, its body from memory, a file or an iterator.

An answer may be ready before the client has sent all of its request: a refusal, mostly. Closing
the connection then would reset it, and the client would see a broken pipe instead of the reason.
So the answer goes out, and what still comes is read and dropped for a while.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from trainshed.domain.errors import RequestRejected
from trainshed.wire.message import File
from trainshed.wire.payload import Incoming
from trainshed.wire.protocols import HttpResponse

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""ASGI's ``send``."""

SendFile = Callable[[int, int, int], Awaitable[None]]
"""Sends a stretch of an open file: its descriptor, offset, length."""
FILES: Final = "trainshed.sendfile"
"""Under ``extensions`` in ASGI's scope: a ``SendFile``, where the server has one."""

PIECE: Final = 1024 * 1024
"""Bytes of a file read at once: the hop to a thread costs less than a tenth of the read."""
LINGER: Final = 10.0
"""Seconds for which a client may go on sending what nobody wants."""
MOST_DROPPED: Final = 64 * 1024 * 1024
"""Bytes dropped that way before the connection is closed in the client's face."""

_NOT_IN_HEADERS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_BODY: Final = frozenset({204, 304})


class Sender:
    """Sends the one answer of one request."""

    def __init__(
        self,
        send: Send,
        incoming: Incoming,
        *,
        head: bool,
        send_file: SendFile | None = None,
    ) -> None:
        """Take ASGI's ``send``; ``head`` when no body may follow."""
        self._send = send
        self._by_kernel = send_file
        self._incoming = incoming
        self._head = head
        self.started = False
        """Whether anything has been sent, so that no other answer can be."""
        self.status = 0
        """Of the answer; 0 while there is none."""

    async def send(self, response: HttpResponse) -> None:
        """Send ``response``; the length is added where it is known and not stated.

        A client that goes away is no error: what is left is not sent.

        Raises:
            RequestRejected: nothing was sent, because a header would hold control characters
                (which only the request can have put there) or the file to send is gone.
        """
        start = _start(response, close=not self._incoming.complete)
        self.status = response.status
        body = response.body
        if self._head or response.status in _WITHOUT_BODY:
            body = b""
        if isinstance(body, File):
            await self._send_file(start, body)
            return
        await self._begin(start)
        if isinstance(body, bytes):
            await self._send(_piece(body, more=not self._incoming.complete))
            if self._incoming.complete:
                return
        else:
            await self._stream(body)
        await self._end()

    async def _send_file(self, start: dict[str, Any], file: File) -> None:
        descriptor, first = await asyncio.to_thread(_begun, file)
        try:
            await self._begin(start)
            await self._send(_piece(first, more=True))
            if len(first) < file.length and self._by_kernel is not None:
                done = len(first)
                await self._by_kernel(descriptor, file.offset + done, file.length - done)
            elif len(first) < file.length:
                async with aclosing(_pieces(descriptor, file, len(first))) as rest:
                    await self._stream(rest)
        finally:
            os.close(descriptor)
        await self._end()

    async def _begin(self, start: dict[str, Any]) -> None:
        self.started = True
        await self._send(start)

    async def _end(self) -> None:
        if not self._incoming.complete:
            await _linger(self._incoming)
        await self._send(_piece(b"", more=False))

    async def _stream(self, pieces: AsyncIterator[bytes]) -> None:
        """Send until the pieces end or the client is gone, which servers tell by ``receive``."""
        if not self._incoming.complete:
            async for piece in pieces:
                await self._send(_piece(piece, more=True))
            return
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(self._incoming.gone())
            async for piece in pieces:
                if gone.done():
                    break
                await self._send(_piece(piece, more=True))
            gone.cancel()


def _start(response: HttpResponse, *, close: bool) -> dict[str, Any]:
    bodiless = response.status in _WITHOUT_BODY
    headers: list[tuple[bytes, bytes]] = []
    length = _length(response.body)
    for name, value in response.headers:
        lowered = name.lower()
        if lowered == "content-length":
            length = None
            if bodiless:
                continue
        headers.append((lowered.encode("latin-1"), _header_value(lowered, value)))
    if length is not None and not bodiless:
        headers.append((b"content-length", b"%d" % length))
    if close:
        headers.append((b"connection", b"close"))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


def _piece(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _linger(incoming: Incoming) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(LINGER):
            async for piece in incoming:
                dropped += len(piece)
                if dropped > MOST_DROPPED:
                    return
    except (TimeoutError, RequestRejected):
        return


def _begun(file: File) -> tuple[int, bytes]:
    """Open a file; return its descriptor and the first piece to send.

    In one go, because most files have no second piece, and each hop to a thread takes its time.
    """
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        # Whoever replaces an object removes its old file, perhaps just now. Clients try again.
        raise RequestRejected(
            "ServiceUnavailable", "What was asked for has just been replaced. Try again.", 503
        ) from error
    try:
        return descriptor, _read(descriptor, file, 0)
    except OSError:
        os.close(descriptor)
        raise


async def _pieces(descriptor: int, file: File, done: int) -> AsyncGenerator[bytes, None]:
    while done < file.length:
        piece = await asyncio.to_thread(_read, descriptor, file, done)
        done += len(piece)
        yield piece


def _read(descriptor: int, file: File, done: int) -> bytes:
    most = min(file.length - done, PIECE)
    found = os.pread(descriptor, most, file.offset + done)
    if most and not found:
        raise OSError(f"{file.path} ends {file.length - done} bytes before what was promised")
    return found


def _length(body: bytes | File | AsyncIterator[bytes]) -> int | None:
    if isinstance(body, bytes):
        return len(body)
    return body.length if isinstance(body, File) else None


def _header_value(name: str, value: str) -> bytes:
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        encoded = value.encode()
    if _NOT_IN_HEADERS.search(encoded):
        raise RequestRejected(
            "InvalidArgument", f"The header {name} cannot hold control characters: {value!r}."
        )
    return encoded
