"""Operator and server are installed on a cluster: by Helm, and by kubectl alone."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster, own_namespace, wait_until_gone
from tests.kubernetes.release import CHART, Release, released, run_helm, state
from tools.installer_sources import DEPLOY

from trainshed.drivers.kubernetes import permissions

pytestmark = pytest.mark.kubernetes

SHOWN = {
    "batchtransformjobs.sagemaker.aws.amazon.com",
    "endpointconfigs.sagemaker.aws.amazon.com",
    "hostingdeployments.sagemaker.aws.amazon.com",
    "hyperparametertuningjobs.sagemaker.aws.amazon.com",
    "models.sagemaker.aws.amazon.com",
    "trainingjobs.sagemaker.aws.amazon.com",
}
"""What ``kubectl get crd | grep sagemaker`` has to show."""
OPERATOR = "sagemaker-k8s-operator-controller-manager"
ACCOUNT = "sagemaker-k8s-operator-default"


def crds(cluster: Cluster) -> set[str]:
    names = cluster.kubectl("get", "crd", "-o", "name").lines
    return {name.partition("/")[2] for name in names if "sagemaker" in name}


def for_tests(installer: Path) -> str:
    """Return an installer with the image that this cluster has."""
    text = installer.read_text()
    assert text.count("image: trainshed:0.1.0") == 1
    return text.replace("image: trainshed:0.1.0", f"image: {images.PRODUCT}")


def may(cluster: Cluster, verb: str, resource: str, account: str, *words: str) -> bool:
    """Tell whether a ServiceAccount of the namespace is allowed something."""
    who = f"system:serviceaccount:{cluster.namespace}:{account}"
    groups = ("--as-group=system:serviceaccounts", "--as-group=system:authenticated")
    mine = f"--as-group=system:serviceaccounts:{cluster.namespace}"
    asked = cluster.attempt("auth", "can-i", verb, resource, "--as", who, *groups, mine, *words)
    return asked.stdout.strip() == "yes"


def ready(cluster: Cluster, deployment: str) -> None:
    told = cluster.attempt("rollout", "status", f"deployment/{deployment}", "--timeout=80s")
    assert told.returncode == 0, (told, state(cluster))


def test_kubectl_alone_installs_the_operator_for_all_namespaces(cluster: Cluster) -> None:
    system = cluster.within("sagemaker-k8s-operator-system")
    text = for_tests(DEPLOY / "installer.yaml")
    try:
        system.kubectl("apply", "-f", "-", typed=text)
        ready(system, OPERATOR)
        assert crds(cluster) >= SHOWN
        assert may(system, "patch", "trainingjobs.sagemaker.aws.amazon.com", ACCOUNT, "-A")
        assert not may(system, "get", "secrets", ACCOUNT)
        assert not may(system, "create", "pods", ACCOUNT)
        # Applied again, nothing changes.
        again = system.kubectl("apply", "-f", "-", typed=text).lines
        assert [line for line in again if not line.endswith("unchanged")] == []
    finally:
        rest = [
            each
            for each in yaml.safe_load_all(text)
            if each and each["kind"] != "CustomResourceDefinition"
        ]
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": rest})
        system.kubectl("delete", "-f", "-", "--ignore-not-found", "--wait=false", typed=items)
        wait_until_gone(system)


def test_the_operator_of_one_namespace_works_with_the_rights_of_that_alone(
    namespace: Cluster,
) -> None:
    text = for_tests(DEPLOY / "installer-namespaced.yaml")
    namespace.kubectl(
        "apply", "-f", "-", typed=text.replace("PLACEHOLDER-NAMESPACE", namespace.namespace)
    )
    ready(namespace, OPERATOR)
    kind = "trainingjobs.sagemaker.aws.amazon.com"
    assert may(namespace, "patch", kind, ACCOUNT)
    assert not may(namespace, "list", kind, ACCOUNT, "-A")


@pytest.fixture(scope="module")
def both(cluster: Cluster, helm: Path) -> Iterator[Release]:
    """Operator and server in a namespace, with the CRDs, as ``helm install`` brings them."""
    with (
        own_namespace(cluster, "install-both") as inside,
        released(helm, inside, {"crds": {"install": True}, "server": {"enabled": True}}) as found,
    ):
        yield found


def test_helm_brings_the_kinds_and_keeps_them_when_it_goes(both: Release) -> None:
    assert crds(both.cluster) >= SHOWN
    kept = both.cluster.get("crd", "trainingjobs.sagemaker.aws.amazon.com")["metadata"]
    assert kept["annotations"]["helm.sh/resource-policy"] == "keep"


def test_what_is_installed_runs_as_nobody_on_a_file_system_that_it_cannot_write(
    both: Release,
) -> None:
    for part in ("operator", "server"):
        pod = both.cluster.find("pods", "-l", f"app.kubernetes.io/component={part}")[0]
        name = pod["metadata"]["name"]
        container = pod["spec"]["containers"][0]["name"]
        inside = ("exec", name, "-c", container, "--")
        assert both.cluster.kubectl(*inside, "id", "-u").out.strip() == "65532"
        tried = both.cluster.attempt(*inside, "touch", "/opt/trainshed/mine")
        assert "Read-only file system" in tried.stderr
        status = both.cluster.kubectl(*inside, "grep", "^Cap", "/proc/1/status").lines
        assert {line.split()[1] for line in status} == {"0" * 16}


def test_who_signs_with_the_keys_of_the_secret_is_answered(both: Release) -> None:
    with both.forwarded() as url:
        listed = both.client("sagemaker", url).list_training_jobs()
        both.client("s3", url).create_bucket(Bucket="data")
    assert listed["TrainingJobSummaries"] == []


def test_the_server_and_its_nodes_have_the_rights_that_are_listed_and_no_others(
    both: Release,
) -> None:
    def allowed(account: str, wanted: tuple[permissions.Permission, ...]) -> list[bool]:
        return [
            may(both.cluster, verb, dotted(of), account) for of, verb in permissions.each(wanted)
        ]

    def dotted(of: permissions.Permission) -> str:
        resource, slash, part = of.resource.partition("/")
        return f"{resource}{'.' if of.group else ''}{of.group}{slash}{part}"

    assert all(allowed("shed-server", permissions.SERVER))
    assert all(allowed("default", permissions.NODE))
    assert not may(both.cluster, "get", "secrets", "default")
    assert not may(both.cluster, "create", "jobs.batch", "default")
    assert not may(both.cluster, "get", "secrets", "shed-server", "-n", "kube-system")


def test_the_server_says_what_it_is_told_by_the_chart(both: Release) -> None:
    with both.forwarded() as url:
        asked = ["curl", "--silent", "--fail", f"{url}/readyz"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert told.returncode == 0, (told, both.logs("server"))
    assert "backend k8s" in told.stdout


def test_an_upgrade_keeps_the_keys_and_of_several_operators_one_works(both: Release) -> None:
    before = both.keys()
    both.upgrade({"operator": {"replicas": 2}, "server": {"enabled": True}})
    assert both.keys() == before
    lease = both.cluster.get("lease", "shed-operator")
    assert lease["spec"]["holderIdentity"].startswith("shed-operator-")
    pods = both.cluster.find("pods", "-l", "app.kubernetes.io/component=operator")
    assert len(pods) == 2


def test_the_installers_are_what_helm_renders(helm: Path) -> None:
    checked = subprocess.run(
        [DEPLOY.parent / "tools" / "installer", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("server.enable=true", "additional properties .* not allowed"),
        ("server.enabled=true,server.replicas=2", "set server.postgresql.url"),
        ("installScope=all", "installScope"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(
    namespace: Cluster, helm: Path, value: str, said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        run_helm(helm, namespace, "template", "t", str(CHART), "--set", value)
