"""The CustomResourceDefinition of each kind, made of what ``kinds`` tells and the service's model.

Made, never kept by hand: deploy/crds holds what comes out, and a test holds the two together. No
rules in CEL: Kubernetes takes those from 1.25 on only, and what they would say the operator says.
"""

from collections.abc import Mapping
from typing import Any

from trainshed.operator.kinds.base import CATEGORIES, GROUP, VERSION, Column, Kind
from trainshed.operator.schema.service import extended, input_shape
from trainshed.operator.schema.structural import Schema
from trainshed.wire.model import Value


def spec_schema(kind: Kind) -> Schema:
    """Return the schema of a kind's spec: the first operator's members, and the newer ones."""
    if not kind.operation:
        return kind.spec
    shape = input_shape(kind.operation)
    return extended(kind.spec, shape, without="" if kind.spec_name else kind.name_member)


def crd(kind: Kind) -> dict[str, Any]:
    """Return a kind's CustomResourceDefinition, as ``kubectl apply`` takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": _names(kind),
            "versions": [_version(kind)],
        },
    }


def _names(kind: Kind) -> dict[str, Any]:
    names: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.singular,
        "categories": list(CATEGORIES),
    }
    # A cluster forgets an empty list, and would find the same CRD changed each time.
    return {**names, "shortNames": list(kind.short_names)} if kind.short_names else names


def _version(kind: Kind) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _plain(spec_schema(kind)),
            "status": _plain(kind.status),
        },
    }
    if kind.spec_required:
        schema["required"] = ["spec"]
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }


def _column(column: Column) -> dict[str, Any]:
    told: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.format:
        told["format"] = column.format
    if column.wide:
        told["priority"] = 1
    return told


def _plain(schema: Value) -> Value:
    """Return a copy that shares no part with another: writers of YAML would make anchors of it."""
    if isinstance(schema, Mapping):
        return {key: _plain(value) for key, value in schema.items()}
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema
