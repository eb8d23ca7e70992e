"""A user with boto3 and images, before a server of this machine whose jobs are pods."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.docker.shed import DockerShed
from tests.journeys.shed import until
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster

from trainshed.domain import pods
from trainshed.drivers.kubernetes import permissions, review
from trainshed.testing.server import Server

BACKEND = "k8s"
SIZE = {"cpus": 0.4, "memory": "512m"}
"""What every instance type is on a cluster of one small machine."""
_KUBELET_S = 180.0
"""An old kubelet takes a minute and more to let go of a pod whose containers never began."""
OURS = ("jobs", "services", "secrets", "configmaps", "pods", "networkpolicies")
"""Kinds of what is made for jobs, and must go with them; claims stay for a while, as tombstones."""


class PodShed(DockerShed):
    """What a test of jobs that are pods needs at hand."""

    def __init__(self, server: Server, folder: Path, cluster: Cluster) -> None:
        super().__init__(server, folder)
        self.cluster = cluster
        """In the namespace of the jobs."""

    def pods(self, job: str = "") -> list[dict[str, Any]]:
        """Return the pods of a job, or of all."""
        return self.cluster.find("pods", "-l", f"{pods.JOB_LABEL}={job}" if job else pods.JOB_LABEL)

    def left(self) -> list[str]:
        """Return what the cluster holds for jobs."""
        found = []
        for kind in OURS:
            said = self.cluster.kubectl("get", kind, "-l", pods.BACKEND_LABEL, "-o", "name")
            found += said.lines
        return found

    def nothing_left(self) -> None:
        """Return once nothing is left of jobs, here or there."""
        until(
            lambda: not self.server.remains() and not self.left(),
            lambda: f"{self.server.remains()} {self.left()}",
            _KUBELET_S,
        )


def settings(cluster: Cluster, url: str, further: str = "") -> str:
    """Return settings by which jobs run in the cluster's namespace; ``further``: more options."""
    return f"""
backend = "{BACKEND}"
[backends.{BACKEND}]
kind = "kubernetes"
kubeconfig = "{cluster.kubeconfig}"
namespace = "{cluster.namespace}"
server_url = "{url}"
agent_image = "{images.PRODUCT}"
stop_seconds = 4
agent_cpus = 0.02
image_seconds = 10.0
{further}
[backends.{BACKEND}.images]
"trainshed/python" = "{images.PYTHON}"
[backends.{BACKEND}.instances."*"]
cpus = {SIZE["cpus"]}
memory = "{SIZE["memory"]}"
"""


def allow_nodes(cluster: Cluster) -> None:
    """Give the pods of the namespace the rights of nodes, as people are told to."""
    lacking = [
        review.Missing(who="default", permission=permission) for permission in permissions.NODE
    ]
    cluster.apply(review.manifests(cluster.namespace, lacking))


@contextmanager
def shed_of_pods(cluster: Cluster, folder: Path, host: str, further: str = "") -> Iterator[PodShed]:
    """Yield a shed whose server listens on ``host``, where pods reach it."""
    with socket.socket() as asking:
        asking.bind((host, 0))
        port = asking.getsockname()[1]
    allow_nodes(cluster)
    told = settings(cluster, f"http://{host}:{port}", further)
    server = Server(folder / "data", told, host=host)
    server.start(port)
    try:
        yield PodShed(server, folder, cluster)
    finally:
        if server.running:
            server.stop()
