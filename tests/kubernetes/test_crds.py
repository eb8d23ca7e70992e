"""A cluster takes the CRDs, and with them what people have: with an old kubectl and with a new one.

They are installed for a group of the test's own, which no operator looks at.
"""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubernetes.cluster import Cluster, until

pytestmark = pytest.mark.kubernetes

ROOT = Path(__file__).parents[2]
GROUP = "sagemaker.aws.amazon.com"
CRDS = sorted((ROOT / "deploy" / "crds").glob("*.yaml"))
MANIFESTS = sorted((ROOT / "tests" / "operator" / "manifests").glob("*.yaml"))
OF_THE_SEED = [
    "batchtransformjobs",
    "endpointconfigs",
    "hostingdeployments",
    "hyperparametertuningjobs",
    "models",
    "trainingjobs",
]
"""What ``kubectl get crd`` has always listed."""

STATUS = {
    "trainingJobStatus": "Completed",
    "secondaryStatus": "Completed",
    "sageMakerTrainingJobName": "digits-trees-1",
    "modelPath": "s3://trees/models/digits-trees-1/output/model.tar.gz",
    "billableTimeInSeconds": 12,
    "creationTime": "2026-01-31T12:00:00Z",
    "observedGeneration": 1,
    "finalMetrics": [
        {"metricName": "error", "value": 0.125, "timestamp": "2026-01-31T12:00:09Z"},
        {"metricName": "rounds", "value": 7, "timestamp": "2026-01-31T12:00:09Z"},
    ],
    "conditions": [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Completed",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-31T12:00:10Z",
        }
    ],
}


@pytest.fixture(scope="module")
def group(cluster: Cluster) -> Iterator[str]:
    """A group with all kinds, installed by Debian's kubectl; it goes with all its objects."""
    name = f"c-{secrets.token_hex(3)}.crds.example.org"
    said = cluster.apply(*(path.read_text().replace(GROUP, name) for path in CRDS))
    assert said.out.count("created") == len(CRDS)
    try:
        for path in CRDS:  # what kubectl checks before it sends is there a little later
            kind = path.stem.partition("_")[2]
            asked = ("explain", kind, f"--api-version={name}/v1")
            until(" ".join(asked), lambda asked=asked: not cluster.attempt(*asked).returncode)
        yield name
    finally:
        cluster.kubectl("delete", "crd", *(crd_name(path, name) for path in CRDS))


def crd_name(path: Path, group: str) -> str:
    return f"{path.stem.partition('_')[2]}.{group}"


def manifest(path: Path, group: str, **spec: Any) -> dict[str, Any]:
    """Return a manifest of that group, with other members in its spec."""
    found: dict[str, Any] = yaml.safe_load(path.read_text().replace(GROUP, group))
    found["spec"].update(spec)
    return found


def training(group: str, **spec: Any) -> dict[str, Any]:
    [path] = (each for each in MANIFESTS if each.stem == "training")
    return manifest(path, group, **spec)


def test_the_cluster_serves_every_kind_and_finds_no_fault_in_it(
    cluster: Cluster, group: str
) -> None:
    cluster.kubectl(
        "wait", "--for=condition=Established", "crd", *(crd_name(path, group) for path in CRDS)
    )
    for path in CRDS:
        conditions = cluster.get("crd", crd_name(path, group))["status"]["conditions"]
        assert {each["type"]: each["status"] for each in conditions} == {
            "Established": "True",
            "NamesAccepted": "True",
        }


def test_the_names_are_those_that_people_look_for(cluster: Cluster, group: str) -> None:
    listed = cluster.kubectl("get", "crd", "--output=name").out.split()
    assert {
        f"customresourcedefinition.apiextensions.k8s.io/{name}.{group}" for name in OF_THE_SEED
    } <= set(listed)


def test_applied_again_nothing_changes(kubectl: Cluster, group: str) -> None:
    said = kubectl.apply(*(path.read_text().replace(GROUP, group) for path in CRDS))
    assert said.out.count("unchanged") == len(CRDS), said


