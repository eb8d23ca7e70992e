"""Takes aws-chunked framing off a body, checking each chunk's signature and the trailers'.

A client that does not know its checksum (or does not want to read a file twice) sends chunks:

    <size in hex>[;chunk-signature=<64 hex>] CRLF
    <that many bytes> CRLF
    ...
    0[;chunk-signature=<64 hex>] CRLF
    [<name>:<value> CRLF ...]                          trailers, announced in x-amz-trailer
    [x-amz-trailer-signature:<64 hex> CRLF]
    CRLF

Each signature continues the one before, the first that of the request's headers. A chunk may be as
large as the payload (the Go SDK sends one), so its bytes are handed on as they come and its
signature is checked at its end.

Source: "Signature calculations for the Authorization header: transferring payload in multiple
chunks" and "... including trailing headers" (Amazon S3 API Reference).
"""

import hmac
import re
from collections.abc import AsyncIterable, AsyncIterator, MutableMapping
from hashlib import sha256
from typing import Final

from trainshed.domain.errors import RequestRejected
from trainshed.wire import refusals
from trainshed.wire.sigv4 import Signed

LONGEST_LINE: Final = 8192
"""Bytes of one line of framing; real ones have about 100."""
MOST_TRAILERS: Final = 16
_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;chunk-signature=([0-9a-f]{64}))?")
_SIGNATURE: Final = "x-amz-trailer-signature"


def cut_short() -> RequestRejected:
    """A body that ended before its end."""
    return RequestRejected("IncompleteBody", "The request body terminated unexpectedly")


async def unframed(
    body: AsyncIterable[bytes], signed: Signed, trailers: MutableMapping[str, str]
) -> AsyncIterator[bytes]:
    """Yield the payload within ``body``; fill ``trailers`` (lower-cased names) at its end.

    Raises:
        RequestRejected: the framing is broken, or a signature is not right.
    """
    reader = _Reader(body)
    signs = signed.payload_hash.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    previous = signed.seed
    while True:
        head = _HEAD.fullmatch(await reader.line())
        if head is None or (signs and head[2] is None):
            raise malformed("a chunk must begin with its size in hex and, where signed, signature")
        size = left = int(head[1], 16)
        digest = sha256()
        while left:
            piece = await reader.some(left)
            left -= len(piece)
            if signs:
                digest.update(piece)
            yield piece
        if size and await reader.line():
            raise malformed("a chunk is longer than its size says")
        if signs:
            previous = _agreed(head[2], signed.chunk_signature(previous, digest.hexdigest()))
        if not size:
            break
    await _take_trailers(reader, trailers)
    if signed.payload_hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
        found = trailers.pop(_SIGNATURE, "").encode("latin-1")
        lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        _agreed(found, signed.trailer_signature(previous, lines.encode("latin-1")))


def malformed(detail: str) -> RequestRejected:
    """Framing that is not aws-chunked."""
    return RequestRejected("InvalidRequest", f"The aws-chunked body is malformed: {detail}.")


async def _take_trailers(reader: "_Reader", trailers: MutableMapping[str, str]) -> None:
    while line := await reader.line(or_end=True):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(trailers) >= MOST_TRAILERS:
            raise RequestRejected(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform "
                "to our published schema.",
            )
        trailers[name.strip().lower()] = value.strip()
    await reader.end()


def _agreed(found: bytes, expected: str) -> str:
    if not hmac.compare_digest(found, expected.encode()):
        raise refusals.mismatch("s3")
    return expected


class _Reader:
    """Lines and pieces of a stream; holds one piece of it and at most one line."""

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = aiter(source)
        self._held = b""
        self._at = 0

    async def line(self, *, or_end: bool = False) -> bytes:
        """Return the next line without its CRLF; "" at the end when that is allowed here."""
        while (end := self._held.find(b"\r\n", self._at)) < 0:
            rest = self._held[self._at :]
            if len(rest) > LONGEST_LINE:
                raise malformed(f"a line of framing has more than {LONGEST_LINE} bytes")
            piece = await anext(self._source, None)
            if piece is None:
                if or_end and not rest:
                    return b""
                raise cut_short()
            self._held, self._at = rest + piece, 0
        if end - self._at > LONGEST_LINE:
            raise malformed(f"a line of framing has more than {LONGEST_LINE} bytes")
        found = self._held[self._at : end]
        self._at = end + 2
        return found

    async def some(self, most: int) -> bytes:
        """Return at least one byte and at most ``most``."""
        while self._at >= len(self._held):
            piece = await anext(self._source, None)
            if piece is None:
                raise cut_short()
            self._held, self._at = piece, 0
        found = self._held[self._at : self._at + most]
        self._at += len(found)
        return found

    async def end(self) -> None:
        """Read to the end, where nothing but line ends may be left."""
        rest = self._held[self._at :]
        while not rest.strip(b"\r\n"):
            piece = await anext(self._source, None)
            if piece is None:
                return
            rest = piece
        raise malformed("there is something after its end")
