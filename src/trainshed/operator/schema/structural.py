"""The words in which manifests' schemas are written down: a structural schema for each.

Structural is what Kubernetes asks of a CRD: every value has one type, and what no schema names is
pruned. The values are plain OpenAPI v3, ready to be written into a CRD; nobody changes them in
place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]
"""One schema, as it stands in a CRD."""

S3_PATTERN: Final = r"^((https|s3)://([^/]+)/?(.*)|(file:///|gs://|az://).*)$"
"""Addresses of objects: those that the first operator took, and those of other stores."""


def string(
    *, least: int = 0, most: int | None = None, pattern: str = "", enum: Sequence[str] = ()
) -> Schema:
    """Return the schema of a text, with bounds on its length."""
    schema: dict[str, Any] = {"type": "string"}
    if enum:
        schema["enum"] = list(enum)
    if least:
        schema["minLength"] = least
    if most is not None:
        schema["maxLength"] = most
    if pattern:
        schema["pattern"] = pattern
    return schema


def integer(*, least: int | None = None, most: int | None = None) -> Schema:
    """Return the schema of a whole number."""
    return _bounded({"type": "integer", "format": "int64"}, least, most)


def number(*, least: float | None = None, most: float | None = None) -> Schema:
    """Return the schema of any number."""
    return _bounded({"type": "number"}, least, most)


def boolean() -> Schema:
    """Return the schema of ``true`` and ``false``."""
    return {"type": "boolean"}


def moment() -> Schema:
    """Return the schema of a point in time, RFC 3339."""
    return {"type": "string", "format": "date-time"}


def list_of(items: Schema, *, least: int = 0, most: int | None = None) -> Schema:
    """Return the schema of a list, with bounds on its length."""
    schema: dict[str, Any] = {"type": "array", "items": items}
    if least:
        schema["minItems"] = least
    if most is not None:
        schema["maxItems"] = most
    return schema


def map_of(values: Schema, *, most: int | None = None) -> Schema:
    """Return the schema of an object with any names and like values."""
    schema: dict[str, Any] = {"type": "object", "additionalProperties": values}
    if most is not None:
        schema["maxProperties"] = most
    return schema


def structure(members: Mapping[str, Schema]) -> Schema:
    """Return the schema of an object; a name with ``*`` before it is one that must be given."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name.removeprefix("*"): member for name, member in members.items()},
    }
    required = [name[1:] for name in members if name.startswith("*")]
    if required:
        schema["required"] = required
    return schema


def pairs(*, most: int | None = None) -> Schema:
    """Return the schema of ``[{name, value}]``, the form in which old manifests write maps."""
    return list_of(structure({"name": string(), "value": string()}), most=most)


def address() -> Schema:
    """Return the schema of an object's, or a prefix's, address."""
    return string(pattern=S3_PATTERN)


def described(text: str, schema: Schema) -> Schema:
    """Return the schema with what ``kubectl explain`` says of it."""
    return {"description": text, **schema}


def _bounded(schema: dict[str, Any], least: float | None, most: float | None) -> Schema:
    if least is not None:
        schema["minimum"] = least
    if most is not None:
        schema["maximum"] = most
    return schema
