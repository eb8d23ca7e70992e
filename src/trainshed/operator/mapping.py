"""From a spec to the request that makes its resource, and from what the service tells to a spec.

A spec's members are the request's, whatever the case of their letters, at every level: that is how
the first operator read them. Three things differ. Members that speak to the operator are no part of
the request; maps may stand as lists of ``{name, value}``; and one member has a name of its own
(``schema.service.ALIASES``). Pure: the service judges the values, this judges only whether they can
be sent.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from trainshed.domain.errors import TrainshedError
from trainshed.operator.kinds.base import Kind
from trainshed.operator.schema.service import input_shape, written_name
from trainshed.operator.schema.structural import Schema
from trainshed.wire.model import ServiceModel, Shape, Value, load

OURS: Final = frozenset({"region", "sagemakerendpoint", "stop", "deletionpolicy"})
"""Members of a spec that say how it is to be carried out; in lower case."""
_TYPES: Final[Mapping[str, str]] = {
    "structure": "an object",
    "list": "a list",
    "map": "an object, or a list of {name, value}",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "timestamp": "a point in time, such as 2026-01-31T12:00:00Z",
    "blob": "a text in base64",
}


class SpecRejected(TrainshedError):
    """A spec that no request can be made of.

    Attributes:
        faults: a text for each fault: where it stands, what was found, what would fit.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def to_request(kind: Kind, spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the input of ``kind.operation`` for a spec.

    Args:
        kind: what the spec is of.
        spec: as the API server has it.
        name: what the resource is to be called; a name in the spec is not looked at.

    Raises:
        SpecRejected: the spec has members that the request lacks, or values of another type.
        KeyError: the kind takes several requests.
    """
    model = load("sagemaker")
    shape = input_shape(kind.operation)
    own = {*OURS, kind.spec_name.lower(), kind.name_member.lower()}
    asked = {member: value for member, value in spec.items() if member.lower() not in own}
    faults: list[str] = []
    request = _Reading(model, faults).structure(asked, shape, "spec")
    if faults:
        raise SpecRejected(faults)
    return {kind.name_member: name, **request}


def to_spec(kind: Kind, schema: Schema, resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec that would ask for what the service tells of a resource.

    ``to_request`` of it is the request that made the resource, as far as the service repeats it.
    Members that the schema lacks, such as times and statuses, are left out; the name is there if
    the kind has a place for it.

    Args:
        kind: what the spec is of.
        schema: the kind's spec, complete (``crds.spec_schema``).
        resource: the answer of the operation that describes the resource.
    """
    model = load("sagemaker")
    spec: dict[str, Any] = _written(model, resource, input_shape(kind.operation), schema)
    return spec


class _Reading:
    """One walk through a spec, with the faults found on the way."""

    def __init__(self, model: ServiceModel, faults: list[str]) -> None:
        self.model = model
        self.faults = faults

    def value(self, given: Value, shape_name: str, path: str) -> Value:
        shape = self.model.shapes[shape_name]
        match shape.type:
            case "structure" if isinstance(given, Mapping):
                return self.structure(given, shape_name, path)
            case "list" if isinstance(given, list):
                element = shape.element.shape
                return [
                    self.value(item, element, f"{path}[{number}]")
                    for number, item in enumerate(given)
                ]
            case "map" if isinstance(given, Mapping):
                return self.map(given.items(), shape, path)
            case "map" if isinstance(given, list):
                return self.map(self.pairs(given, path), shape, path)
            case "string" | "timestamp" | "blob" if isinstance(given, str):
                return given
            case "boolean" if isinstance(given, bool):
                return given
            case "integer" | "long" if _is_number(given) and float(given).is_integer():
                return int(given)
            case "float" | "double" if _is_number(given):
                return float(given)
        quotes = " (put it in quotes)" if shape.type == "string" and _is_scalar(given) else ""
        wanted = f"{_TYPES[shape.type]} belongs{quotes}"
        self.faults.append(f"{path}: found {_shown(given)}, where {wanted}")
        return None

    def structure(self, given: Mapping[str, Any], shape_name: str, path: str) -> dict[str, Any]:
        shape = self.model.shapes[shape_name]
        members = {written_name(shape_name, name).lower(): name for name in shape.members}
        result: dict[str, Any] = {}
        for key, value in given.items():
            here = f"{path}.{key}"
            member = members.get(key.lower())
            if member is None:
                known = ", ".join(written_name(shape_name, name) for name in shape.members)
                self.faults.append(f"{here}: there is no such member; known are {known}")
            elif member in result:
                self.faults.append(f"{here}: stands there twice, in letters of another case")
            elif value is not None and not self._is_unset(value, shape.members[member].shape):
                result[member] = self.value(value, shape.members[member].shape, here)
        return result

    def map(self, entries: Iterable[tuple[str, Value]], shape: Shape, path: str) -> dict[str, Any]:
        value = shape.map_value.shape
        return {
            key: self.value(given, value, f"{path}.{key}")
            for key, given in entries
            if given is not None
        }

    def pairs(self, given: list[Any], path: str) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Any] = {}
        for number, item in enumerate(given):
            here = f"{path}[{number}]"
            pair = _in_lower_case(item) if isinstance(item, Mapping) else {}
            name = pair.get("name")
            if not isinstance(name, str) or not name:
                self.faults.append(f"{here}: found {_shown(item)}, where {{name, value}} belongs")
                continue
            value = pair.get("value", "")
            if seen.setdefault(name, value) != value:
                self.faults.append(f"{here}: {name} has another value further up; give it once")
            yield name, value

    def _is_unset(self, value: Value, shape_name: str) -> bool:
        """Tell whether a value stands for none: the first operator left out empty choices."""
        return value == "" and bool(self.model.shapes[shape_name].enum)


def _written(model: ServiceModel, given: Value, shape_name: str, schema: Schema) -> Value:
    shape = model.shapes[shape_name]
    if shape.type == "structure":
        result = {}
        for member, ref in shape.members.items():
            inner = _property(schema, written_name(shape_name, member))
            if inner is not None and given.get(member) is not None:
                name, member_schema = inner
                result[name] = _written(model, given[member], ref.shape, member_schema)
        return result
    if shape.type == "list":
        return [_written(model, item, shape.element.shape, schema["items"]) for item in given]
    if shape.type == "map" and schema["type"] == "array":
        return [{"name": name, "value": value} for name, value in sorted(given.items())]
    return given


def _property(schema: Schema, member: str) -> tuple[str, Schema] | None:
    for name, inner in schema["properties"].items():
        if name.lower() == member.lower():
            return name, inner
    return None


def _in_lower_case(members: Mapping[str, Value]) -> dict[str, Value]:
    return {name.lower(): value for name, value in members.items()}


def _is_scalar(value: Value) -> bool:
    return isinstance(value, bool | int | float)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
