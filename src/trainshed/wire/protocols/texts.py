"""Single values as text: in XML elements, form fields, headers, queries and paths."""

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trainshed.wire.model import Shape, Value
from trainshed.wire.scalars import BITS
from trainshed.wire.timestamps import parse_timestamp, render_timestamp

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}


def read_text(text: str, shape: Shape, timestamp_format: str | None = None) -> Value:
    """Return the value that ``text`` stands for.

    Args:
        text: what was sent.
        shape: what it is.
        timestamp_format: how a point in time is written; None takes any form.

    Raises:
        ValueError: it stands for none of the shape's type.
    """
    match shape.type:
        case "string":
            return text
        case "integer" | "long":
            return _whole(text, shape)
        case "float" | "double":
            return float(text)
        case "boolean" if text.strip().lower() in _BOOLEANS:
            return _BOOLEANS[text.strip().lower()]
        case "timestamp":
            return parse_timestamp(text.strip(), timestamp_format)
        case "blob":
            try:
                return base64.b64decode(text, validate=False)
            except binascii.Error as error:
                raise ValueError(f"not base64: {error}") from error
        case _:
            raise ValueError(f"{text!r} is no {shape.type}")


def _whole(text: str, shape: Shape) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{text[:40]!r} is no {shape.type}")
    number, limit = int(text), 1 << BITS[shape.type]
    if not -limit <= number < limit:
        raise ValueError(f"{text.strip()} is out of range for {shape.type}")
    return number


def text_writer(shape: Shape, timestamp_format: str) -> Callable[[Value], str]:
    """Return what writes values of a shape as text.

    It raises ``ValueError`` for a value of another type.

    Args:
        shape: what is written.
        timestamp_format: how a point in time is written.
    """
    match shape.type:
        case "string":
            return _string
        case "integer" | "long":
            return _integer
        case "float" | "double":
            return _float
        case "boolean":
            return _boolean
        case "timestamp":
            return lambda value: _timestamp(value, timestamp_format)
        case "blob":
            return _blob
        case other:
            raise ValueError(f"a {other} cannot be written as text")


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise _unfit("a string", value)


def _integer(value: Value) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _unfit("an integer", value)


def _float(value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _unfit("a number", value)
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(value)


def _boolean(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    raise _unfit("a boolean", value)


def _timestamp(value: Value, form: str) -> str:
    if isinstance(value, datetime):
        return render_timestamp(value, form)
    raise _unfit("a timestamp", value)


def _blob(value: Value) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise _unfit("bytes", value)


def _unfit(wanted: str, value: Value) -> ValueError:
    return ValueError(f"{wanted} was expected; found {value!r}")