def test_manifests_apply_and_nothing_of_them_is_lost(namespace: Cluster, group: str) -> None:
    wanted = [manifest(path, group) for path in MANIFESTS]
    namespace.apply({"apiVersion": "v1", "kind": "List", "items": wanted})
    every = ",".join(crd_name(path, group) for path in CRDS)
    found = namespace.find(every)
    assert {(each["kind"], each["metadata"]["name"]): each["spec"] for each in found} == {
        (each["kind"], each["metadata"]["name"]): each["spec"] for each in wanted
    }
    namespace.kubectl("delete", every, "--all")


def test_what_a_member_is_can_be_asked(kubectl: Cluster, group: str) -> None:
    told = kubectl.kubectl(
        "explain", "trainingjob.spec.algorithmSpecification", f"--api-version={group}/v1"
    ).out
    assert "trainingInputMode" in told
    assert "AlgorithmSpecification.ContainerEntrypoint of the SageMaker API" in " ".join(
        told.split()
    )


def test_an_unknown_member_is_refused_by_kubectl(kubectl: Cluster, group: str) -> None:
    text = json.dumps(training(group, maxRuntime=3600))
    refused = kubectl.kubectl("apply", "-f", "-", typed=text, code=1)
    assert 'unknown field "' in refused.err
    assert "maxRuntime" in refused.err


def test_an_unknown_member_is_dropped_where_nobody_looks(kubectl: Cluster, group: str) -> None:
    text = json.dumps(training(group, maxRuntime=3600))
    kubectl.kubectl("apply", "--validate=false", "-f", "-", typed=text)
    found = kubectl.get(f"trainingjob.{group}", "digits-trees")
    assert found["spec"] == training(group)["spec"]
    kubectl.kubectl("delete", f"trainingjob.{group}", "digits-trees")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"algorithmSpecification": {"trainingInputMode": "file"}},
            'spec.algorithmSpecification.trainingInputMode: Unsupported value: "file"',
        ),
        ({"outputDataConfig": {"s3OutputPath": "/srv"}}, "spec.outputDataConfig.s3OutputPath"),
        ({"resourceConfig": {"instanceCount": 1}}, "spec.resourceConfig.instanceType: Required"),
        ({"roleArn": "training"}, "spec.roleArn"),
        ({"deletionPolicy": "Delete"}, 'spec.deletionPolicy: Unsupported value: "Delete"'),
    ],
)
def test_the_cluster_refuses_what_does_not_fit(
    namespace: Cluster, group: str, wrong: dict[str, Any], told: str
) -> None:
    text = json.dumps(training(group, **wrong))
    refused = namespace.kubectl("apply", "--validate=false", "-f", "-", typed=text, code=1)
    assert told in refused.err


def test_a_status_is_kept_shown_and_waited_for(
    namespace: Cluster, group: str, clients: Path
) -> None:
    namespace.apply(training(group))
    kind = f"trainingjobs.{group}"
    namespace.by(clients / "kubectl").kubectl(
        "patch",
        kind,
        "digits-trees",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': STATUS})}",
    )
    assert namespace.get(kind, "digits-trees")["status"] == STATUS
    namespace.kubectl("wait", "--for=condition=Completed", f"{kind}/digits-trees")
    shown = namespace.kubectl("get", kind).lines
    assert shown[0].split() == [
        "NAME",
        "STATUS",
        "SECONDARY-STATUS",
        "CREATION-TIME",
        "SAGEMAKER-JOB-NAME",
        "AGE",
    ]
    assert shown[1].split()[:3] == ["digits-trees", "Completed", "Completed"]
    assert "digits-trees-1" in shown[1]
    wide = namespace.kubectl("get", kind, "-o", "wide").lines
    assert wide[0].split()[-3:] == ["NODES", "BILLABLE-SECONDS", "FAILURE-REASON"]
    assert wide[1].split()[-2:] == ["1", "12"]
    namespace.kubectl("delete", kind, "digits-trees")


def test_the_new_group_is_known_to_kubectl_by_its_category(namespace: Cluster, group: str) -> None:
    namespace.apply(training(group))
    until(
        "kubectl get sagemaker shows it",
        lambda: (
            f"trainingjob.{group}/digits-trees"
            in namespace.kubectl("get", "sagemaker", "--output=name").out
        ),
    )
    namespace.kubectl("delete", f"trainingjobs.{group}", "digits-trees")
