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
from trainshed.wire.payload import Incoming, Receive
from trainshed.wire.protocols import HttpResponse

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""ASGI's ``send``."""

PIECE: Final = 1024 * 1024
"""Bytes of a file read at once: the hop to a thread costs less than a tenth of the read."""
LINGER: Final = 10.0
"""Seconds for which a client may go on sending what nobody wants."""
MOST_DROPPED: Final = 64 * 1024 * 1024
"""Bytes dropped that way before the connection is closed in the client's face."""

_NOT_IN_HEADERS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_BODY: Final = frozenset({204, 304})


def opening(response: HttpResponse, *, close: bool) -> dict[str, Any]:
    """Return the ASGI message that starts ``response``.

    Args:
        response: what to send; the length is added where it is known and not stated.
        close: tell the client that this connection ends here.

    Raises:
        RequestRejected: a header would hold line breaks or other control characters, which only
            the request can have put there.
    """
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


async def send_response(
    opened: dict[str, Any],
    response: HttpResponse,
    incoming: Incoming,
    send: Send,
    *,
    receive: Receive,
    head: bool,
) -> None:
    """Send ``response``, started with the message ``opened``.

    A client that goes away is no error: what is left is not sent.
    """
    body = response.body
    if head or response.status in _WITHOUT_BODY:
        body = b""
    elif isinstance(body, File) and body.length <= PIECE:
        body = await asyncio.to_thread(_read, body)
    await send(opened)
    if isinstance(body, bytes) and incoming.complete:
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body, "more_body": True})
    elif isinstance(body, File):
        async with aclosing(_pieces(body)) as pieces:
            await _stream(pieces, incoming, send, receive)
    else:
        await _stream(body, incoming, send, receive)
    if not incoming.complete:
        await _linger(incoming)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _stream(
    pieces: AsyncIterator[bytes], incoming: Incoming, send: Send, receive: Receive
) -> None:
    """Send ``pieces`` until they end or the client is gone, which servers tell by ``receive``."""
    if not incoming.complete:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        return
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(_gone(receive))
        async for piece in pieces:
            if gone.done():
                break
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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


async def _pieces(file: File) -> AsyncGenerator[bytes, None]:
    descriptor = await asyncio.to_thread(os.open, file.path, os.O_RDONLY)
    try:
        done = 0
        while done < file.length:
            most = min(file.length - done, PIECE)
            piece = await asyncio.to_thread(os.pread, descriptor, most, file.offset + done)
            if not piece:
                raise _shrunk(file)
            done += len(piece)
            yield piece
    finally:
        os.close(descriptor)


def _read(file: File) -> bytes:
    with file.path.open("rb", buffering=0) as opened:
        found = os.pread(opened.fileno(), file.length, file.offset)
    if len(found) != file.length:
        raise _shrunk(file)
    return found


def _shrunk(file: File) -> OSError:
    return OSError(f"{file.path} ends before byte {file.offset + file.length}, which was promised")


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
