"""The schemas hold all that old manifests say, and Kubernetes takes them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tools.crds import FOLDER, pages
from tools.manifest_fields import PAGE, page

from trainshed.operator.crds import crd, spec_schema
from trainshed.operator.kinds.base import Kind
from trainshed.operator.kinds.table import KINDS
from trainshed.operator.schema.service import camel, extended
from trainshed.operator.schema.structural import S3_PATTERN

Row = tuple[str, str, dict[str, str]]
PAIRS = {"name": {"type": "string"}, "value": {"type": "string"}}


def first_fields() -> dict[str, list[Row]]:
    """Return (path, type, bounds) of each row of the table, by kind."""
    rows: dict[str, list[Row]] = {}
    kind = ""
    for line in (Path(__file__).with_name("first_fields.txt")).read_text().splitlines():
        if line.startswith("  "):
            path, type_, *bounds = line.split()
            rows[kind].append((path, type_, dict(bound.split("=", 1) for bound in bounds)))
        elif line and not line.startswith("#"):
            kind = line
            rows[kind] = []
    return rows


FIRST = first_fields()


def schema_of(kind: Kind) -> Mapping[str, Any]:
    found: Mapping[str, Any] = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def find(schema: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], bool]:
    """Return the schema at a path of the table, and whether its last name must be given."""
    given = False
    for step in path.replace("*", "").split("."):
        name = step.removesuffix("[]")
        given = name in schema.get("required", schema.get("anyOf", [{}])[0].get("required", []))
        schema = schema["properties"][name]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema, given


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}" if path else name)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], path + mark)


def test_the_table_has_all_kinds() -> None:
    assert FIRST.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_member_of_old_is_there_with_its_bounds(kind: Kind) -> None:
    root = schema_of(kind)
    for path, type_, bounds in FIRST[kind.kind]:
        schema, given = find(root, path)
        assert given is path.endswith("*"), path
        match type_:
            case "pairs":
                assert (schema["type"], schema["items"]["properties"]) == ("array", PAIRS), path
            case "strings":
                assert (schema["type"], schema["items"]) == ("array", {"type": "string"}), path
            case "address":
                assert (schema["type"], schema["pattern"]) == ("string", S3_PATTERN), path
            case "time":
                assert (schema["type"], schema["format"]) == ("string", "date-time"), path
            case _:
                assert schema["type"] == type_, path
        for bound, value in bounds.items():
            if bound == "enum":
                assert set(schema["enum"]) >= set(value.split("|")), path
            else:
                assert schema[bound] == int(value), path
        unasked = {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "enum"}
        assert unasked & schema.keys() <= bounds.keys(), path


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_what_was_a_place_for_members_asks_for_no_new_one(kind: Kind) -> None:
    old = {path.replace("*", "") for path, _, _ in FIRST[kind.kind]}
    for path, schema in nodes(schema_of(kind)):
        if path in old or path.removesuffix("[]") in old:
            missing = [
                name
                for name in schema.get("required", [])
                if f"{path}.{name}" not in old and schema.get("properties") != PAIRS
            ]
            assert missing == [], path


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_value_has_one_type_and_nothing_unknown_is_kept(kind: Kind) -> None:
    """What Kubernetes calls structural, as its documentation states it."""
    forbidden = {
        "$ref",
        "definitions",
        "dependencies",
        "deprecated",
        "discriminator",
        "id",
        "patternProperties",
        "readOnly",
        "writeOnly",
        "xml",
        "uniqueItems",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    }
    for path, schema in nodes(schema_of(kind)):
        assert isinstance(schema["type"], str), path
        assert forbidden.isdisjoint(schema), path
        assert not {"properties", "additionalProperties"} <= schema.keys(), path
        assert schema["type"] != "array" or "items" in schema, path
        for choice in schema.get("anyOf", []):
            assert choice.keys() == {"required"}, path
            assert set(choice["required"]) <= schema["properties"].keys(), path


def test_what_came_later_is_there() -> None:
    spec = schema_of(KINDS["TrainingJob"])["properties"]["spec"]["properties"]
    algorithm = spec["algorithmSpecification"]["properties"]
    assert algorithm["trainingInputMode"]["enum"] == ["File", "Pipe", "FastFile"]
    channel = spec["inputDataConfig"]["items"]["properties"]
    assert channel["inputMode"]["enum"] == ["File", "Pipe", "FastFile"]
    assert {"containerEntrypoint", "containerArguments"} <= algorithm.keys()
    assert {"environment", "retryStrategy", "experimentConfig", "profilerConfig"} <= spec.keys()
    resources = spec["resourceConfig"]["properties"]
    assert {"instanceGroups", "keepAlivePeriodInSeconds"} <= resources.keys()
    assert spec["environment"]["additionalProperties"]["type"] == "string"
    assert spec["retryStrategy"]["required"] == ["maximumRetryAttempts"]
    assert spec["deletionPolicy"]["enum"] == ["Stop", "Retain", "Abandon"]
    assert spec["stop"]["type"] == "boolean"


def test_a_member_with_an_old_spelling_is_there_once() -> None:
    hook = spec_schema(KINDS["TrainingJob"])["properties"]["debugHookConfig"]["properties"]
    assert "ruleParameters" in hook
    assert "hookParameters" not in hook
    data = spec_schema(KINDS["BatchTransformJob"])["properties"]["dataProcessing"]["properties"]
    assert sorted(data) == ["JoinSource", "OutputFilter", "inputFilter"]


def test_a_kind_without_a_name_in_its_spec_gets_none() -> None:
    assert "processingJobName" not in spec_schema(KINDS["ProcessingJob"])["properties"]


def test_names_are_written_as_manifests_write_them() -> None:
    wanted = {"S3Uri": "s3Uri", "VolumeSizeInGB": "volumeSizeInGB", "KmsKeyId": "kmsKeyId"}
    assert {name: camel(name) for name in wanted} == wanted
    assert camel("VPCConfig") == "vpcConfig"
    assert camel("URI") == "uri"


def test_a_schema_is_not_changed_by_what_is_added_to_it() -> None:
    kind = KINDS["TrainingJob"]
    before = repr(kind.spec)
    extended(kind.spec, "CreateTrainingJobRequest")
    assert repr(kind.spec) == before


def test_the_files_are_what_make_docs_writes() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == pages(), "run: make docs"


def test_the_page_of_members_is_what_make_docs_writes() -> None:
    assert PAGE.read_text() == page(), "run: make docs"


def test_a_crd_is_small_enough_for_kubectl_apply() -> None:
    """Which keeps it in an annotation, whose limit is 256 KiB."""
    assert max(map(len, pages().values())) < 200_000
