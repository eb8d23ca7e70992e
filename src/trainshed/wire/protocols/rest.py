"""What the two REST protocols share: which operation lives where, and what is not in the body.

Paths, queries and headers are told apart by the model's HTTP traits. Several operations share a
method and a path; what the model requires in the query (``?uploads``, ``uploadId``) and in the
headers (``x-amz-copy-source``) then decides.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import parse_qsl, unquote

import msgspec

from trainshed.wire.model import Operation, Ref, ServiceModel, Shape, Value
from trainshed.wire.protocols.base import HttpRequest
from trainshed.wire.protocols.texts import read_text, text_writer

_FORMATS: Final = {"header": "rfc822", "querystring": "iso8601", "uri": "iso8601"}
_BARE: Final = len("//")
"""Fixed characters of ``/{Bucket}/{Key+}``, a path that many operations share."""
_LABEL: Final = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where one operation lives."""

    operation: str
    path: re.Pattern[str]
    fixed: int
    """Characters of the path template that are no label: ``/endpoints/`` beats ``/{Bucket}/``."""
    literals: tuple[tuple[str, str], ...]
    """Queries that must be there: name and value, "" for any value."""
    queries: tuple[str, ...]
    """Queries that the model requires as members."""
    headers: tuple[str, ...]
    """Headers that the model requires as members, lower-case."""
    deprecated: bool

    def rank(
        self, request: HttpRequest, query: Mapping[str, str]
    ) -> tuple[int, int, int, int, bool, bool] | None:
        """Return how well the request fits, higher is better; None when it does not."""
        if not self.path.fullmatch(request.path):
            return None
        for name, wanted in self.literals:
            if name not in query or (wanted and query[name] != wanted):
                return None
        wanted_members = len(self.queries) + len(self.headers)
        there = sum(name in query for name in self.queries)
        there += sum(name in request.headers for name in self.headers)
        if wanted_members and not there and not self.literals and self.fixed <= _BARE:
            return None  # nothing in the request speaks of this operation
        return (
            self.fixed,
            len(self.literals),
            there,
            there - wanted_members,
            query.get("x-id") == self.operation,
            not self.deprecated,
        )


def operation_of(model: ServiceModel, request: HttpRequest) -> str | None:
    """Return the operation that fits the request best."""
    query = dict(request.query)
    best, best_rank = None, None
    for route in _routes(model).get(request.method, ()):
        rank = route.rank(request, query)
        if rank is not None and (best_rank is None or rank > best_rank):
            best, best_rank = route.operation, rank
    return best


@cache
def _routes(model: ServiceModel) -> dict[str, list[Route]]:
    """Return the routes by method."""
    routes: dict[str, list[Route]] = {}
    for operation in model.operations.values():
        routes.setdefault(operation.http.method, []).append(_route(model, operation))
    return routes


@cache
def _route_of(model: ServiceModel, operation: str) -> Route:
    return _route(model, model.operation(operation))


def _route(model: ServiceModel, operation: Operation) -> Route:
    template, _, literals = operation.http.request_uri.partition("?")
    shape = model.shape_of(operation.input) if operation.input else None
    required = [shape.members[name] for name in shape.required] if shape else []
    return Route(
        operation=operation.name,
        path=_path(template),
        fixed=len(_LABEL.sub("", template)),
        literals=tuple(parse_qsl(literals, keep_blank_values=True)),
        queries=tuple(_names(required, "querystring")),
        headers=tuple(name.lower() for name in _names(required, "header")),
        deprecated=operation.deprecated,
    )


def _names(members: list[Ref], location: str) -> list[str]:
    return [ref.location_name or "" for ref in members if ref.location == location]


def _path(template: str) -> re.Pattern[str]:
    pattern, at = "", 0
    for label in _LABEL.finditer(template):
        pattern += re.escape(template[at : label.start()])
        pattern += f"(?P<{label[1]}>{'.+' if label[2] else '[^/]+'})"
        at = label.end()
    pattern += re.escape(template[at:])
    if not template.endswith("+}"):
        pattern = pattern.removesuffix("/") + "/?"
    return re.compile(pattern, re.DOTALL)


