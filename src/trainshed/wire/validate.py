"""Checks a request against the model, and says what is wrong in the service's own words.

botocore checks only required members and types before it sends; the service checks lengths,
patterns, enums and ranges, and clients match on the texts it answers with. Each input shape is
compiled once into closures that check and convert in one walk: JSON values become the model's
Python types (see ``wire.message``), members that the model does not know are dropped, because
newer clients send them.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NoReturn

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import not_deserializable
from trainshed.wire.model import Ref, ServiceModel, Shape
from trainshed.wire.patterns import matcher
from trainshed.wire.timestamps import parse_timestamp

At = tuple[Any, ...] | None
"""Where a value stands: the place around it, then its own label; None at the top."""
Checker = Callable[[Any, At, list[str]], Any]
"""Takes a value, where it stands and the list of what is wrong; returns the value converted."""

SHOWN: Final = 4096
"""Characters of a value that an error repeats. The service sets no limit; an answer should."""

_JAVA: Final = {
    "string": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
    "structure": "a Structure",
    "list": "a List",
    "map": "a Map",
}
_BITS: Final = {"integer": 31, "long": 63}
_SPECIAL: Final = ("NaN", "Infinity", "-Infinity")
NOT_NULL: Final = "Member must not be null"


def check(model: ServiceModel, shape: str, params: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with ``params``, one text per fault; [] when nothing is.

    Raises:
        RequestRejected: a value is of another type than the model's.
    """
    wrong: list[str] = []
    checker(model, shape, json=False)(params, None, wrong)
    return wrong


def reject(wrong: list[str], code: str = "ValidationException") -> NoReturn:
    """Raise what the service raises for these faults."""
    raise RequestRejected(code, summary(wrong))


def summary(wrong: list[str]) -> str:
    """Return the faults as one message."""
    errors = "error" if len(wrong) == 1 else "errors"
    return f"{len(wrong)} validation {errors} detected: {'; '.join(wrong)}"


def checker(model: ServiceModel, shape: str, *, json: bool) -> Checker:
    """Return the check of a shape, compiled on first use.

    Args:
        model: the service.
        shape: the name of the shape.
        json: whether values come as JSON has them (timestamps as numbers, blobs as base64,
            members by their wire names) or already as the model's Python types.
    """
    return _compiler(model, json).shape(shape)


@cache
def _compiler(model: ServiceModel, json: bool) -> "_Compiler":
    return _Compiler(model, json=json)


