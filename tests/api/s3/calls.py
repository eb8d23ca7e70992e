"""Calls as the wire makes them, without the wire."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from trainshed.api.s3.operations import operations
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.wire.message import Call, File, Reply


class Payload:
    """A request's payload that lies in memory."""

    def __init__(self, data: bytes, trailers: Mapping[str, str] | None = None) -> None:
        self.length: int | None = len(data)
        self.trailers: Mapping[str, str] = {}
        self._data = data
        self._late = trailers or {}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), 65_536):
            yield self._data[at : at + 65_536]
        self.trailers = self._late


class Caller:
    """Asks a store's operations by name."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self.store = store
        self._table = operations(store, partial(datetime.now, UTC))

    async def reply(self, operation: str, region: str = "us-east-1", **params: Any) -> Reply:
        """Carry out an operation; a plain answer becomes a ``Reply``."""
        if isinstance(params.get("Body"), bytes):
            params["Body"] = Payload(params["Body"])
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
