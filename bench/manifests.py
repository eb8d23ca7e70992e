"""What the operator adds to a manifest, and what it costs while nothing changes.

``python -m bench.manifests``, on the cluster that KUBECONFIG names. The server and the operator
are processes of this machine; the jobs are simulated ones, so all that is measured is on the way
between the cluster and the service.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import lightkube
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from bench import servers
from bench.load import Target

APPLIED: Final = 20
STEADY: Final = 500
QUIET_S: Final = 30.0
_PATIENCE_S: Final = 300.0
_CRDS: Final = Path(__file__).parents[1] / "deploy" / "crds"
_CONFIG: Final = """
backend = "sim"

[backends.sim]
kind = "simulated"
max_nodes = 2000
launch_seconds = 0.2
"""
_JOBS: Final = create_namespaced_resource(
    "sagemaker.aws.amazon.com", "v1", "TrainingJob", "trainingjobs"
)


def measure() -> dict[str, float]:
    """Return milliseconds, and what the operator takes with 500 objects whose jobs run."""
    config = KubeConfig.from_env()
    with (
        servers.trainshed(_CONFIG) as (target, _, _),
        _namespace(lightkube.Client(config)) as (client, namespace),
        _operator(target, namespace) as operator,
    ):
        service = Service(target)
        objects = Objects(config, namespace)
        applied = [_applied(client, service, namespace, f"applied-{n}") for n in range(APPLIED)]
        names = [f"applied-{n}" for n in range(APPLIED)]
        _await(lambda: all(objects.when(name, "Completed") for name in names))
        late = [
            objects.when(name, status) - service.when(objects.job(name), status)
            for name in names
            for status in ("Training", "Completed")
        ]
        steady = [f"steady-{n}" for n in range(STEADY)]
        for name in steady:
            client.create(_manifest(name, namespace, "3600"))
        _await(lambda: all(objects.when(name, "Training") for name in steady))
        time.sleep(5.0)
        before, began, cpu = _versions(client, namespace), time.monotonic(), _cpu(operator)
        time.sleep(QUIET_S)
        spent = (_cpu(operator) - cpu) / (time.monotonic() - began)
        after = _versions(client, namespace)
        service.close()
        return {
            "manifests: applied until CreateTrainingJob is answered, median, ms": (
                statistics.median(applied) * 1000
            ),
            "manifests: the same, worst, ms": max(applied) * 1000,
            "manifests: status changed at the service until it has in the object, median, ms": (
                statistics.median(late) * 1000
            ),
            "manifests: the same, worst of that, ms": max(late) * 1000,
            f"manifests: {STEADY} objects whose jobs run, nothing changes: processor %": (
                spent * 100
            ),
            "manifests: objects written meanwhile": sum(
                after[each] != before[each] for each in after
            ),
            "manifests: operator, resident MB": servers.resident_mb(operator),
        }


class Service:
    """What a server tells of its jobs, and when it was told."""

    def __init__(self, target: Target) -> None:
        session = servers.session(target)
        url = f"http://{target.host}:{target.port}"
        session.client("s3", endpoint_url=url).create_bucket(Bucket="bench")
        self._client = session.client("trainshed", endpoint_url=url)
        self._told: dict[tuple[str, str], float] = {}
        self._over = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def when(self, job: str, status: str) -> float:
        """Return when a job was first told to have a status; 0 for not yet."""
        return self._told.get((job, status), 0.0)

    def first(self, of: str) -> float:
        """Return when a job whose name begins so was first told of; 0 for not yet."""
        found = [at for (job, _), at in dict(self._told).items() if job.startswith(of)]
        return min(found, default=0.0)

    def close(self) -> None:
        """Ask no more."""
        self._over = True
        self._thread.join()

    def _follow(self) -> None:
        asked: dict[str, Any] = {"WaitSeconds": 1}
        while not self._over:
            told = self._client.await_training_jobs(**asked)
            now = time.time()
            for job in told["TrainingJobSummaries"]:
                key = (job["TrainingJobName"], job.get("SecondaryStatus", ""))
                self._told.setdefault(key, now)
            asked["Token"] = told["Token"]


class Objects:
    """What the objects of a namespace say, and when they said it."""

    def __init__(self, config: KubeConfig, namespace: str) -> None:
        self._told: dict[tuple[str, str], float] = {}
        self._jobs: dict[str, str] = {}
        threading.Thread(
            target=lambda: asyncio.run(self._follow(config, namespace)), daemon=True
        ).start()

    def when(self, name: str, status: str) -> float:
        """Return when an object first said a secondary status; 0 for not yet."""
        return self._told.get((name, status), 0.0)

    def job(self, name: str) -> str:
        """Return what an object's job is called."""
        return self._jobs[name]

    async def _follow(self, config: KubeConfig, namespace: str) -> None:
        client = lightkube.AsyncClient(config)
        async for _, thing in client.watch(_JOBS, namespace=namespace):
            status = thing.get("status") or {}
            name = thing.metadata.name
            self._told.setdefault((name, status.get("secondaryStatus", "")), time.time())
            self._jobs[name] = status.get("sageMakerTrainingJobName", "")


