"""The chart, and what is rendered from it, say what the code says (Helm: tests/kubernetes)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.installer_sources import DEPLOY, VARIANTS, Variant, digest

from trainshed.drivers.kubernetes import permissions
from trainshed.drivers.kubernetes.permissions import Permission

CHART = DEPLOY / "chart"
KINDS_OF_OLD = {
    "batchtransformjobs",
    "endpointconfigs",
    "hostingdeployments",
    "hyperparametertuningjobs",
    "models",
    "trainingjobs",
}
"""What ``kubectl get crd`` showed once the old operator was installed."""
APPLIED = 262_144
"""Bytes that an object's annotations may take: kubectl apply keeps the whole object in one."""


def rules(template: str) -> set[tuple[str, str, str]]:
    """Return what the first Role of a template grants, as (group, resource, verb)."""
    text = (CHART / "templates" / template).read_text()
    found = re.search(r"^rules:\n((?:(?:- |  ).*\n)+)", text, re.MULTILINE)
    assert found is not None
    return {
        (group, resource, verb)
        for rule in yaml.safe_load(found[1])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def listed(wanted: tuple[Permission, ...]) -> set[tuple[str, str, str]]:
    return {(each.group, each.resource, verb) for each, verb in permissions.each(wanted)}


def objects(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda each: each.path.stem)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(scope="module")
def installed(variant: Variant) -> list[dict[str, Any]]:
    return objects(variant.path)


def test_the_role_of_the_server_grants_what_the_driver_asks_and_no_more() -> None:
    assert rules("server-rights.yaml") == listed(permissions.SERVER)


def test_the_role_of_nodes_grants_what_agents_ask_and_no_more() -> None:
    assert rules("nodes.yaml") == listed(permissions.NODE)


def test_installers_are_those_of_the_chart(variant: Variant) -> None:
    assert digest() in variant.path.read_text(), "run: make installer"


def test_an_installer_brings_the_kinds_that_users_know(installed: list[dict[str, Any]]) -> None:
    crds = [each for each in installed if each["kind"] == "CustomResourceDefinition"]
    assert {each["metadata"]["name"].partition(".")[0] for each in crds} >= KINDS_OF_OLD
    assert {each["spec"]["group"] for each in crds} == {"sagemaker.aws.amazon.com"}
    assert {each["apiVersion"] for each in crds} == {"apiextensions.k8s.io/v1"}
    assert max(len(json.dumps(each)) for each in crds) < APPLIED


def test_what_runs_is_not_root_and_writes_nowhere_but_to_scratch(
    installed: list[dict[str, Any]],
) -> None:
    pods = [each["spec"]["template"]["spec"] for each in installed if each["kind"] == "Deployment"]
    assert len(pods) == 1
    assert pods[0]["securityContext"]["runAsNonRoot"] is True
    assert pods[0]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pods[0]["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"livenessProbe", "readinessProbe", "startupProbe", "resources"} <= set(container)


def test_an_installer_has_the_names_that_roles_and_scripts_know(
    variant: Variant, installed: list[dict[str, Any]]
) -> None:
    named = {(each["kind"], each["metadata"]["name"]) for each in installed}
    assert ("Deployment", "sagemaker-k8s-operator-controller-manager") in named
    assert ("ServiceAccount", "sagemaker-k8s-operator-default") in named
    assert ("Namespace", variant.namespace) in named or variant.namespace.isupper()


def test_no_right_is_given_to_everything(installed: list[dict[str, Any]]) -> None:
    roles = [each for each in installed if each["kind"] in {"Role", "ClusterRole"}]
    granted = [rule for role in roles for rule in role["rules"]]
    assert granted
    assert [rule for rule in granted if "*" in json.dumps(rule)] == []


def test_the_operator_of_one_namespace_has_no_rights_in_others() -> None:
    found = objects(DEPLOY / "installer-namespaced.yaml")
    kinds = {each["kind"] for each in found}
    assert kinds & {"ClusterRole", "ClusterRoleBinding"} == set()
    inside = [each for each in found if each["kind"] != "CustomResourceDefinition"]
    assert {each["metadata"]["namespace"] for each in inside} == {"PLACEHOLDER-NAMESPACE"}


def paths(node: Any, at: str = "") -> Iterator[str]:
    """Yield the places of all members of a mapping, of free mappings only themselves."""
    for name, value in node.items():
        yield f"{at}{name}"
        if isinstance(value, dict):
            yield from paths(value, f"{at}{name}.")


def known(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    for name, value in schema.get("properties", {}).items():
        yield f"{at}{name}"
        yield from known(value, f"{at}{name}.")


def test_the_schema_knows_the_values_that_there_are_and_no_others() -> None:
    values = set(paths(yaml.safe_load((CHART / "values.yaml").read_text())))
    schema = set(known(json.loads((CHART / "values.schema.json").read_text())))
    sizes = {path for path in values | schema if ".resources." in path}
    named = {path for path in schema if path.startswith(("global", "imagePullSecrets."))}
    assert values - sizes == schema - sizes - named


def test_the_image_has_the_extras_of_a_cluster_and_its_wheels_are_locked() -> None:
    lock = (DEPLOY.parent / "requirements" / "image.txt").read_text()
    names = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert {"lightkube", "kopf", "psycopg-binary", "botocore"} <= names
    assert all("--hash=sha256:" in part for part in re.split(r"^\S+==", lock, flags=re.M)[1:])
