"""Calls as the wire makes them, without the wire."""

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from trainshed.api.s3.operations import operations
from trainshed.domain.digests import SIZES, digest
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.remote.access import Access
from trainshed.wire.canonical import UNSIGNED
from trainshed.wire.message import Call, File, Reply
from trainshed.wire.payload import Payload
from trainshed.wire.sigv4 import Signed


def checksum(algorithm: str, data: bytes) -> str:
    """Return a checksum as headers carry it."""
    return base64.b64encode(digest(algorithm, data)).decode()


def payload(
    data: bytes, said: Mapping[str, Any] | None = None, trailers: Mapping[str, str] | None = None
) -> Payload:
    """Return a request's payload as it comes off the wire.

    ``said`` are the request's members; ``trailers`` come behind the payload.
    """
    headers = {"content-length": str(len(data))}
    for name, value in (said or {}).items():
        if name == "ContentMD5":
            headers["content-md5"] = value
        elif (algorithm := name.removeprefix("Checksum")) in SIZES:
            headers[f"x-amz-checksum-{algorithm.lower()}"] = value
    if trailers:
        headers["x-amz-trailer"] = ",".join(trailers)
        headers["x-amz-decoded-content-length"] = headers.pop("content-length")
        lines = "".join(f"{name}:{value}\r\n" for name, value in trailers.items()).encode()
        data = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(data), data, lines)
    unsigned = Signed(
        access_key="key",
        service="s3",
        region="",
        payload_hash="STREAMING-UNSIGNED-PAYLOAD-TRAILER" if trailers else UNSIGNED,
        seed="",
        stamp="",
        scope="",
        key=b"",
    )
    return Payload(_pieces(data), headers, unsigned)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 65_536):
        yield data[at : at + 65_536]


class Caller:
    """Asks a store's operations by name."""

    def __init__(self, store: EmbeddedObjects, *elsewhere: Access) -> None:
        self.store = store
        self._table = operations(store, partial(datetime.now, UTC), elsewhere=elsewhere)

    async def reply(self, operation: str, region: str = "us-east-1", **params: Any) -> Reply:
        """Carry out an operation; a plain answer becomes a ``Reply``."""
        if isinstance(params.get("Body"), bytes):
            params["Body"] = payload(params["Body"], params)
        call = Call(
            service="s3",
            operation=operation,
            params=params,
            region=region,
            access_key="key",
            request_id="1",
            host="127.0.0.1:9",
        )
        answer = await self._table["s3", operation](call)
        return answer if isinstance(answer, Reply) else Reply(result=answer)

    async def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        """Carry out an operation and return the members of its answer."""
        return (await self.reply(operation, **params)).result

    async def refused(self, operation: str, **params: Any) -> tuple[str, int]:
        """Return the code and the status with which an operation is refused."""
        try:
            reply = await self.reply(operation, **params)
        except RequestRejected as refusal:
            return refusal.code, refusal.status
        raise AssertionError(f"{operation} was not refused: {reply}")

    async def content(self, **params: Any) -> bytes:
        """Return the bytes that GetObject answers with."""
        file: File = (await self("GetObject", **params))["Body"]
        with file.path.open("rb") as opened:
            opened.seek(file.offset)
            return opened.read(file.length)