class _Compiler:
    """Makes one checker per shape of a service."""

    def __init__(self, model: ServiceModel, *, json: bool) -> None:
        self.model = model
        self.json = json
        self.made: dict[tuple[str, str | None], Checker] = {}

    def shape(self, name: str, timestamp_format: str | None = None) -> Checker:
        key = (name, timestamp_format)
        if key not in self.made:
            shape = self.model.shapes[name]
            match shape.type:
                case "structure":
                    return self.structure(key, shape)
                case "list":
                    return self.list(key, shape)
                case "map":
                    return self.map(key, shape)
                case "string":
                    self.made[key] = _string(shape)
                case "integer" | "long":
                    self.made[key] = _integer(shape)
                case "float" | "double":
                    self.made[key] = _float(shape)
                case "boolean":
                    self.made[key] = _boolean
                case "timestamp":
                    form = timestamp_format or shape.timestamp_format
                    self.made[key] = _timestamp(form) if self.json else _native_timestamp
                case "blob":
                    self.made[key] = _blob(shape) if self.json else _native_blob(shape)
                case other:
                    raise ValueError(f"{name}: no such type in a service model: {other}")
        return self.made[key]

    def ref(self, ref: Ref) -> Checker:
        return self.shape(ref.shape, ref.timestamp_format)

    def structure(self, key: tuple[str, str | None], shape: Shape) -> Checker:
        members: dict[str, tuple[str, str, Checker]] = {}
        required = tuple((name, _camel(name)) for name in shape.required)
        union = shape.union
        shown = _shower(shape)

        def checked(value: Any, at: At, wrong: list[str]) -> Any:
            if type(value) is not dict:
                raise _unlike(value, "structure", at)
            result = {}
            for wire_name, given in value.items():
                known = members.get(wire_name)
                if known is not None and given is not None:
                    name, label, member = known
                    result[name] = member(given, (at, label), wrong)
            for name, label in required:
                if name not in result:
                    path = _path((at, label))
                    wrong.append(f"Value null at '{path}' failed to satisfy constraint: {NOT_NULL}")
            if union and len(result) != 1:
                wrong.append(_fault(shown(value), at, "Member must have exactly one member set"))
            return result

        self.made[key] = checked  # before its members: a shape may contain itself
        for name, ref in shape.members.items():
            wire_name = (ref.location_name or name) if self.json else name
            members[wire_name] = (name, _camel(name), self.ref(ref))
        return checked

    def list(self, key: tuple[str, str | None], shape: Shape) -> Checker:
        least, most = shape.min or 0, _or_infinity(shape.max)
        shown = _shower(shape)
        tails: list[str] = []
        element: Checker
        simple = False

        def checked(value: Any, at: At, wrong: list[str]) -> Any:
            if type(value) is not list:
                raise _unlike(value, "list", at)
            if not least <= len(value) <= most:
                wrong.append(_fault(shown(value), at, _length(len(value), shape)))
            if None in value:
                within = f"Member must satisfy constraint: [{NOT_NULL}]"
                wrong.append(_fault(shown(value), at, within))
                value = [item for item in value if item is not None]
            if not simple:
                return [
                    element(item, ((at, number), "member"), wrong)
                    for number, item in enumerate(value, 1)
                ]
            bad: list[str] = []
            result = [element(item, at, bad) for item in value]
            if bad:
                within = f"Member must satisfy constraint: [{', '.join(tails)}]"
                wrong.append(_fault(shown(value), at, within))
            return result

        self.made[key] = checked
        assert shape.member is not None
        element = self.ref(shape.member)
        inner = self.model.shape_of(shape.member)
        simple = inner.type not in {"structure", "list", "map"}
        tails.extend(_constraints(inner))
        return checked

    def map(self, key: tuple[str, str | None], shape: Shape) -> Checker:
        least, most = shape.min or 0, _or_infinity(shape.max)
        shown = _shower(shape)
        assert shape.key is not None
        assert shape.value is not None
        keys, values = self.model.shape_of(shape.key), self.model.shape_of(shape.value)
        key_tails, value_tails = _constraints(keys), _constraints(values)
        simple = values.type not in {"structure", "list", "map"}
        check_key = self.ref(shape.key)
        check_value: Checker

        def checked(value: Any, at: At, wrong: list[str]) -> Any:
            if type(value) is not dict:
                raise _unlike(value, "map", at)
            if not least <= len(value) <= most:
                wrong.append(_fault(shown(value), at, _length(len(value), shape)))
            bad_keys: list[str] = []
            bad: list[str] = []
            result = {}
            for name, given in value.items():
                check_key(name, at, bad_keys)
                if given is None:
                    continue
                if simple:
                    result[name] = check_value(given, at, bad)
                else:
                    result[name] = check_value(given, ((at, name), "member"), wrong)
            if bad_keys:
                within = f"Map keys must satisfy constraint: [{', '.join(key_tails)}]"
                wrong.append(_fault(shown(value), at, within))
            if bad:
                within = f"Map value must satisfy constraint: [{', '.join(value_tails)}]"
                wrong.append(_fault(shown(value), at, within))
            return result

        self.made[key] = checked
        check_value = self.ref(shape.value)
        return checked


def _string(shape: Shape) -> Checker:
    least, most = shape.min or 0, _or_infinity(shape.max)
    enum = frozenset(shape.enum)
    matches = matcher(shape.pattern) if shape.pattern not in {None, ".*"} else None
    shown = _shower(shape)

    def chosen(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) is not str:
            raise _unlike(value, "string", at)
        if value not in enum:
            wrong.append(_fault(shown(value), at, _enum(shape)))
        return value

    def sized(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) is not str:
            raise _unlike(value, "string", at)
        if not least <= len(value) <= most:
            wrong.append(_fault(shown(value), at, _length(len(value), shape)))
        return value

    def patterned(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) is not str:
            raise _unlike(value, "string", at)
        size = len(value)
        if not least <= size <= most:
            wrong.append(_fault(shown(value), at, _length(size, shape)))
        if size <= most and not matches(value):  # type: ignore[misc]
            wrong.append(_fault(shown(value), at, _pattern(shape)))
        return value

    if enum:
        return chosen
    return sized if matches is None else patterned


def _integer(shape: Shape) -> Checker:
    least, most = _range(shape)
    bits = 1 << _BITS[shape.type]

    def checked(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) is not int:
            if type(value) is not float or not value.is_integer():
                raise _unlike(value, shape.type, at)
            value = int(value)
        if not least <= value <= most:
            wrong.append(_fault(str(value), at, _value(value, shape)))
        elif not -bits <= value < bits:
            raise _unlike(value, shape.type, at)
        return value

    return checked


