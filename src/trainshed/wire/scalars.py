"""Checks of single values: strings, numbers, booleans, points in time, bytes."""

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from trainshed.wire import faults
from trainshed.wire.faults import At, unlike
from trainshed.wire.model import Shape, Value
from trainshed.wire.patterns import matcher
from trainshed.wire.timestamps import parse_timestamp

Checker = Callable[[Value, At, list[str]], Value]
"""Takes a value, where it stands and the list of what is wrong; returns the value converted.

It adds a text per broken constraint to the list, and raises ``RequestRejected`` when the value
is not of the type at all.
"""

BITS: Final = {"integer": 31, "long": 63}
"""Bits of a whole number beside its sign."""
_SPECIAL: Final = ("NaN", "Infinity", "-Infinity")


def scalar(shape: Shape, *, json: bool, timestamp_format: str | None) -> Checker:
    """Return the check of a shape that holds a single value.

    Args:
        shape: what is checked.
        json: whether timestamps come as numbers and blobs as base64.
        timestamp_format: how the member that uses the shape writes it, None when it says nothing.
    """
    match shape.type:
        case "string":
            return _string(shape)
        case "integer" | "long":
            return _integer(shape)
        case "float" | "double":
            return _float(shape)
        case "boolean":
            return _boolean
        case "timestamp" if json:
            return _timestamp(timestamp_format or shape.timestamp_format)
        case "timestamp":
            return _moment
        case "blob":
            return _base64(shape) if json else _bytes(shape)
        case other:
            raise ValueError(f"no such type in a service model: {other}")


def bounds(shape: Shape) -> tuple[float, float]:
    """Return the least and most that a value, or its length, may be."""
    least = float("-inf") if shape.min is None else shape.min
    return least, float("inf") if shape.max is None else shape.max


def _string(shape: Shape) -> Checker:
    if shape.enum:
        return _choice(shape)
    if shape.pattern is None or shape.pattern == "[\\s\\S]*":
        return _text(shape)
    return _patterned_text(shape, matcher(shape.pattern))


def _choice(shape: Shape) -> Checker:
    known = frozenset(shape.enum)

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) is not str:
            raise unlike(value, "string", at)
        if value not in known:
            wrong.append(faults.fault(value, shape, at, faults.enum(shape)))
        return value

    return checked


def _text(shape: Shape) -> Checker:
    least, most = bounds(shape)

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) is not str:
            raise unlike(value, "string", at)
        if not least <= len(value) <= most:
            wrong.append(faults.fault(value, shape, at, faults.bound(len(value), shape)))
        return value

    return checked


def _patterned_text(shape: Shape, matches: Callable[[str], bool]) -> Checker:
    least, most = bounds(shape)

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) is not str:
            raise unlike(value, "string", at)
        size = len(value)
        if not least <= size <= most:
            wrong.append(faults.fault(value, shape, at, faults.bound(size, shape)))
        if size <= most and not matches(value):  # what is too long may also be slow to match
            wrong.append(faults.fault(value, shape, at, faults.pattern(shape)))
        return value

    return checked


def _integer(shape: Shape) -> Checker:
    least, most = bounds(shape)
    limit = 1 << BITS[shape.type]

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) is not int:
            if type(value) is not float or not value.is_integer():
                raise unlike(value, shape.type, at)
            value = int(value)
        if not -limit <= value < limit:
            raise unlike(value, shape.type, at)
        if not least <= value <= most:
            wrong.append(faults.fault(value, shape, at, faults.bound(value, shape)))
        return value

    return checked


def _float(shape: Shape) -> Checker:
    least, most = bounds(shape)

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) is not float:
            if type(value) is not int and value not in _SPECIAL:
                raise unlike(value, shape.type, at)
            try:
                value = float(value)
            except OverflowError as error:
                raise unlike(value, shape.type, at) from error
        if value < least or value > most:
            wrong.append(faults.fault(value, shape, at, faults.bound(value, shape)))
        return value

    return checked


def _boolean(value: Value, at: At, wrong: list[str]) -> Value:
    if type(value) is not bool:
        raise unlike(value, "boolean", at)
    return value


def _timestamp(form: str | None) -> Checker:
    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) not in {int, float, str}:
            raise unlike(value, "timestamp", at)
        try:
            if type(value) is str:
                return parse_timestamp(value, form)
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise unlike(value, "timestamp", at) from error

    return checked


def _moment(value: Value, at: At, wrong: list[str]) -> Value:
    if not isinstance(value, datetime):
        raise unlike(value, "timestamp", at)
    return value


def _base64(shape: Shape) -> Checker:
    check_bytes = _bytes(shape)

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        if type(value) is not str:
            raise unlike(value, "blob", at)
        try:
            decoded = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise unlike(value, "blob", at) from error
        return check_bytes(decoded, at, wrong)

    return checked


def _bytes(shape: Shape) -> Checker:
    least, most = bounds(shape)

    def checked(value: Value, at: At, wrong: list[str]) -> Value:
        # A stream's length is known only when it has been read; whoever reads it looks at it.
        if isinstance(value, bytes) and not least <= len(value) <= most:
            wrong.append(faults.fault(value, shape, at, faults.bound(len(value), shape)))
        return value

    return checked
