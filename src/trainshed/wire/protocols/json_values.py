"""Results as JSON has them: timestamps as epoch seconds, blobs as base64, nothing unset."""

import base64
import math
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Final

from trainshed.wire.model import Ref, ServiceModel, Shape, Value
from trainshed.wire.timestamps import epoch, render_timestamp

Writer = Callable[[Value], Value]
"""Takes a value in the model's Python type, returns it as JSON has it."""

_PLAIN: Final = {"string": str, "integer": int, "long": int, "boolean": bool}
"""Types whose values JSON has as they are. Most values are of these, so they are told apart by one
look at their type and spared a call each: a third of the time of an answer."""


def writer(model: ServiceModel, shape: str) -> Writer:
    """Return what writes values of a shape, compiled on first use.

    It raises ``ValueError`` for a member the model does not know or a value of another type.
    """
    return _compiler(model).shape(shape, None)


@cache
def _compiler(model: ServiceModel) -> "_Compiler":
    return _Compiler(model)


class _Compiler:
    """Makes one writer per shape of a service."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.made: dict[tuple[str, str | None], Writer] = {}

    def ref(self, ref: Ref) -> Writer:
        return self.shape(ref.shape, ref.timestamp_format)

    def shape(self, name: str, timestamp_format: str | None) -> Writer:
        key = (name, timestamp_format)
        if key not in self.made:
            shape = self.model.shapes[name]
            match shape.type:
                case "structure":
                    self.structure(key, shape)
                case "list":
                    self.list(key, shape)
                case "map":
                    self.map(key, shape)
                case "timestamp":
                    form = timestamp_format or shape.timestamp_format
                    self.made[key] = _timestamp(form)
                case other:
                    self.made[key] = _SCALARS[other]
        return self.made[key]

    def structure(self, key: tuple[str, str | None], shape: Shape) -> None:
        members: dict[str, tuple[str, type | None, Writer]] = {}

        def written(value: Value) -> Value:
            _expect(value, dict, key[0])
            result = {}
            for name, item in value.items():
                known = members.get(name)
                if known is None:
                    raise ValueError(f"{key[0]} has no member {name}")
                wire_name, plain, write = known
                if type(item) is plain:
                    result[wire_name] = item
                elif item is not None:
                    result[wire_name] = write(item)
            return result

        self.made[key] = written  # before its members: a shape may contain itself
        for name, ref in shape.members.items():
            plain = _PLAIN.get(self.model.shape_of(ref).type)
            members[name] = (ref.location_name or name, plain, self.ref(ref))

    def list(self, key: tuple[str, str | None], shape: Shape) -> None:
        element: Writer
        plain = _PLAIN.get(self.model.shape_of(shape.element).type)

        def written(value: Value) -> Value:
            if not isinstance(value, (list, tuple)):
                raise _unfit(f"{key[0]} is a list", value)
            if set(map(type, value)) == {plain}:
                return value
            return [element(item) for item in value]

        self.made[key] = written
        element = self.ref(shape.element)

    def map(self, key: tuple[str, str | None], shape: Shape) -> None:
        element: Writer
        plain = _PLAIN.get(self.model.shape_of(shape.map_value).type)

        def written(value: Value) -> Value:
            _expect(value, dict, key[0])
            if set(map(type, value.values())) == {plain}:
                return value
            return {name: element(item) for name, item in value.items() if item is not None}

        self.made[key] = written
        element = self.ref(shape.map_value)


def _timestamp(form: str | None) -> Writer:
    def written(value: Value) -> Value:
        _expect(value, datetime, "a timestamp")
        if form is None or form == "unixTimestamp":
            return epoch(value)
        return render_timestamp(value, form)

    return written


def _string(value: Value) -> Value:
    _expect(value, str, "a string")
    return value


def _integer(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unfit("an integer was expected", value)
    return value


def _float(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _unfit("a number was expected", value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _boolean(value: Value) -> Value:
    _expect(value, bool, "a boolean")
    return value


def _blob(value: Value) -> Value:
    _expect(value, bytes, "a blob")
    return base64.b64encode(value).decode()


def _expect(value: Value, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise _unfit(f"{name} is {kind.__name__} in the model", value)


def _unfit(wanted: str, value: Value) -> ValueError:
    return ValueError(f"{wanted}; found {value!r}")


_SCALARS: dict[str, Writer] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "blob": _blob,
}
