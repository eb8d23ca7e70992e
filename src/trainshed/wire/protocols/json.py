"""AWS JSON 1.0 and 1.1: one POST to /, the operation in a header, one JSON object each way."""

from typing import Any

import msgspec

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import not_deserializable
from trainshed.wire.message import Reply
from trainshed.wire.model import ServiceModel, Value
from trainshed.wire.protocols import json_values
from trainshed.wire.protocols.base import HttpRequest, HttpResponse
from trainshed.wire.validate import checker, reject


def operation_of(model: ServiceModel, request: HttpRequest) -> str | None:
    """Return the operation that ``X-Amz-Target`` names."""
    prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
    return name if prefix == model.target_prefix and name in model.operations else None


def parse(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, Any]:
    """Return the members of the request's JSON object; an empty body is an empty object."""
    ref = model.operation(operation).input
    if ref is None:
        return {}
    wrong: list[str] = []
    params = read(model, ref.shape, request.body, wrong)
    if wrong:
        reject(wrong, model.validation_code(operation))
    return params


def read(model: ServiceModel, shape: str, body: bytes, wrong: list[str]) -> dict[str, Any]:
    """Return the members of ``shape`` that a JSON body holds; add what is wrong with them.

    Raises:
        RequestRejected: it is not JSON, or a value is of another type than the model's.
    """
    try:
        given: Value = msgspec.json.decode(body) if body else {}
        members: dict[str, Any] = checker(model, shape, json=True)(given, None, wrong)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_deserializable(f"The body is not JSON: {error}") from error
    except RecursionError as error:
        raise not_deserializable("The body is nested too deeply.") from error
    return members


def render(model: ServiceModel, operation: str, reply: Reply, request_id: str) -> HttpResponse:
    """Return the result as a JSON object; nothing at all where the model has no output."""
    ref = model.operation(operation).output
    if ref is not None:
        body = msgspec.json.encode(json_values.writer(model, ref.shape)(reply.result))
    elif reply.result:
        raise ValueError(f"{operation} has no output; found {', '.join(reply.result)}")
    else:
        body = b""
    return _response(model, reply.status or 200, body, request_id, list(reply.headers.items()))


def render_error(
    model: ServiceModel | None, error: RequestRejected, request_id: str, resource: str
) -> HttpResponse:
    """Return the error under both spellings of ``message``; clients read one or the other."""
    said = {"__type": error.code, "message": error.message, "Message": error.message}
    headers = []
    if model is not None and model.metadata.aws_query_compatible is not None:
        headers.append(("x-amzn-query-error", _query_error(model, error)))
    return _response(model, error.status, msgspec.json.encode(said), request_id, headers)


def _query_error(model: ServiceModel, error: RequestRejected) -> str:
    """Return the error's name as the query protocol, which the service once spoke, had it."""
    shape = model.shapes.get(error.code)
    code = shape.error.code if shape and shape.error and shape.error.code else error.code
    return f"{code};{'Sender' if error.status < 500 else 'Receiver'}"


def _response(
    model: ServiceModel | None,
    status: int,
    body: bytes,
    request_id: str,
    further: list[tuple[str, str]],
) -> HttpResponse:
    version = model.metadata.json_version if model else "1.1"
    headers = [
        ("x-amzn-RequestId", request_id),
        ("Content-Type", f"application/x-amz-json-{version}"),
        *further,
    ]
    return HttpResponse(status=status, headers=headers, body=body)
