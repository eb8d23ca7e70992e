"""Old manifests on a cluster that has all of it: operator, server and jobs."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.shed import BUCKET
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster, until
from tests.kubernetes.manifests import (
    CLASSIFIED,
    KIND,
    PAIRS,
    TRAINS,
    bert,
    code,
    digits,
    filled,
)
from tests.kubernetes.release import Release, released

pytestmark = pytest.mark.kubernetes

BERT_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:1.14-gpu-py3"
SETTINGS = {"backends": {"k8s": {"images": {BERT_IMAGE: images.MPI, "*": images.PYTHON}}}}
END = 100.0
SLEEPS = "import time; print('begun', flush=True); time.sleep(600)"


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What a test needs at hand of a server in the cluster."""

    release: Release
    s3: Any
    sagemaker: Any
    plugin: Path

    @property
    def cluster(self) -> Cluster:
        return self.release.cluster

    def smlogs(self, name: str) -> str:
        """Return what ``kubectl smlogs`` shows, to somebody without any key of AWS."""
        bare = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        path = f"{self.plugin}:{os.environ['PATH']}"
        asked = subprocess.run(
            # kubectl takes no options before a plugin's name.
            [self.cluster.program, "smlogs", "trainingjob", name, "-n", self.cluster.namespace],
            env={**bare, "KUBECONFIG": self.cluster.kubeconfig, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        return asked.stdout

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get(KIND, name).get("status", {})
        return found

    def wait(self, name: str, condition: str) -> None:
        waiting = ("wait", f"--for=condition={condition}", f"{KIND}/{name}")
        asked = self.cluster.attempt(*waiting, f"--timeout={END:.0f}s", timeout=END + 10)
        if asked.returncode:
            shown = [self.release.logs(part)[-3000:] for part in ("operator", "server")]
            pytest.fail("\n".join([asked.stderr, str(self.status(name)), *shown]))


@pytest.fixture(scope="module")
def at(namespace: Cluster, helm: Path, crds: None, plugin: Path) -> Iterator[Inside]:
    values = {"server": {"enabled": True, "settings": SETTINGS}}
    with released(helm, namespace, values) as release, release.forwarded() as url:
        found = Inside(
            release=release,
            s3=release.client("s3", url),
            sagemaker=release.client("sagemaker", url),
            plugin=plugin,
        )
        found.s3.create_bucket(Bucket=BUCKET)
        found.put("digits/train.csv", digits())
        found.put("pairs/train.tsv", PAIRS)
        yield found
        # While there is somebody who ends their jobs.
        namespace.kubectl("delete", KIND, "--all", "--timeout=80s")


def test_the_mnist_manifest_trains_in_a_pod_and_leaves_its_model(at: Inside) -> None:
    made = filled("training-tensorflow", hyperParameters=code(at, TRAINS, "train.py"))
    source = made["spec"]["inputDataConfig"][0]["dataSource"]["s3DataSource"]
    source["s3Uri"] = f"s3://{BUCKET}/digits"
    at.cluster.apply(made)
    name = made["metadata"]["name"]
    at.wait(name, "Completed")
    row = at.cluster.kubectl("get", KIND, name).lines[1].split()
    assert row[:3] == [name, "Completed", "Completed"]
    assert "Created training job" in at.cluster.kubectl("describe", KIND, name).out
    assert "accuracy=0.9" in at.smlogs(name)
    bucket, _, key = at.status(name)["modelPath"].removeprefix("s3://").partition("/")
    assert at.s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > 100
    at.cluster.kubectl("delete", KIND, name, "--timeout=80s")
    assert name not in at.cluster.kubectl("get", KIND, "-o", "name").out


def test_the_bert_manifest_runs_its_mpi_in_two_pods(at: Inside) -> None:
    made = bert(at)
    name = made["metadata"]["name"]
    at.cluster.apply(made)
    at.wait(name, "Completed")
    assert CLASSIFIED in at.smlogs(name)


def test_deleting_a_manifest_ends_its_pods(at: Inside) -> None:
    made = filled("training-tensorflow", hyperParameters=code(at, SLEEPS, "sleep.py"))
    made["metadata"]["name"] = name = "sleeps"
    del made["spec"]["inputDataConfig"]
    at.cluster.apply(made)
    until("it trains", lambda: at.status(name).get("secondaryStatus") == "Training", END)
    job = at.status(name)["sageMakerTrainingJobName"]
    at.cluster.kubectl("delete", KIND, name, "--timeout=80s")
    told = at.sagemaker.describe_training_job(TrainingJobName=job)
    assert told["TrainingJobStatus"] == "Stopped"
    until("its pods go", lambda: not at.cluster.find("pods", "-l", "trainshed.dev/job"))