def _applied(client: lightkube.Client, service: Service, namespace: str, name: str) -> float:
    """Return the seconds from asking for an object until the service tells of its job."""
    began = time.time()
    client.create(_manifest(name, namespace, "2"))
    _await(lambda: service.first(f"{name}-"))
    return service.first(f"{name}-") - began


def _manifest(name: str, namespace: str, seconds: str) -> Any:  # noqa: ANN401 - lightkube's
    spec = {
        "algorithmSpecification": {"trainingImage": "image", "trainingInputMode": "File"},
        "roleArn": "arn:aws:iam::123456789012:role/training",
        "region": "us-east-1",
        "outputDataConfig": {"s3OutputPath": "s3://bench/output"},
        "resourceConfig": {
            "instanceCount": 1,
            "instanceType": "ml.m5.large",
            "volumeSizeInGB": 1,
        },
        "stoppingCondition": {"maxRuntimeInSeconds": 86400},
        "hyperParameters": [{"name": "sim.duration", "value": seconds}],
    }
    return _JOBS(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec)


@contextmanager
def _namespace(client: lightkube.Client) -> Iterator[tuple[lightkube.Client, str]]:
    """Have the kinds, and a namespace of our own; its objects go with it."""
    subprocess.run(["kubectl", "apply", "-f", _CRDS], check=True, capture_output=True)
    name = f"bench-{os.getpid()}"
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    try:
        yield client, name
    finally:
        for each in list(client.list(_JOBS, namespace=name)):
            with suppress(ApiError):
                patch = {"metadata": {"finalizers": None}}
                client.patch(_JOBS, each.metadata.name, patch, namespace=name)
        client.delete(Namespace, name)


@contextmanager
def _operator(target: Target, namespace: str) -> Iterator[int]:
    """Run an operator for a namespace; yield its process."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": target.access_key,
        "AWS_SECRET_ACCESS_KEY": target.secret_key,
    }
    url = f"http://{target.host}:{target.port}"
    options = ["--namespace", namespace, "--sagemaker-endpoint", url]
    options += ["--metrics-addr", "0", "--health-addr", "0", "--log-level", "warning"]
    command = [sys.executable, "-m", "trainshed.operator", *options]
    process = subprocess.Popen(command, env=environment)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _versions(client: lightkube.Client, namespace: str) -> dict[str, str]:
    listed = client.list(_JOBS, namespace=namespace)
    return {str(each.metadata.name): str(each.metadata.resourceVersion) for each in listed}


def _cpu(process: int) -> float:
    return servers.cpu_seconds(process)


def _await(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not come to that within {_PATIENCE_S:g} s")
        time.sleep(0.005)


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