def located(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, Value]:
    """Return the parameters that stand in path, query and headers.

    Raises:
        ValueError: a text is not of the model's type.
    """
    ref = model.operation(operation).input
    if ref is None:
        return {}
    found = _route_of(model, operation).path.fullmatch(request.path)
    labels = found.groupdict() if found else {}
    result: dict[str, Value] = {}
    for name, member in model.shape_of(ref).members.items():
        value = _located(model, name, member, request, labels)
        if value is not None:
            result[name] = value
    return result


def _located(
    model: ServiceModel, name: str, ref: Ref, request: HttpRequest, labels: Mapping[str, str]
) -> Value:
    key = ref.location_name or name
    match ref.location:
        case "uri":
            return _label(model, ref, labels.get(key))
        case "querystring":
            return _query(model, ref, key, request)
        case "header":
            return _header(model, ref, request.headers.get(key.lower()))
        case "headers":
            prefix = key.lower()
            given = request.headers.items()
            found = {name[len(prefix) :]: text for name, text in given if name.startswith(prefix)}
            return found or None
        case _:
            return None


def _label(model: ServiceModel, ref: Ref, text: str | None) -> Value:
    if text is None:
        return None
    return _read(model, ref, unquote(text, errors="strict"))


def _query(model: ServiceModel, ref: Ref, key: str, request: HttpRequest) -> Value:
    shape = model.shape_of(ref)
    values = [text for name, text in request.query if name == key]
    if shape.type == "map":
        return dict(request.query) or None
    if not values:
        return None
    if shape.type == "list":
        return [_read(model, shape.element, text) for text in values]
    return _read(model, ref, values[0])


def _header(model: ServiceModel, ref: Ref, text: str | None) -> Value:
    if text is None:
        return None
    if ref.jsonvalue:
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"{ref.location_name}: not base64: {error}") from error
    shape = model.shape_of(ref)
    if shape.type == "list":
        items = (item.strip() for item in text.split(","))
        return [_read(model, shape.element, item) for item in items if item]
    return _read(model, ref, text)


def _read(model: ServiceModel, ref: Ref, text: str) -> Value:
    """Return the value of a text; a timestamp's form may depend on where it stands."""
    shape = model.shape_of(ref)
    form = ref.timestamp_format or shape.timestamp_format or _FORMATS.get(ref.location or "")
    return read_text(text, shape, form)


def split_result(
    model: ServiceModel, shape: Shape, result: Mapping[str, Value]
) -> tuple[int | None, list[tuple[str, str]], dict[str, Value]]:
    """Return a result's status, its headers, and the members left for the body.

    Raises:
        ValueError: a member the model does not know, or a value of another type.
    """
    status: int | None = None
    headers: list[tuple[str, str]] = []
    body: dict[str, Value] = {}
    for name, value in result.items():
        ref = shape.members.get(name)
        if ref is None:
            raise ValueError(f"the model's output has no member {name}")
        if value is None:
            continue
        key = ref.location_name or name
        match ref.location:
            case "statusCode":
                status = int(value)
            case "header":
                headers.append((key, _header_text(model, ref, value)))
            case "headers":
                headers.extend((key + inner, text) for inner, text in value.items())
            case _:
                body[name] = value
    return status, headers, body


def _header_text(model: ServiceModel, ref: Ref, value: Value) -> str:
    if ref.jsonvalue:
        return base64.b64encode(msgspec.json.encode(value)).decode()
    shape = model.shape_of(ref)
    if shape.type == "list":
        write = text_writer(model.shape_of(shape.element), _FORMATS["header"])
        return ",".join(write(item) for item in value)
    form = ref.timestamp_format or shape.timestamp_format or _FORMATS["header"]
    return text_writer(shape, form)(value)


def payload(model: ServiceModel, ref: Ref | None) -> tuple[str, Ref] | None:
    """Return the name and use of the member that is the whole body, None when there is none."""
    shape = model.shape_of(ref) if ref else None
    if shape is None or shape.payload is None:
        return None
    return shape.payload, shape.members[shape.payload]


def raw_payload(model: ServiceModel, ref: Ref, request: HttpRequest) -> Value:
    """Return a payload that is bytes, a stream or a string; None when the body is empty."""
    if request.stream is not None:
        return request.stream
    if model.shape_of(ref).type == "string":
        return request.body.decode("utf-8") or None
    return request.body or None
