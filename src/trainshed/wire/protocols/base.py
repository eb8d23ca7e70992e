"""What every protocol reads and writes: one HTTP request, one HTTP response."""

import typing
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainshed.domain.errors import RequestRejected
from trainshed.wire.message import Body, File, Reply
from trainshed.wire.model import ServiceModel


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request, its signature already checked."""

    method: str
    path: str
    """Percent-encoded, as sent, without the query; a bucket in the host has been put in front."""
    query: tuple[tuple[str, str], ...] = ()
    """Decoded, in order."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    stream: Body | None = None
    """The payload of an operation whose input streams; ``body`` is then empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An answer; whoever sends it adds Content-Length or chunking."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | File | AsyncIterator[bytes]


class Protocol(typing.Protocol):
    """What each protocol's file offers; ``trainshed.wire.protocols`` says what they promise."""

    def operation_of(self, model: ServiceModel, request: HttpRequest, /) -> str | None:
        """Tell which operation is asked for."""
        ...

    def parse(self, model: ServiceModel, operation: str, request: HttpRequest, /) -> dict[str, Any]:
        """Return the checked parameters."""
        ...

    def render(
        self, model: ServiceModel, operation: str, reply: Reply, request_id: str, /
    ) -> HttpResponse:
        """Return the answer."""
        ...

    def render_error(
        self,
        model: ServiceModel | None,
        error: RequestRejected,
        request_id: str,
        resource: str,
        /,
    ) -> HttpResponse:
        """Return the refusal."""
        ...
