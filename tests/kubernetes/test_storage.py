"""Where servers of the chart keep what they have: a claimed volume, or that and a database.

Their pods are taken away while a job runs, and nothing is lost.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.journeys.shed import BUCKET, ROLE
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster, own_namespace, until
from tests.kubernetes.release import NAME, released

from trainshed.domain import pods
from trainshed.testing.postgres import Postgres, private_postgres

pytestmark = pytest.mark.kubernetes

END = 90.0
USER = 65532
"""Whom the image's programs run as."""
PASSWORD = "p@ss:word/1"
WAITS = "until [ -e /tmp/gate ]; do sleep 0.1; done; echo trained >/opt/ml/model/model.txt"
SERVERS = "app.kubernetes.io/component=server"


@contextmanager
def volume(cluster: Cluster, mode: str) -> Iterator[None]:
    """Have the claim of the namespace's server find a folder of this machine, its only node."""
    folder = Path("/var/tmp", f"trainshed-{cluster.namespace}")
    folder.mkdir()
    os.chown(folder, USER, USER)
    name = f"volume-{cluster.namespace}"
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": [mode],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": cluster.namespace, "name": f"{NAME}-server"},
    }
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
    cluster.apply({**made, "spec": spec})
    try:
        yield
    finally:
        cluster.kubectl("delete", "persistentvolume", name, "--wait=false")
        shutil.rmtree(folder)


def a_job_outlives_its_servers(
    cluster: Cluster,
    helm: Path,
    server: Mapping[str, Any],
    taken: Callable[[], str] | None = None,
) -> None:
    """Install a server, and take a pod of it away while a job runs: its only one, or ``taken``."""
    values = {"operator": {"enabled": False}, "server": {"enabled": True, **server}}
    with released(helm, cluster, values) as release:
        with release.forwarded() as url:
            store, sagemaker = release.client("s3", url), release.client("sagemaker", url)
            store.create_bucket(Bucket=BUCKET)
            store.put_object(Bucket=BUCKET, Key="kept", Body=b"kept")
            sagemaker.create_training_job(
                TrainingJobName="outlives",
                RoleArn=ROLE,
                AlgorithmSpecification={
                    "TrainingImage": images.PYTHON,
                    "TrainingInputMode": "File",
                    "ContainerEntrypoint": ["/bin/sh", "-c", WAITS],
                },
                OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
                ResourceConfig={
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                StoppingCondition={"MaxRuntimeInSeconds": 600},
            )
            until("it trains", lambda: _status(sagemaker)[1] == "Training", END)
        there = [each["metadata"]["name"] for each in cluster.find("pods", "-l", SERVERS)]
        [gone] = [taken()] if taken else there
        assert gone in there
        # An old kubelet takes up to a minute to say that a pod is gone: nobody waits for it.
        cluster.kubectl("delete", "pod", gone, "--grace-period=1", "--wait=false")
        [pod] = cluster.find("pods", "-l", f"{pods.JOB_LABEL}=outlives")
        inside = ("exec", pod["metadata"]["name"], "--container", pods.MAIN, "--")
        cluster.kubectl(*inside, "touch", "/tmp/gate")
        other = until("another is ready", lambda: _ready(cluster) - {gone}, END)
        with release.forwarded(other.pop()) as url:
            store, sagemaker = release.client("s3", url), release.client("sagemaker", url)
            until("it ends", lambda: _status(sagemaker)[0] != "InProgress", END)
            job = sagemaker.describe_training_job(TrainingJobName="outlives")
            assert job["TrainingJobStatus"] == "Completed", (job, release.logs("server"))
            assert store.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == b"kept"
            key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
            assert store.head_object(Bucket=BUCKET, Key=key)["ContentLength"] > 0


def _status(sagemaker: Any) -> tuple[str, str]:
    job = sagemaker.describe_training_job(TrainingJobName="outlives")
    return job["TrainingJobStatus"], job["SecondaryStatus"]


def _ready(cluster: Cluster) -> set[str]:
    """Return the pods of servers that are ready."""
    return {
        pod["metadata"]["name"]
        for pod in cluster.find("pods", "-l", SERVERS)
        for told in pod["status"].get("conditions", ())
        if (told["type"], told["status"]) == ("Ready", "True")
    }


def _owner(database: Postgres) -> str:
    """Return the pod of the server that steps the only job."""
    question = "SELECT machine FROM servers JOIN training_jobs ON owner = servers.id"
    with psycopg.connect(database.url) as session:
        [(found,)] = session.execute(question).fetchall()
    return str(found)


def test_a_server_with_a_volume_goes_on_where_it_was(namespace: Cluster, helm: Path) -> None:
    with volume(namespace, "ReadWriteOnce"):
        storage = {"enabled": True, "size": "1Gi"}
        a_job_outlives_its_servers(namespace, helm, {"storage": storage})


def test_of_two_servers_on_postgresql_the_other_goes_on(
    cluster: Cluster, helm: Path, host: str
) -> None:
    with (
        own_namespace(cluster, "storage-of-two") as inside,
        volume(inside, "ReadWriteMany"),
        private_postgres(host, PASSWORD) as database,
    ):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}}
        inside.apply(json.dumps({**secret, "stringData": {"password": PASSWORD}}))
        server = {
            "replicas": 2,
            "storage": {"enabled": True, "size": "1Gi", "accessModes": ["ReadWriteMany"]},
            "postgresql": {
                "url": f"postgresql://trainshed@{host}:{database.port}/postgres",
                "passwordSecret": {"name": "database"},
            },
        }
        a_job_outlives_its_servers(inside, helm, server, lambda: _owner(database))