def _float(shape: Shape) -> Checker:
    least, most = _range(shape)

    def checked(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) is not float:
            if type(value) is not int and value not in _SPECIAL:
                raise _unlike(value, shape.type, at)
            value = float(value)
        if value < least or value > most:
            wrong.append(_fault(str(value), at, _value(value, shape)))
        return value

    return checked


def _boolean(value: Any, at: At, wrong: list[str]) -> Any:
    if type(value) is not bool:
        raise _unlike(value, "boolean", at)
    return value


def _timestamp(form: str | None) -> Checker:
    def checked(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) not in {int, float, str}:
            raise _unlike(value, "timestamp", at)
        try:
            if type(value) is str:
                return parse_timestamp(value, form)
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise _unlike(value, "timestamp", at) from error

    return checked


def _native_timestamp(value: Any, at: At, wrong: list[str]) -> Any:
    if not isinstance(value, datetime):
        raise _unlike(value, "timestamp", at)
    return value


def _blob(shape: Shape) -> Checker:
    native = _native_blob(shape)

    def checked(value: Any, at: At, wrong: list[str]) -> Any:
        if type(value) is not str:
            raise _unlike(value, "blob", at)
        try:
            decoded = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _unlike(value, "blob", at) from error
        return native(decoded, at, wrong)

    return checked


def _native_blob(shape: Shape) -> Checker:
    least, most = shape.min or 0, _or_infinity(shape.max)

    def checked(value: Any, at: At, wrong: list[str]) -> Any:
        if isinstance(value, bytes) and not least <= len(value) <= most:
            wrong.append(_fault("(binary)", at, _length(len(value), shape)))
        return value

    return checked


def _or_infinity(bound: float | None) -> float:
    return float("inf") if bound is None else bound


def _range(shape: Shape) -> tuple[float, float]:
    return float("-inf") if shape.min is None else shape.min, _or_infinity(shape.max)


def _constraints(shape: Shape) -> list[str]:
    """Return all that holds for a value inside a list or map, as one message names it."""
    number = shape.type in {"integer", "long", "float", "double"}
    what = "value" if number else "length"
    tails = []
    if shape.max is not None:
        tails.append(f"Member must have {what} less than or equal to {shape.max}")
    if shape.min is not None:
        tails.append(f"Member must have {what} greater than or equal to {shape.min}")
    if shape.enum:
        tails.append(_enum(shape))
    if shape.pattern is not None:
        tails.append(_pattern(shape))
    return tails


def _enum(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.pattern}"


def _length(size: int, shape: Shape) -> str:
    if size > _or_infinity(shape.max):
        return f"Member must have length less than or equal to {shape.max}"
    return f"Member must have length greater than or equal to {shape.min}"


def _value(value: float, shape: Shape) -> str:
    if value > _or_infinity(shape.max):
        return f"Member must have value less than or equal to {shape.max}"
    return f"Member must have value greater than or equal to {shape.min}"


def _fault(shown: str | None, at: At, tail: str) -> str:
    value = "Value" if shown is None else f"Value '{shown}'"
    return f"{value} at '{_path(at)}' failed to satisfy constraint: {tail}"


def _shower(shape: Shape) -> Callable[[Any], str | None]:
    """Return how a value is repeated in an error: as Java prints it, or not if it is secret."""
    if shape.sensitive:
        return lambda _: None
    return shown


def shown(value: Any) -> str:
    """Return a value as Java prints it, cut at ``SHOWN`` characters."""
    text = _java(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _java(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{key}={_java(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_java, value)) + "]"
        case _:
            return str(value)


def _path(at: At) -> str:
    labels: list[str] = []
    while at is not None:
        at, label = at
        labels.append(str(label))
    return ".".join(reversed(labels))


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _unlike(value: Any, wanted: str, at: At) -> RequestRejected:
    match value:
        case dict():
            text = "Start of structure or map found where not expected."
        case list():
            text = "Start of list found where not expected."
        case _:
            text = f"{_token(value)} can not be converted to {_JAVA[wanted]}"
    return not_deserializable(f"{text} (at '{_path(at)}')" if at else text)


def _token(value: Any) -> str:
    match value:
        case None:
            return "NULL_VALUE"
        case bool():
            return "TRUE_VALUE" if value else "FALSE_VALUE"
        case str():
            return "STRING_VALUE"
        case _:
            return "NUMBER_VALUE"
