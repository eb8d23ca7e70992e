"""What the service's model adds to a manifest's schema: the members that came after it.

A member that the first operator had keeps the bounds that it had there, so that no old manifest is
refused; only choices that came later are added to its own. A new member has the service's bounds.
"""

import re
from collections.abc import Mapping
from typing import Final

from trainshed.operator.schema import structural
from trainshed.operator.schema.structural import Schema
from trainshed.wire.model import Ref, ServiceModel, Shape, load

ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "DebugHookConfig": {"HookParameters": "ruleParameters"},
}
"""By shape: members that manifests call otherwise."""

_FIRST_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z]|$)|[A-Z]")
_OPEN: Final = "InstanceType"
"""How choices are called that grow by the month, and to which a site adds its own."""
_ADDRESSES: Final = "(https|s3)://"
"""How the patterns begin that admit addresses of objects."""
_NOT_RE2: Final = re.compile(r"\(\?[^:]|\\[1-9pPuUzZk]|[*+?}][+]|&&|\{\d*,?\d{4,}\}")
"""What Java's expressions have and those of Kubernetes have not, or otherwise."""


def camel(member: str) -> str:
    """Return a member's name as manifests write it: ``S3Uri`` is ``s3Uri``."""
    return _FIRST_WORD.sub(lambda word: word[0].lower(), member, count=1)


def written_name(shape: str, member: str) -> str:
    """Return what manifests call a member of a shape, alias or not."""
    return ALIASES.get(shape, {}).get(member, camel(member))


def input_shape(operation: str) -> str:
    """Return the name of the shape that an operation of SageMaker takes.

    Raises:
        KeyError: there is no such operation; "" stands for several requests.
    """
    given = load("sagemaker").operation(operation).input
    if given is None:
        raise KeyError(operation)
    return given.shape


def extended(schema: Schema, shape_name: str, *, without: str = "") -> Schema:
    """Return a structure's schema with the optional members that SageMaker's shape has beyond it.

    Args:
        schema: the structure as the first operator had it.
        shape_name: what the service calls it.
        without: a member that is not taken over.
    """
    return _extended(load("sagemaker"), schema, shape_name, without)


def _extended(model: ServiceModel, schema: Schema, shape_name: str, without: str = "") -> Schema:
    properties = dict(schema["properties"])
    written = {name.lower(): name for name in properties}
    for member, ref in model.shapes[shape_name].members.items():
        if member == without:
            continue
        name = written_name(shape_name, member)
        told = {"description": f"{shape_name}.{member} of the SageMaker API."}
        if (known := written.get(name.lower())) is not None:
            properties[known] = {**told, **_grown(model, properties[known], ref)}
        else:
            properties[name] = {**told, **_new(model, ref)}
    return {**schema, "properties": dict(sorted(properties.items()))}


def _grown(model: ServiceModel, schema: Schema, ref: Ref) -> Schema:
    """Return the schema of a member that the first operator had, with what came later inside it."""
    shape = model.shape_of(ref)
    match shape.type, schema["type"]:
        case "structure", "object":
            return _extended(model, schema, ref.shape)
        case "list", "array":
            return {**schema, "items": _grown(model, schema["items"], shape.element)}
        case "string", _ if "enum" in schema:
            later = [choice for choice in shape.enum if choice not in schema["enum"]]
            return {**schema, "enum": [*schema["enum"], *later]}
    return schema


def _new(model: ServiceModel, ref: Ref) -> Schema:
    shape = model.shape_of(ref)
    match shape.type:
        case "structure":
            members = {
                ("*" if member in shape.required else "") + written_name(ref.shape, member): {
                    "description": f"{ref.shape}.{member} of the SageMaker API.",
                    **_new(model, inner),
                }
                for member, inner in shape.members.items()
            }
            return structural.structure(members)
        case "list":
            return structural.list_of(
                _new(model, shape.element), least=_whole(shape.min) or 0, most=_whole(shape.max)
            )
        case "map":
            return structural.map_of(_new(model, shape.map_value), most=_whole(shape.max))
        case _:
            return _scalar(ref.shape, shape)


def _scalar(name: str, shape: Shape) -> Schema:
    match shape.type:
        case "string" if name.endswith(_OPEN):
            return structural.string(least=1)
        case "string":
            return structural.string(
                least=0 if shape.enum else _whole(shape.min) or 0,
                most=None if shape.enum else _whole(shape.max),
                enum=shape.enum,
                pattern=_pattern(shape.pattern or ""),
            )
        case "integer" | "long":
            return structural.integer(least=_whole(shape.min), most=_whole(shape.max))
        case "float" | "double":
            return structural.number(least=shape.min, most=shape.max)
        case "boolean":
            return structural.boolean()
        case "timestamp":
            return structural.moment()
        case other:
            raise ValueError(f"{name}: no manifest has a {other}")


def _pattern(java: str) -> str:
    """Return a pattern for the whole of a text as Kubernetes (RE2) takes it; "" for none."""
    if java in {"", ".*", r"[\s\S]*", r"[\S\s]*"} or _NOT_RE2.search(java):
        return ""
    if java.removeprefix("^").startswith(_ADDRESSES):
        return structural.S3_PATTERN
    return f"^(?:{java})$"


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
