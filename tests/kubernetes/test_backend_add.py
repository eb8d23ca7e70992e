"""``trainshed backend add`` asks a real cluster, and what it prints grants what was missing."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster, Said, until

from trainshed.drivers.kubernetes import permissions
from trainshed.drivers.kubernetes.review import Missing, manifests
from trainshed.testing.server import TRAINSHED, Server

pytestmark = pytest.mark.kubernetes

USER = "somebody"


@pytest.fixture
def kubeconfig(namespace: Cluster, tmp_path: Path) -> Path:
    """How a ServiceAccount of the namespace, which may do nothing, reaches the cluster."""
    namespace.attempt("create", "serviceaccount", USER)
    path = f"/api/v1/namespaces/{namespace.namespace}/serviceaccounts/{USER}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = namespace.kubectl("create", "--raw", path, "-f", "-", typed=json.dumps(request)).json()
    told = yaml.safe_load(namespace.kubectl("config", "view", "--raw", "--minify", "--flatten").out)
    told["users"] = [{"name": USER, "user": {"token": made["status"]["token"]}}]
    told["contexts"][0]["context"] |= {"user": USER, "namespace": namespace.namespace}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(told))
    return file


def add(kubeconfig: Path, data: Path, *words: str, code: int = 0) -> Said:
    where = ["--data-dir", data, "--kubeconfig", kubeconfig]
    told = ["--server-url", "http://192.0.2.1:7070", "--agent-image", images.PRODUCT]
    ran = subprocess.run(
        [TRAINSHED, "backend", "add", "k8s", *where, *told, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    return Said(ran.stdout, ran.stderr)


def test_what_is_printed_grants_what_was_missing(
    namespace: Cluster, kubeconfig: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    told = add(kubeconfig, data, "-o", "json", code=1).json()
    assert told["namespace"] == namespace.namespace
    lacking = {(each["group"], each["resource"]) for each in told["missing"]}
    assert lacking == {(each.group, each.resource) for each in permissions.SERVER}
    assert len(told["unknown"]) == 2  # somebody may not ask what others may, or what there is

    printed = add(kubeconfig, data, code=1).out.partition("kubectl apply -f -\n")[2]
    # The name is left for people to fill in where the cluster does not tell it.
    account = f"system:serviceaccount:{namespace.namespace}:{USER}"
    lines = printed.replace("YOUR-NAME", account).splitlines()
    whole = "\n".join(line.removeprefix("# ") for line in lines if not line.endswith("them:"))
    namespace.apply(whole)

    said = add(kubeconfig, data)
    assert f"added [backends.k8s] to {data}/trainshed.toml" in said.lines


def test_who_may_ask_is_told_what_the_pods_of_jobs_lack(namespace: Cluster, tmp_path: Path) -> None:
    where = ("--namespace", namespace.namespace)
    config = Path(namespace.kubeconfig)
    said = add(config, tmp_path / "data", *where, code=1)
    rows = [line.partition(" ")[0] for line in said.lines]
    assert rows.count("default") == len(permissions.NODE)
    namespace.apply(said.out.partition("kubectl apply -f -\n")[2])
    assert add(config, tmp_path / "data", "--check", *where).lines[-1] == "all is there"
    assert "no namespace" in add(config, tmp_path, "--namespace", "nowhere", code=1).err


@pytest.fixture
def allowed(namespace: Cluster) -> None:
    lacking = [Missing(who="default", permission=each) for each in permissions.NODE]
    namespace.apply(manifests(namespace.namespace, lacking))


def probe(namespace: Cluster, data: Path, url: str, *words: str, code: int = 0) -> Said:
    told = ["--server-url", url, "--namespace", namespace.namespace, "--check", "--probe"]
    return add(Path(namespace.kubeconfig), data, *told, *words, code=code)


def test_a_pod_tells_whether_it_reaches_the_server(
    namespace: Cluster, host: str, tmp_path: Path, allowed: None
) -> None:
    with Server(tmp_path / "server", host=host) as server:
        url = f"http://{host}:{server.address[1]}"
        assert probe(namespace, tmp_path, url).lines[-1] == "all is there"
    said = probe(namespace, tmp_path, url, code=1).err
    assert f"pods can't reach this server at {url}" in said
    assert "refused" in said
    said = probe(namespace, tmp_path, url, "--agent-image", "none.invalid/x:1", code=1).err
    assert "the agent's image does not run there" in said
    until("nothing is left", lambda: not namespace.find("jobs"))
