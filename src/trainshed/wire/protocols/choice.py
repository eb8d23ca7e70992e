"""Which protocol speaks for a service: its model says so."""

from trainshed.domain.errors import RequestRejected
from trainshed.wire.message import Reply
from trainshed.wire.model import ServiceModel
from trainshed.wire.protocols import json, query, rest_json, rest_xml
from trainshed.wire.protocols.base import HttpRequest, HttpResponse, Protocol

_PROTOCOLS: dict[str, Protocol] = {
    "json": json,
    "rest-json": rest_json,
    "rest-xml": rest_xml,
    "query": query,
}


def operation_of(model: ServiceModel, request: HttpRequest) -> str | None:
    """Return which of the model's operations is asked for, None when none of them is."""
    return _PROTOCOLS[model.protocol].operation_of(model, request)


def streams(model: ServiceModel, operation: str) -> bool:
    """Tell whether the operation takes its payload as a stream, ``HttpRequest.stream``."""
    ref = model.operation(operation).input
    shape = model.shape_of(ref) if ref else None
    if shape is None or shape.payload is None:
        return False
    member = shape.members[shape.payload]
    return member.streaming or model.shape_of(member).streaming


def parse(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, object]:
    """Return the request's parameters, checked and in the model's Python types.

    Raises:
        RequestRejected: the request cannot be read, or holds what the model forbids.
    """
    return _PROTOCOLS[model.protocol].parse(model, operation, request)


def render(model: ServiceModel, operation: str, reply: Reply, request_id: str) -> HttpResponse:
    """Return the answer as it goes on the wire.

    Raises:
        ValueError: the result does not fit the model: a bug of whoever made it.
    """
    return _PROTOCOLS[model.protocol].render(model, operation, reply, request_id)


def render_error(
    model: ServiceModel | None,
    error: RequestRejected,
    request_id: str,
    resource: str = "",
    *,
    method: str = "",
) -> HttpResponse:
    """Return a refusal as it goes on the wire; without a body when ``method`` is HEAD.

    Args:
        model: the service asked; None when that is not known, which is answered in JSON.
        error: what is refused and why.
        request_id: named in header and body.
        resource: the path asked for, which S3 repeats.
        method: the request's.
    """
    protocol = _PROTOCOLS[model.protocol] if model else json
    response = protocol.render_error(model, error, request_id, resource)
    if method == "HEAD":
        return HttpResponse(status=response.status, headers=response.headers, body=b"")
    return response
