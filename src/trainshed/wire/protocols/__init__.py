"""One file per AWS protocol: bytes to checked parameters, results to bytes."""

from trainshed.wire.protocols.base import HttpRequest, HttpResponse
from trainshed.wire.protocols.choice import (
    operation_of,
    parse,
    render,
    render_error,
    streams,
)

__all__ = [
    "HttpRequest",
    "HttpResponse",
    "operation_of",
    "parse",
    "render",
    "render_error",
    "streams",
]
