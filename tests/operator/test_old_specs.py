"""Whatever the first operator's CRDs let through, ours let through, and it can be sent."""

from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.operator.crds import spec_schema
from trainshed.operator.kinds.base import Kind
from trainshed.operator.kinds.table import KINDS
from trainshed.operator.mapping import to_request

EXAMPLES = {
    "^(https|http)://.*$": ("http://127.0.0.1:8000", "https://sagemaker.example.org"),
    r"[A-Za-z0-9\.\-_]+": ("train", "a.b-c_d"),
}
ADDRESSES = ("s3://bucket", "s3://bucket/key/", "https://s3.amazonaws.com/bucket/key")
TEXTS = st.text("aZ0 -/", max_size=30)


def old(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that fit a schema of the first operator's."""
    match schema["type"]:
        case "object":
            alternatives = [each["required"] for each in schema.get("anyOf", [{"required": []}])]
            required = {*schema.get("required", ()), *alternatives[0]}
            members = {name: old(inner) for name, inner in schema["properties"].items()}
            return st.fixed_dictionaries(
                {name: members[name] for name in required},
                optional={name: members[name] for name in members.keys() - required},
            )
        case "array" if schema["items"].get("properties", {}).keys() == {"name", "value"}:
            named = st.dictionaries(st.text("aZ0_", min_size=1, max_size=9), TEXTS, max_size=2)
            return named.map(lambda each: [{"name": k, "value": v} for k, v in each.items()])
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(old(schema["items"]), min_size=least, max_size=max(1, least))
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), 10**9)
        case "number":
            return st.integers(0, 10**9)
        case "string" if "enum" in schema:
            return st.sampled_from(schema["enum"])
        case "string" if "pattern" in schema:
            return st.sampled_from(EXAMPLES.get(schema["pattern"], ADDRESSES))
        case _:
            least, most = schema.get("minLength", 0), schema.get("maxLength", 30)
            return st.text("aZ0 -/", min_size=least, max_size=min(30, most))


def whole(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(
        st.sampled_from(sorted(kind.spec["properties"])), max_size=3, unique=True
    ).flatmap(lambda names: old(_of(kind.spec, {*names, *kind.spec.get("required", ())})))


def _of(schema: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a schema with some of its members: all at once take long to make."""
    return {**schema, "properties": {name: schema["properties"][name] for name in names}}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_a_spec_of_old_fits(kind: Kind) -> None:
    ours = jsonschema.Draft4Validator(spec_schema(kind))

    @settings(max_examples=25)
    @given(whole(kind))
    def fits(spec: dict[str, Any]) -> None:
        assert [fault.message for fault in ours.iter_errors(spec)] == []
        if kind.operation:
            to_request(kind, spec, "n")

    fits()
