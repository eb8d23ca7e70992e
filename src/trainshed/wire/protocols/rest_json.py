"""REST with JSON bodies: paths and headers carry parameters, the rest is one JSON object."""

from typing import Final

import msgspec

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import not_deserializable
from trainshed.wire.message import Reply
from trainshed.wire.model import Ref, ServiceModel, Value
from trainshed.wire.protocols import json_values, rest
from trainshed.wire.protocols.base import HttpRequest, HttpResponse
from trainshed.wire.protocols.json import read
from trainshed.wire.protocols.rest import operation_of
from trainshed.wire.validate import check, reject

__all__ = ["operation_of", "parse", "render", "render_error"]

_JSON: Final = ("Content-Type", "application/json")


def parse(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, Value]:
    """Return the parameters from path, query, headers and body."""
    ref = model.operation(operation).input
    if ref is None:
        return {}
    try:
        params = _body(model, ref, request) | rest.located(model, operation, request)
    except ValueError as error:
        raise not_deserializable(str(error)) from error
    if wrong := check(model, ref.shape, params):
        reject(wrong, model.validation_code(operation))
    return params


def _body(model: ServiceModel, ref: Ref, request: HttpRequest) -> dict[str, Value]:
    whole = rest.payload(model, ref)
    if whole is None:
        # Types are converted here; what is missing or out of bounds is seen once all is together.
        return _converted(model, ref.shape, request.body)
    name, member = whole
    if model.shape_of(member).type in {"blob", "string"}:
        value = rest.raw_payload(model, member, request)
    else:
        value = _converted(model, member.shape, request.body) if request.body else None
    return {} if value is None else {name: value}


def _converted(model: ServiceModel, shape: str, body: bytes) -> dict[str, Value]:
    converted = read(model, shape, body, [])
    members = model.shapes[shape].members
    return {name: item for name, item in converted.items() if members[name].location is None}


def render(model: ServiceModel, operation: str, reply: Reply, request_id: str) -> HttpResponse:
    """Return the result in headers and body."""
    modelled = model.operation(operation)
    ref = modelled.output
    if ref is None:
        if reply.result:
            raise ValueError(f"{operation} has no output; found {', '.join(reply.result)}")
        return _response(reply.status or modelled.http.response_code, b"", request_id, [], reply)
    shape = model.shape_of(ref)
    status, headers, left = rest.split_result(model, shape, reply.result)
    status = reply.status or status or modelled.http.response_code
    whole = rest.payload(model, ref)
    if whole is None:
        headers.append(_JSON)
        body = msgspec.json.encode(json_values.writer(model, ref.shape)(left))
        return _response(status, body, request_id, headers, reply)
    name, member = whole
    value = left.pop(name, None)
    if left:
        raise ValueError(f"{operation}: {', '.join(left)} cannot be sent beside a payload")
    if model.shape_of(member).type == "structure":
        headers.append(_JSON)
    return _response(status, _payload(model, member, value), request_id, headers, reply)


def _payload(model: ServiceModel, member: Ref, value: Value) -> Value:
    if value is None:
        return b""
    if model.shape_of(member).type == "structure":
        return msgspec.json.encode(json_values.writer(model, member.shape)(value))
    return value.encode() if isinstance(value, str) else value


def render_error(
    model: ServiceModel | None, error: RequestRejected, request_id: str, resource: str
) -> HttpResponse:
    """Return the error's name in a header, and under both spellings of ``message``."""
    said = {"message": error.message, "Message": error.message}
    headers = [("x-amzn-ErrorType", error.code), _JSON]
    body = msgspec.json.encode(said)
    return _response(error.status, body, request_id, headers, Reply(result={}))


def _response(
    status: int, body: Value, request_id: str, headers: list[tuple[str, str]], reply: Reply
) -> HttpResponse:
    every = [("x-amzn-RequestId", request_id), *headers, *reply.headers.items()]
    return HttpResponse(status=status, headers=every, body=body)
