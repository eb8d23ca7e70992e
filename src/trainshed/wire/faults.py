"""The words in which a service says what is wrong with a value."""

from itertools import islice
from typing import Any, Final

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import not_deserializable
from trainshed.wire.model import Shape, Value

At = tuple[Any, ...] | None
"""Where a value stands: the place around it, then its own label; None at the top."""

SHOWN: Final = 4096
"""Characters of a value that an error repeats. The service sets no limit; an answer should."""

NOT_NULL: Final = "Member must not be null"
ONE_OF_UNION: Final = "Member must have exactly one of its members set"

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
NUMBERS: Final = frozenset({"integer", "long", "float", "double"})


def fault(value: Value, shape: Shape, at: At, tail: str) -> str:
    """Return one fault: the value (unless it is secret), where it stands, what it must be."""
    shown = "Value" if shape.sensitive else f"Value '{as_java(value)}'"
    return f"{shown} at '{path(at)}' failed to satisfy constraint: {tail}"


def missing(at: At) -> str:
    """Return the fault of a required member that is not there."""
    return f"Value null at '{path(at)}' failed to satisfy constraint: {NOT_NULL}"


def unlike(value: Value, wanted: str, at: At) -> RequestRejected:
    """Return the refusal of a value whose type is not ``wanted``, a type of the model."""
    match value:
        case dict():
            text = "Start of structure or map found where not expected."
        case list():
            text = "Start of list found where not expected."
        case _:
            text = f"{_token(value)} can not be converted to {_JAVA[wanted]}"
    return not_deserializable(f"{text} (at '{path(at)}')" if at else text)


def enum(shape: Shape) -> str:
    """Return the tail for a value that is none of the known ones."""
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def pattern(shape: Shape) -> str:
    """Return the tail for a string of the wrong form."""
    return f"Member must satisfy regular expression pattern: {shape.pattern}"


def bound(size: float, shape: Shape) -> str:
    """Return the tail for a number, or a length, that is out of bounds."""
    what = "value" if shape.type in NUMBERS else "length"
    if shape.max is not None and size > shape.max:
        return f"Member must have {what} less than or equal to {shape.max}"
    return f"Member must have {what} greater than or equal to {shape.min}"


def constraints(shape: Shape) -> list[str]:
    """Return all tails of a shape: of a list's or map's values the service names all at once."""
    tails = []
    if shape.max is not None:
        tails.append(bound(shape.max + 1, shape))
    if shape.min is not None:
        tails.append(bound(shape.min - 1, shape))
    if shape.enum:
        tails.append(enum(shape))
    if shape.pattern is not None:
        tails.append(pattern(shape))
    return tails


def path(at: At) -> str:
    """Return a place as the service writes it, ``resourceConfig.instanceType``."""
    labels: list[str] = []
    while at is not None:
        at, label = at
        labels.append(str(label))
    return ".".join(reversed(labels))


def label(name: str) -> str:
    """Return a member's name as it stands in a path."""
    return name[:1].lower() + name[1:]


def as_java(value: Value) -> str:
    """Return a value as Java prints it, cut at ``SHOWN`` characters."""
    text = _java(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _java(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes():
            return "(binary)"
        case dict():
            shown = islice(value.items(), SHOWN)  # each is a character at least
            return "{" + ", ".join(f"{key}={_java(item)}" for key, item in shown) + "}"
        case list():
            return "[" + ", ".join(map(_java, value[:SHOWN])) + "]"
        case _:
            return str(value)


def _token(value: Value) -> str:
    match value:
        case None:
            return "NULL_VALUE"
        case bool():
            return "TRUE_VALUE" if value else "FALSE_VALUE"
        case str():
            return "STRING_VALUE"
        case _:
            return "NUMBER_VALUE"
