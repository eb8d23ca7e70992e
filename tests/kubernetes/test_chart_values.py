"""What Helm makes of the chart's values; the cluster is not asked."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubernetes.release import CHART

from trainshed.app import settings
from trainshed.drivers.kubernetes.options import KubernetesBackend

pytestmark = pytest.mark.kubernetes

Objects = dict[tuple[str, str], dict[str, Any]]
"""By kind and name."""
Render = Callable[[Mapping[str, Any]], Objects]
URL = "postgresql://trainshed@db.example.com:5432/trainshed"


@pytest.fixture(scope="module")
def render(helm: Path) -> Render:
    def rendered(values: Mapping[str, Any]) -> Objects:
        ran = subprocess.run(
            [helm, "template", "shed", CHART, "--namespace", "ml", "--values", "-"],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found = [each for each in yaml.safe_load_all(ran.stdout) if each]
        return {(each["kind"], each["metadata"]["name"]): each for each in found}

    return rendered


def told(objects: Objects, folder: Path) -> settings.Settings:
    """Return what the server reads."""
    file = folder / "trainshed.toml"
    file.write_text(objects["ConfigMap", "shed-server"]["data"]["trainshed.toml"])
    return settings.load(file)


def pod(objects: Objects, name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment", name]["spec"]["template"]["spec"]
    return found


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_the_server_is_told_what_it_can_read(render: Render, tmp_path: Path) -> None:
    further = {
        "retention": {"logs_days": 30},
        "backends": {
            "k8s": {"max_nodes": 7, "instances": {"ml.g5.*": {"cpus": 3, "memory": "9g"}}}
        },
    }
    made = render({"server": {"enabled": True, "settings": further}})
    found = told(made, tmp_path)
    assert found.backend == "k8s"
    assert found.retention.logs_days == 30
    place = found.backends.further["k8s"].options
    assert isinstance(place, KubernetesBackend)
    assert (place.namespace, place.max_nodes) == ("ml", 7)
    assert place.server_url == "http://shed-server.ml.svc:7070"
    assert place.agent_image == "trainshed:0.1.0"
    assert place.instances["ml.g5.*"].cpus == 3


def test_agents_are_fetched_as_the_server_is(render: Render, tmp_path: Path) -> None:
    image = {
        "repository": "r.example.com/t",
        "digest": f"sha256:{'0' * 64}",
        "pullPolicy": "Always",
    }
    secrets = [{"name": "registry"}, {"name": "another"}]
    made = render({"image": image, "imagePullSecrets": secrets, "server": {"enabled": True}})
    place = told(made, tmp_path).backends.further["k8s"].options
    assert place.agent_image == f"r.example.com/t@{image['digest']}"
    assert (place.agent_pull, place.image_pull_secrets) == ("always", ("registry", "another"))
    spec = pod(made, "shed-server")
    assert spec["imagePullSecrets"] == secrets
    assert spec["containers"][0]["image"] == place.agent_image


def test_several_servers_share_a_database_and_a_folder(render: Render, tmp_path: Path) -> None:
    secret = {"name": "db", "key": "password"}
    server = {
        "enabled": True,
        "replicas": 2,
        "postgresql": {"url": URL, "passwordSecret": secret},
        "storage": {"accessModes": ["ReadWriteMany"]},
    }
    made = render({"server": server})
    found = told(made, tmp_path)
    assert (found.records.url, found.records.shared) == (URL, "/var/lib/trainshed-shared")
    assert made["Deployment", "shed-server"]["spec"]["strategy"]["type"] == "RollingUpdate"
    spec = pod(made, "shed-server")
    assert variables(spec["containers"][0])["PGPASSWORD"] == {"secretKeyRef": secret}
    mounts = {each["mountPath"]: each["name"] for each in spec["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert "persistentVolumeClaim" in volumes[mounts["/var/lib/trainshed-shared"]]
    assert "emptyDir" in volumes[mounts["/var/lib/trainshed"]]
    keys = {each["mountPath"] for each in spec["initContainers"][0]["volumeMounts"]}
    assert keys == {"/var/lib/trainshed-shared"}


def test_jobs_may_have_a_namespace_of_their_own(render: Render, tmp_path: Path) -> None:
    made = render({"server": {"enabled": True}, "jobs": {"namespace": "ml-jobs"}})
    assert told(made, tmp_path).backends.further["k8s"].options.namespace == "ml-jobs"
    for name, whom in (("shed-server", "ml"), ("trainshed-node", None)):
        bound = made["RoleBinding", name]
        assert bound["metadata"]["namespace"] == "ml-jobs"
        assert made["Role", name]["metadata"]["namespace"] == "ml-jobs"
        assert bound["subjects"][0].get("namespace") == whom
    assert made["RoleBinding", "trainshed-node"]["subjects"][0]["name"].endswith(":ml-jobs")
    assert made["Deployment", "shed-server"]["metadata"]["namespace"] == "ml"


def test_the_operator_has_a_role_of_aws_or_keys_and_its_endpoint(render: Render) -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/operator"}
    made = render({"operator": {"serviceAccount": {"annotations": role}}})
    assert made["ServiceAccount", "shed-operator"]["metadata"]["annotations"] == role
    bare = variables(pod(made, "shed-operator")["containers"][0])
    assert set(bare) == {"POD_NAME", "POD_NAMESPACE"}

    keys = {"endpointUrl": "https://x.example.com", "credentials": {"secretName": "aws"}}
    given = variables(pod(render({"aws": keys}), "shed-operator")["containers"][0])
    assert given["AWS_DEFAULT_SAGEMAKER_ENDPOINT"] == "https://x.example.com"
    assert given["AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "aws"

    own = variables(pod(render({"server": {"enabled": True}}), "shed-operator")["containers"][0])
    assert own["AWS_DEFAULT_SAGEMAKER_ENDPOINT"] == "http://shed-server.ml.svc:7070"
    assert own["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["name"] == "shed-server-keys"


def test_an_operator_of_some_namespaces_has_roles_there_and_nowhere_else(render: Render) -> None:
    made = render({"installScope": "namespace", "watchNamespaces": ["a", "b"]})
    assert not {kind for kind, _ in made} & {"ClusterRole", "ClusterRoleBinding"}
    arguments = pod(made, "shed-operator")["containers"][0]["args"]
    assert [each for each in arguments if "namespace" in each] == ["--namespace=a", "--namespace=b"]


def test_the_server_alone_and_the_operator_alone_can_be_had(render: Render) -> None:
    alone = render({"operator": {"enabled": False}, "server": {"enabled": True}})
    assert {name for kind, name in alone if kind == "Deployment"} == {"shed-server"}
    assert not {kind for kind, _ in render({"crds": {"install": False}})} & {
        "CustomResourceDefinition",
        "PersistentVolumeClaim",
        "ConfigMap",
    }
