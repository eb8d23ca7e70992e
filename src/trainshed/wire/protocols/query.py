"""AWS query: form fields with dotted names in, XML out. The oldest of them (STS, IAM)."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import malformed_input
from trainshed.wire.message import Reply
from trainshed.wire.model import Ref, ServiceModel, Shape, Value
from trainshed.wire.protocols.base import HttpRequest, HttpResponse
from trainshed.wire.protocols.texts import read_text
from trainshed.wire.protocols.xml_write import content, element, escape
from trainshed.wire.validate import check, reject

MOST_FIELDS: Final = 10_000
"""Fields of a form; the largest list that IAM takes has some hundred members."""
DEEPEST: Final = 32
"""Parts of a field's name."""


def operation_of(model: ServiceModel, request: HttpRequest) -> str | None:
    """Return the operation that the field ``Action`` names."""
    name = dict(_fields(request)).get("Action")
    return name if name in model.operations else None


def parse(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, Value]:
    """Return the parameters that the form's fields spell out."""
    ref = model.operation(operation).input
    if ref is None:
        return {}
    root = _Branch()
    try:
        for name, text in _fields(request):
            root.put(name, text)
        params = _structure(model, model.shape_of(ref), root)
    except ValueError as error:
        raise malformed_input(str(error)) from error
    if wrong := check(model, ref.shape, params):
        reject(wrong, model.validation_code(operation))
    return params


def render(model: ServiceModel, operation: str, reply: Reply, request_id: str) -> HttpResponse:
    """Return the result in the wrapper that the model names, with the request's id."""
    ref = model.operation(operation).output
    inner = ""
    if ref is not None:
        inner = content(model, ref.shape, reply.result)
        if ref.result_wrapper:
            inner = f"<{ref.result_wrapper}>{inner}</{ref.result_wrapper}>"
    elif reply.result:
        raise ValueError(f"{operation} has no output; found {', '.join(reply.result)}")
    trailer = f"<ResponseMetadata>{element('RequestId', request_id)}</ResponseMetadata>"
    text = (
        f'<{operation}Response xmlns="{escape(model.xml_namespace or "")}">'
        f"{inner}{trailer}</{operation}Response>"
    )
    return _response(reply.status or 200, text, request_id, list(reply.headers.items()))


def render_error(
    model: ServiceModel | None, error: RequestRejected, request_id: str, resource: str
) -> HttpResponse:
    """Return the error in an ``ErrorResponse``."""
    namespace = (model.xml_namespace if model else None) or ""
    text = (
        f'<ErrorResponse xmlns="{escape(namespace)}"><Error>'
        + element("Type", "Sender" if error.status < 500 else "Receiver")
        + element("Code", error.code)
        + element("Message", error.message)
        + f"</Error>{element('RequestId', request_id)}</ErrorResponse>"
    )
    return _response(error.status, text, request_id, [])


def _response(
    status: int, text: str, request_id: str, further: list[tuple[str, str]]
) -> HttpResponse:
    headers = [("x-amzn-RequestId", request_id), ("Content-Type", "text/xml"), *further]
    return HttpResponse(status=status, headers=headers, body=text.encode())


def _fields(request: HttpRequest) -> tuple[tuple[str, str], ...]:
    """Return the form's fields, those in the address first: both are allowed."""
    try:
        text = request.body.decode()
        fields = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise malformed_input(f"The body is no form: {error}") from error
    return (*request.query, *fields)


@dataclass(slots=True)
class _Branch:
    """The fields whose names begin alike."""

    text: str | None = None
    below: dict[str, "_Branch"] = field(default_factory=dict)

    def put(self, name: str, text: str) -> None:
        branch = self
        parts = name.split(".", DEEPEST)
        if len(parts) > DEEPEST:
            raise ValueError(f"a field's name has more than {DEEPEST} parts")
        for part in parts:
            branch = branch.below.setdefault(part, _Branch())
        branch.text = text

    def numbered(self) -> list["_Branch"]:
        """Return what stands under 1, 2, 3, … in that order; gaps are closed."""
        found = [(int(part), branch) for part, branch in self.below.items() if part.isdecimal()]
        return [branch for _, branch in sorted(found, key=lambda pair: pair[0])]


def _structure(model: ServiceModel, shape: Shape, branch: _Branch) -> dict[str, Value]:
    result = {}
    for name, ref in shape.members.items():
        value = _value(model, ref, branch.below.get(ref.location_name or name))
        if value is not None:
            result[name] = value
    return result


def _value(model: ServiceModel, ref: Ref, branch: _Branch | None) -> Value:
    if branch is None:
        return None
    shape = model.shape_of(ref)
    flattened = ref.flattened or shape.flattened
    match shape.type:
        case "structure":
            return _structure(model, shape, branch)
        case "list":
            items = branch if flattened else branch.below.get(_item(shape), _Branch())
            return [_value(model, shape.element, item) for item in items.numbered()]
        case "map":
            entries = branch if flattened else branch.below.get("entry", _Branch())
            return _entries(model, shape, entries)
        case _:
            return None if branch.text is None else read_text(branch.text, shape)


def _item(shape: Shape) -> str:
    return shape.element.location_name or "member"


def _entries(model: ServiceModel, shape: Shape, branch: _Branch) -> dict[str, Value]:
    result = {}
    for entry in branch.numbered():
        key = entry.below.get(shape.map_key.location_name or "key")
        value = entry.below.get(shape.map_value.location_name or "value")
        if key is None or key.text is None or value is None:
            raise ValueError("an entry of a map needs a key and a value")
        result[key.text] = _value(model, shape.map_value, value)
    return result
