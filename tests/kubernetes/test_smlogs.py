"""``kubectl smlogs`` on a real cluster: kubectl finds it, and it finds what a job wrote."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster, until

from trainshed.client.api import Credentials
from trainshed.domain import keys, pods
from trainshed.operator.smlogs import cluster as kubernetes
from trainshed.operator.smlogs import kubeconfig
from trainshed.operator.smlogs.proxied import ProxiedCalls
from trainshed.operator.smlogs.routes import Proxied
from trainshed.operator.smlogs.words import Typed

pytestmark = pytest.mark.kubernetes

GROUP = "/aws/sagemaker/TrainingJobs"
PORT = 7070
NOON = 1_767_268_800_000
KEYS = Credentials(access_key="TSOFTHETESTS", secret_key="s" * 40, region="us-east-1")
SELECTOR = {"app": "server"}
BARE = ("--hide-log-stream-name", "--timestamps=false")


@dataclass
class Lab:
    """A namespace with a server's Service, and who may do no more than read logs."""

    cluster: Cluster
    calls: ProxiedCalls
    """To the server, with keys that may write."""
    plugin: Path
    folder: Path

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        with self.started(*words) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, (out, err)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run it; it does not outlive the block."""
        path = f"{self.plugin}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        process = subprocess.Popen(
            [self.cluster.program, "smlogs", *words, "-n", self.cluster.namespace],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **kept,
                "PATH": path,
                "KUBECONFIG": self.cluster.kubeconfig,
                "HOME": str(self.folder),
                "TZ": "UTC",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            },
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def reader(self) -> tuple[str, str]:
        return "--as", f"system:serviceaccount:{self.cluster.namespace}:reader"

    def object(self, name: str, **status: str) -> None:
        """Have an object stand as it would if the operator had written its status."""
        self.cluster.apply(manifest(name))
        kind = f"/apis/sagemaker.aws.amazon.com/v1/namespaces/{self.cluster.namespace}/trainingjobs"

        def written() -> bool:
            now = self.cluster.get("trainingjob", name)
            text = json.dumps({**now, "status": status})
            return not self.cluster.attempt(
                "replace", "--raw", f"{kind}/{name}/status", "-f", "-", typed=text
            ).returncode

        until(f"the status of {name}", written, 10)

    def write(self, job: str, *texts: str, host: str = "algo-1") -> None:
        stream = {"logGroupName": GROUP, "logStreamName": f"{job}/{host}-1767268800000"}
        events = [{"timestamp": NOON + n, "message": text} for n, text in enumerate(texts)]
        self.calls.call("logs", "CreateLogStream", stream)
        self.calls.call("logs", "PutLogEvents", {**stream, "logEvents": events})


def manifest(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "sagemaker.aws.amazon.com/v1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {
            "trainingJobName": name,
            "region": "us-east-1",
            "roleArn": "arn:aws:iam::123456789012:role/training",
            "algorithmSpecification": {"trainingImage": "image", "trainingInputMode": "File"},
            "outputDataConfig": {"s3OutputPath": "s3://bucket/output"},
            "resourceConfig": {
                "instanceCount": 1,
                "instanceType": "ml.m5.large",
                "volumeSizeInGB": 1,
            },
            "stoppingCondition": {"maxRuntimeInSeconds": 60},
        },
    }


def server() -> dict[str, Any]:
    """Return a pod that is a server. An API server's proxy passes nothing on to anything else."""
    kept = {"access_key": KEYS.access_key, "secret_key": KEYS.secret_key, "report_secret": "r" * 30}
    begin = "echo $KEPT > $TRAINSHED_DATA_DIR/credentials.json; exec trainshed up --host 0.0.0.0"
    container = {
        "name": "server",
        "image": images.PRODUCT,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", begin],
        "env": [{"name": "KEPT", "value": json.dumps({**kept, "region": KEYS.region})}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "server", "labels": SELECTOR},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


def around() -> list[dict[str, Any]]:
    """Return what stands around a server in the cluster, and who may read logs."""
    key, secret = keys.reader(KEYS.access_key, KEYS.secret_key)
    told = {"service": "trainshed", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    rbac = "rbac.authorization.k8s.io"
    read = [
        {"apiGroups": ["sagemaker.aws.amazon.com"], "resources": ["*"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["trainshed-logs"],
            "verbs": ["get"],
        },
        {
            "apiGroups": [""],
            "resources": ["services/proxy"],
            "resourceNames": [f"trainshed:{PORT}"],
            "verbs": ["create"],
        },
    ]
    of_reader = {"kubernetes.io/service-account.name": "reader"}
    return [
        made("Service", "trainshed", spec={"ports": [{"port": PORT}], "selector": SELECTOR}),
        made("Secret", "trainshed-logs", stringData=told),
        made("ServiceAccount", "reader"),
        {
            **made("Secret", "reader-token", type="kubernetes.io/service-account-token"),
            "metadata": {"name": "reader-token", "annotations": of_reader},
        },
        made("Role", "reader", api=f"{rbac}/v1", rules=read),
        made(
            "RoleBinding",
            "reader",
            api=f"{rbac}/v1",
            roleRef={"apiGroup": rbac, "kind": "Role", "name": "reader"},
            subjects=[{"kind": "ServiceAccount", "name": "reader"}],
        ),
    ]


def made(kind: str, name: str, api: str = "v1", **members: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **members}


@pytest.fixture(scope="module")
def lab(
    namespace: Cluster, plugin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("home")
    namespace.apply(server(), *around())
    namespace.kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=60s")
    typed = Typed(namespace=namespace.namespace)
    there = kubernetes.Cluster(kubeconfig.find(typed, {"KUBECONFIG": namespace.kubeconfig}))
    route = Proxied(namespace=namespace.namespace, service="trainshed", port=PORT)
    calls = ProxiedCalls(
        cluster=there, route=route, credentials=KEYS, now=lambda: datetime.now(UTC)
    )
    calls.call("logs", "CreateLogGroup", {"logGroupName": GROUP})
    yield Lab(namespace, calls, plugin, folder)
    there.close()


def test_kubectl_finds_the_plugin_and_shows_what_the_server_has(lab: Lab, kubectl: Cluster) -> None:
    name = f"digits-{'new' if kubectl.program != 'kubectl' else 'old'}"
    lab.object(name, trainingJobStatus="Completed", secondaryStatus="Completed")
    lab.write(name, "begin", "end")
    lab.cluster = kubectl
    shown = lab.run("trainingjob", name)
    assert shown.stderr == (
        f'"{name}" has SageMaker TrainingJobName "{name}" in region "us-east-1", '
        'status "Completed" and secondary status "Completed"\n'
    )
    assert shown.stdout == (
        f"{name}/algo-1-1767268800000 2026-01-01 12:00:00 +0000 UTC begin\n"
        f"{name}/algo-1-1767268800000 2026-01-01 12:00:00.001 +0000 UTC end\n"
    )


def test_the_rights_that_are_documented_are_enough(lab: Lab) -> None:
    lab.object("rights", trainingJobStatus="Completed")
    lab.write("rights", "seen")
    assert lab.run("tj", "rights", *BARE, *lab.reader()).stdout == "seen\n"


def test_a_bearer_token_reaches_the_api_server_and_the_signature_the_server(lab: Lab) -> None:
    lab.object("token", trainingJobStatus="Completed")
    lab.write("token", "seen")

    def made() -> str:
        data = lab.cluster.get("secret", "reader-token").get("data") or {}
        return base64.b64decode(data.get("token", "")).decode()

    token = until("the token of reader", made)
    view = json.loads(lab.cluster.kubectl("config", "view", "--raw", "-o", "json").out)
    view["users"] = [{"name": each["name"], "user": {"token": token}} for each in view["users"]]
    config = lab.folder / "with-token"
    config.write_text(json.dumps(view))
    shown = lab.run("tj", "token", *BARE, "--kubeconfig", str(config))
    assert shown.stdout == "seen\n"


def test_following_ends_with_the_job(lab: Lab) -> None:
    lab.object("follow", trainingJobStatus="InProgress", secondaryStatus="Training")
    lab.write("follow", "first")
    with lab.started("tj", "follow", "-f", *BARE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        lab.write("follow", "second", host="algo-2")
        lab.object("follow", trainingJobStatus="Failed", additional="AlgorithmError: it broke")
        out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("second\n", 3)
    assert '"follow" Failed: AlgorithmError: it broke' in err


def test_pods_are_read_where_the_server_knows_nothing(lab: Lab) -> None:
    labels = {pods.JOB_LABEL: "pods", pods.NODE_LABEL: "0123456789ab.1.algo-1"}
    program = "print('begin', flush=True); print('half\\x0bline'); import time; time.sleep(600)"
    container = {
        "name": pods.MAIN,
        "image": images.PYTHON,
        "imagePullPolicy": "Never",
        "command": ["python3", "-u", "-c", program],
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
    }
    lab.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "node", "labels": labels},
            "spec": spec,
        }
    )
    lab.object("pods", trainingJobStatus="InProgress", secondaryStatus="Training")
    with lab.started("tj", "pods", "-f", *BARE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        assert process.stdout.readline() == "half\x0bline\n"
        lab.object("pods", trainingJobStatus="Stopped", secondaryStatus="Stopped")
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 4)
    assert lab.run("tj", "pods", "--tail", "1", *BARE).stdout == "half\x0bline\n"


def test_what_is_not_there_is_told_with_what_is_near(lab: Lab) -> None:
    lab.object("digits-7", trainingJobStatus="InProgress")
    refused = lab.run("tj", "digits-8", code=7)
    assert 'no TrainingJob is called "digits-8"' in refused.stderr
    assert "digits-7" in refused.stderr
    forbidden = lab.run("tj", "digits-8", "--as", "nobody", code=1)
    assert "is forbidden" in forbidden.stderr
