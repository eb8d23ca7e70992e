"""The chart, installed in a namespace of a test's own."""

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shed import SIZE

CHART = Path(__file__).parents[2] / "deploy" / "chart"
NAME = "shed"
_LIMIT = "180s"


@dataclass(frozen=True, kw_only=True)
class Release:
    """What ``helm install`` has made."""

    cluster: Cluster
    """In the release's namespace."""
    helm: Path

    def upgrade(self, values: Mapping[str, Any]) -> str:
        """Have the release be as these values say; return what Helm says."""
        return run_helm(
            self.helm,
            self.cluster,
            *("upgrade", "--install", NAME, str(CHART), "--wait", "--timeout", _LIMIT),
            *("--take-ownership", "--values", "-"),
            typed=json.dumps(_for_tests(values)),
        )

    def uninstall(self) -> str:
        return run_helm(self.helm, self.cluster, "uninstall", NAME)

    def logs(self, part: str) -> str:
        """Return what the pods of ``operator`` or ``server`` have written."""
        chosen = f"app.kubernetes.io/component={part}"
        return self.cluster.kubectl("logs", "-l", chosen, "--tail=-1", "--prefix").out

    @contextmanager
    def forwarded(self, pod: str = "") -> Iterator[str]:
        """Yield a URL of this machine by which the server is reached, or a certain pod of it."""
        to = f"pod/{pod}" if pod else f"service/{NAME}-server"
        command = self.cluster.command("port-forward", to, ":7070")
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=self.cluster.environment()
        ) as process:
            try:
                assert process.stdout is not None
                said = process.stdout.readline()
                port = said.partition("127.0.0.1:")[2].split()[0]
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()

    def keys(self) -> tuple[str, str]:
        """Return access key and secret key of the server."""
        held = self.cluster.get("secret", f"{NAME}-server-keys")["data"]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        access, secret = (base64.b64decode(held[name]).decode() for name in names)
        return access, secret

    def client(self, service: str, url: str) -> Any:
        """Return a client of boto3 for the server at a URL."""
        access, secret = self.keys()
        return boto3.client(
            service,
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}),
        )


def run_helm(helm: Path, cluster: Cluster, *words: str, typed: str | None = None) -> str:
    """Carry out a command of Helm that works; return what it says."""
    ran = subprocess.run(
        [helm, "--namespace", cluster.namespace, *words],
        input=typed,
        capture_output=True,
        text=True,
        env=cluster.environment(),
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, (words, ran.stdout, ran.stderr, state(cluster))
    return ran.stdout


@contextmanager
def released(helm: Path, cluster: Cluster, values: Mapping[str, Any]) -> Iterator[Release]:
    """Yield the chart, installed with these values; it goes afterwards.

    Its pods go in their time: whoever needs them gone waits for its namespace to go.
    """
    release = Release(cluster=cluster, helm=helm)
    release.upgrade(values)
    try:
        yield release
    finally:
        release.uninstall()


def _for_tests(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with the image of tests, and an operator for the one namespace alone.

    The CRDs are the cluster's, and other tests' too: a fixture applies them.
    """
    repository, _, tag = images.PRODUCT.partition(":")
    usual: dict[str, Any] = {
        "image": {"repository": repository, "tag": tag},
        "crds": {"install": False},
        "installScope": "namespace",
        "server": {
            "storage": {"enabled": False},
            "resources": {"requests": {"cpu": "50m"}},
            "settings": {"backends": {"k8s": {"instances": {"*": SIZE}, "agent_cpus": 0.02}}},
        },
    }
    return _merged(usual, values)


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(low)
    for name, value in high.items():
        old = found.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        found[name] = _merged(old, value) if both and old is not None else value
    return found


def state(cluster: Cluster) -> str:
    """Return what a person would look at first when an installation does not become ready."""
    shown = [
        cluster.attempt("get", "pods", "-o", "wide").stdout,
        cluster.attempt("get", "events", "--sort-by=.lastTimestamp").stdout[-4000:],
        cluster.attempt(
            "logs", "-l", "app.kubernetes.io/name=trainshed", "--all-containers", "--tail=40"
        ).stdout[-4000:],
    ]
    return "\n".join(shown)
