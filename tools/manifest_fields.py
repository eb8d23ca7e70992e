"""Writes docs/manifest-fields.md: what specs and statuses of manifests may hold.

python -m tools.manifest_fields
"""

from collections.abc import Iterator
from pathlib import Path

from trainshed.operator.crds import spec_schema
from trainshed.operator.kinds.base import Kind
from trainshed.operator.kinds.parts import NEW_IN_STATUS
from trainshed.operator.kinds.table import KINDS
from trainshed.operator.kinds.training_job import NEW as NEW_IN_TRAINING_STATUS
from trainshed.operator.mapping import OURS
from trainshed.operator.schema.structural import Schema

PAGE = Path(__file__).parents[1] / "docs" / "manifest-fields.md"

_HEAD = """# What manifests may hold

Written by `make docs` from the same tables as the CRDs. What is new, what must be given and what
becomes of other members: [manifests](manifests.md). `kubectl explain trainingjob.spec --recursive`
tells the same of an installed CRD.

`*` must be given; **bold** is new since the first operator; `[]` is a list, `{}` a map with names
of one's own; `[pairs]` is a list of `name` and `value`; `|` stands between choices.
"""
_PAIRS = {"name", "value"}
_MOST_CHOICES = 6


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(line for kind in KINDS.values() for line in _section(kind))])


def _section(kind: Kind) -> Iterator[str]:
    called = ", ".join(f"`{name}`" for name in (kind.singular, *kind.short_names))
    yield f"## {kind.kind}\n"
    yield f"On the command line: {called}.\n"
    yield "| `spec` | |\n|---|---|"
    yield from _rows(_marked(kind), spec_schema(kind))
    yield "\n| `status` | |\n|---|---|"
    new = {*NEW_IN_STATUS, *(NEW_IN_TRAINING_STATUS if kind.kind == "TrainingJob" else ())}
    old = {name: kind.status["properties"][name] for name in kind.status["properties"].keys() - new}
    if kind.kind == "HostingDeployment":
        old["failureReason"] = NEW_IN_STATUS["failureReason"]
    yield from _rows({**kind.status, "properties": old}, kind.status)
    yield ""


def _marked(kind: Kind) -> Schema:
    """Return the spec without our own members, which its table has among the old ones."""
    members = {
        name: schema
        for name, schema in kind.spec["properties"].items()
        if name.lower() not in OURS or name in {"region", "sageMakerEndpoint"}
    }
    return {**kind.spec, "properties": members}


def _rows(old: Schema, schema: Schema) -> Iterator[str]:
    for name, inner in sorted(schema["properties"].items()):
        before = old["properties"].get(name)
        told = _name(name, schema, new=before is None)
        yield f"| {told} | {_told(inner, before or inner)} |"


def _name(name: str, schema: Schema, *, new: bool) -> str:
    star = "*" if name in schema.get("required", ()) else ""
    return f"**{name}**{star}" if new else f"{name}{star}"


def _told(schema: Schema, old: Schema) -> str:
    """Return what a value is; ``old`` is what it was, or the same again."""
    match schema["type"]:
        case "object" if "additionalProperties" in schema:
            return f"{_told(schema['additionalProperties'], schema['additionalProperties'])}{{}}"
        case "object":
            was = old["properties"]
            members = [
                f"{_name(name, schema, new=name not in was)} {_told(inner, was.get(name, inner))}"
                for name, inner in schema["properties"].items()
            ]
            return f"( {'; '.join(members)} )"
        case "array" if schema["items"].get("properties", {}).keys() == _PAIRS:
            return "[pairs]"
        case "array":
            return f"{_told(schema['items'], old['items'])}[]"
        case "string" if 0 < len(schema.get("enum", ())) <= _MOST_CHOICES:
            was = old.get("enum", ())
            return " \\| ".join(_choice(choice, was) for choice in schema["enum"])
    return f"_{schema['type']}_"


def _choice(choice: str, old: list[str]) -> str:
    return f"`{choice}`" if choice in old else f"**`{choice}`**"


if __name__ == "__main__":
    PAGE.write_text(page())
