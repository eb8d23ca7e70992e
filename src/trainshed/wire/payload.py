"""A request's payload: read once, in pieces, and checked against all that was said about it.

The bytes arrive plainly or in aws-chunked framing (see ``chunked``). What is handed on is the
payload alone, piece by piece as it arrives; nothing is kept. The verdict falls at the end, so
whoever reads a payload must not rely on it before the iteration has ended well and ``check`` has
seen its digests.

Checked are the length, ``x-amz-content-sha256``, ``Content-MD5``, the signatures of chunks, and the
checksum, whether it comes in a header or in a trailer. Digests are not computed here: a gigabyte
keeps a core busy for seconds, and this is the thread that answers everybody else.
"""

import base64
import binascii
import hmac
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainshed.domain import digests
from trainshed.domain.errors import RequestRejected
from trainshed.wire.canonical import UNSIGNED
from trainshed.wire.chunked import cut_short, unframed
from trainshed.wire.sigv4 import STREAMING, Signed

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
"""ASGI's ``receive``."""

_CHECKSUMS: Final = {f"x-amz-checksum-{name.lower()}": name for name in digests.SIZES}
"""Algorithms by the header or trailer that carries their value."""


class Incoming:
    """The bytes of one request as the HTTP server hands them over."""

    def __init__(self, receive: Receive, *, empty: bool) -> None:
        """Take ASGI's ``receive``; ``empty`` when the headers announce no body."""
        self._receive = receive
        self.complete = empty
        """Whether everything the client had to send has been received."""

    def __aiter__(self) -> "Incoming":
        """Iterate over what is still to come."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            RequestRejected: the client went away in the middle.
        """
        while not self.complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.complete = True
                raise cut_short()
            self.complete = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            if piece:
                return piece
        raise StopAsyncIteration

    async def gone(self) -> None:
        """Return once the client has gone. Whatever it still sends is dropped."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Payload:
    """A ``message.Body`` over a request's bytes."""

    def __init__(
        self,
        incoming: AsyncIterable[bytes],
        headers: Mapping[str, str],
        signed: Signed,
        *,
        checksums: bool = True,
    ) -> None:
        """Read what the headers say about the payload; no byte is read yet.

        Args:
            incoming: the body as sent.
            headers: lower-cased names.
            signed: the proof of the request, which says how the payload is vouched for.
            checksums: False where ``x-amz-checksum-*`` headers tell of something other than this
                payload.

        Raises:
            RequestRejected: a header that cannot be read.
        """
        framed = signed.payload_hash in STREAMING
        self.length: int | None = _length(
            headers, "x-amz-decoded-content-length" if framed else "content-length"
        )
        trailers: dict[str, str] = {}
        self.trailers: Mapping[str, str] = trailers
        self._checks: list[_Check] = []
        self._promised = [
            name.strip().lower()
            for name in headers.get("x-amz-trailer", "").split(",")
            if framed and name.strip()
        ]
        if not framed and signed.payload_hash != UNSIGNED:
            expected = bytes.fromhex(signed.payload_hash)
            self._checks.append(_Check("SHA256", expected, _other_hash()))
        if (md5 := headers.get("content-md5")) is not None:
            invalid = RequestRejected("InvalidDigest", "The Content-MD5 you specified was invalid.")
            self._checks.append(_Check("MD5", _decoded(md5, 16, invalid), _other_md5()))
        self._take_checksums(headers if checksums else {})
        late = {_CHECKSUMS[name] for name in self._promised if name in _CHECKSUMS}
        self.digests = frozenset({check.algorithm for check in self._checks} | late)
        self._pieces: AsyncIterator[bytes] | None = aiter(
            unframed(incoming, signed, trailers) if framed else incoming
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the payload.

        Raises:
            RequestRejected: its length or framing is not what was announced, or a chunk's
                signature is not right.
        """
        pieces, self._pieces = self._pieces, None
        if pieces is None:
            raise RuntimeError("a payload can be read only once")
        received = 0
        async for piece in pieces:
            received += len(piece)
            if self.length is not None and received > self.length:
                raise _wrong_length(self.length, received)
            yield piece
        if self.length is not None and received != self.length:
            raise _wrong_length(self.length, received)
        self._take_trailers()

    def check(self, found: Mapping[str, bytes]) -> None:
        """Compare what was announced with the digests of what came; see ``message.Body``.

        Raises:
            RequestRejected: it is another payload than was meant.
        """
        for check in self._checks:
            if not hmac.compare_digest(check.expected, found[check.algorithm]):
                raise check.refusal

    async def whole(self, *, limit: int, refusal: RequestRejected) -> bytes:
        """Return all of a small payload, at most ``limit`` bytes, checked.

        Raises:
            RequestRejected: ``refusal`` when there is more; or it is not what was announced.
        """
        data = await gathered(self, limit=limit, refusal=refusal)
        self.check(digests.digests(self.digests, data))
        return data

    def _take_checksums(self, headers: Mapping[str, str]) -> None:
        named = [name for name in _CHECKSUMS if name in headers or name in self._promised]
        if len(named) > 1:
            raise RequestRejected(
                "InvalidRequest",
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
                "allowed.",
            )
        for name in named:
            if name in headers:
                self._expect_checksum(name, headers[name])

    def _take_trailers(self) -> None:
        if sorted(self.trailers) != sorted(self._promised):
            raise RequestRejected(
                "MalformedTrailerError",
                "The request's trailers are not those that its x-amz-trailer header announced: "
                f"expected {self._promised}, found {list(self.trailers)}.",
            )
        for name, value in self.trailers.items():
            if name in _CHECKSUMS:
                self._expect_checksum(name, value)

    def _expect_checksum(self, name: str, value: str) -> None:
        algorithm = _CHECKSUMS[name]
        invalid = RequestRejected("InvalidRequest", f"Value for {name} header is invalid.")
        refusal = RequestRejected(
            "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
        )
        expected = _decoded(value, digests.SIZES[algorithm], invalid)
        self._checks.append(_Check(algorithm, expected, refusal))


async def gathered(pieces: AsyncIterable[bytes], *, limit: int, refusal: RequestRejected) -> bytes:
    """Return all of a small body, at most ``limit`` bytes.

    Raises:
        RequestRejected: ``refusal`` when there is more.
    """
    parts: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise refusal
        parts.append(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def inflated(body: bytes, *, limit: int, refusal: RequestRejected) -> bytes:
    """Return a gzip-compressed ``body`` as it was, at most ``limit`` bytes.

    botocore compresses large requests of services such as CloudWatch.

    Raises:
        RequestRejected: ``refusal`` when there is more, or another when it is no gzip.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestRejected(
            "SerializationException", f"Content-Encoding is gzip, the body is not: {error}."
        ) from error
    if len(plain) > limit:
        raise refusal
    if not stream.eof:
        raise RequestRejected("SerializationException", "The gzip-compressed body is cut short.")
    return plain


@dataclass(frozen=True, slots=True)
class _Check:
    algorithm: str
    expected: bytes
    refusal: RequestRejected


def _length(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise RequestRejected("InvalidArgument", f"{name} must be a number of bytes: '{value}'.")
    return int(value)


def _decoded(value: str, size: int, invalid: RequestRejected) -> bytes:
    try:
        found = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid from error
    if len(found) != size:
        raise invalid
    return found


def _wrong_length(expected: int, received: int) -> RequestRejected:
    return RequestRejected(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header: "
        f"{expected} were announced, {received} came.",
    )


def _other_hash() -> RequestRejected:
    return RequestRejected(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )


def _other_md5() -> RequestRejected:
    return RequestRejected(
        "BadDigest", "The Content-MD5 you specified did not match what we received."
    )
