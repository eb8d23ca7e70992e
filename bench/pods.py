"""What the Kubernetes backend adds to a pod's own start.

``python -m bench.pods``, on the cluster that KUBECONFIG names, whose nodes have the images of
``tools/k8s-images`` and reach this machine at docker0's address (or TRAINSHED_TEST_HOST). Each
round starts a Job with the program alone, and a node with the same program: stage, agent and all.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lightkube
from lightkube.models.batch_v1 import JobSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Namespace, Pod, ServiceAccount
from msgspec import convert

from trainshed.app.clock import now
from trainshed.domain.facts import Kind
from trainshed.drivers.kubernetes import permissions, review
from trainshed.drivers.kubernetes.driver import KubernetesDriver
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

ROUNDS: Final = 7
_AGENT: Final = "trainshed:test"
_IMAGE: Final = "trainshed-test/python:base"
_TELL: Final = ("/bin/sh", "-c", "date +%s.%N")


def measure() -> dict[str, float]:
    """Return seconds until the program's first line."""
    client, reports = lightkube.Client(), Reports(host=_address())
    reports.start()
    alone, nodes = [], []
    try:
        with _namespace(client) as namespace:
            for number in range(ROUNDS):
                alone.append(_alone(client, namespace, f"alone-{number}"))
                nodes.append(asyncio.run(_node(namespace, reports, f"n{number}.1.algo-1")))
    finally:
        reports.stop()
    added = [node - bare for node, bare in zip(nodes, alone, strict=True)]
    return {
        "pods: a Job with the program alone, made until its first line, median, s": (
            statistics.median(alone)
        ),
        "pods: a node with the same program, launched until its first line, median, s": (
            statistics.median(nodes)
        ),
        "pods: what the backend adds, median of rounds, s": statistics.median(added),
        "pods: the same, worst, s": max(added),
    }


def _alone(client: lightkube.Client, namespace: str, name: str) -> float:
    main = Container(name="main", image=_IMAGE, imagePullPolicy="Never", command=list(_TELL))
    pod = PodTemplateSpec(spec=PodSpec(containers=[main], restartPolicy="Never"))
    job = Job(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=JobSpec(template=pod, backoffLimit=0),
    )
    began = time.time()
    client.create(job)
    for _, each in client.watch(Pod, namespace=namespace, labels={"job-name": name}):
        if each.status is not None and each.status.phase == "Succeeded":
            told = "".join(client.log(str(each.metadata.name), namespace=namespace))  # type: ignore[union-attr]
            return float(told) - began
    raise RuntimeError(f"the cluster watches {name} no more")


async def _node(namespace: str, reports: Reports, node_id: str) -> float:
    told = {
        "server_url": reports.url,
        "agent_image": _AGENT,
        "agent_pull": "never",
        "pull": "never",
        "namespace": namespace,
    }
    driver = KubernetesDriver(name="bench", options=convert(told, KubernetesBackend), clock=now)
    plan = node_plan(
        Path("/data"),
        server_url=reports.url,
        token=reports.token,
        node_id=node_id,
        image=_IMAGE,
        runtime="sibling",
        entrypoint=_TELL,
    )
    driver.get_ready()
    began = time.time()
    handle = await driver.launch(plan)
    await asyncio.to_thread(reports.wait_for, lambda: reports.fact(node_id, Kind.ENDED) is not None)
    await driver.remove(handle)
    driver.close()
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left, timeout=10)
    return float(reports.lines(node_id)[-1]) - began


@contextmanager
def _namespace(client: lightkube.Client) -> Iterator[str]:
    """Have a namespace of our own, with the rights of agents."""
    name = f"bench-pods-{os.getpid()}"
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    try:
        lacking = [review.Missing(who="default", permission=each) for each in permissions.NODE]
        granted = review.manifests(name, lacking)
        subprocess.run(["kubectl", "apply", "-f", "-"], input=granted, text=True, check=True,
                       capture_output=True)  # fmt: skip
        for _, account in client.watch(ServiceAccount, namespace=name):
            if account.metadata is not None and account.metadata.name == "default":
                break
        yield name
    finally:
        client.delete(Namespace, name)


def _address() -> str:
    """Return where pods reach this machine."""
    if told := os.environ.get("TRAINSHED_TEST_HOST"):
        return told
    shown = subprocess.run(
        ["ip", "-4", "-o", "addr", "show", "docker0"], capture_output=True, text=True, check=True
    )
    found = re.search(r"inet ([0-9.]+)", shown.stdout)
    if found is None:
        raise RuntimeError("there is no docker0: set TRAINSHED_TEST_HOST")
    return found[1]


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
