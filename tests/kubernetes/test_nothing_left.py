"""After jobs of all sorts the namespace holds of ours but the claims of what was removed."""

from collections import Counter
from collections.abc import Iterator

import pytest
from tests.journeys.shed import BUCKET
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shed import PodShed, shed_of_pods
from tests.share import share

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]

SMALL = """
max_nodes = 8
[backends.k8s.instances."ml.t3.*"]
cpus = 0.05
memory = "64m"
"""
WRITES = "echo trained >/opt/ml/model/model.txt"
FAILS = "echo 'the data is no data' >/opt/ml/output/failure; exit 3"
WAITS = "trap 'exit 0' TERM; while :; do sleep 0.2; done"
ENDS = {
    "plain": "Completed",
    "pair": "Completed",
    "bad": "Failed",
    "imageless": "Failed",
    "stopped": "Stopped",
}

JOBS = share(50, of=len(ENDS))
"""As many of each sort."""


@pytest.fixture(scope="module")
def shed(
    namespace: Cluster, host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PodShed]:
    folder = tmp_path_factory.mktemp("shed")
    with shed_of_pods(namespace, folder, host, SMALL) as found:
        yield found


def asked(shed: PodShed, kind: str) -> str:
    """Create a job of a kind; return its name."""
    script = {"bad": FAILS, "stopped": WAITS}.get(kind, WRITES)
    image = "trainshed-test/nowhere:1" if kind == "imageless" else images.PYTHON
    return shed.create(
        algorithm={"TrainingImage": image, "ContainerEntrypoint": ["/bin/sh", "-c", script]},
        ResourceConfig={
            "InstanceType": "ml.t3.medium",
            "InstanceCount": 2 if kind == "pair" else 1,
            "VolumeSizeInGB": 1,
        },
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/kept/{kind}"},
    )


def test_jobs_of_all_sorts_leave_nothing(shed: PodShed) -> None:
    kinds = [*ENDS] * (JOBS // len(ENDS))
    names = {asked(shed, kind): kind for kind in kinds}
    for name, kind in names.items():
        if kind == "stopped":
            shed.sagemaker.stop_training_job(TrainingJobName=name)
    ends: Counter[tuple[str, str]] = Counter()
    for name, kind in names.items():
        ends[kind, shed.over(name, timeout=400)["TrainingJobStatus"]] += 1
    assert ends == {(kind, end): JOBS // len(ENDS) for kind, end in ENDS.items()}
    shed.nothing_left()
    for kind in ("jobs", "services", "secrets", "configmaps", "networkpolicies"):
        left = shed.cluster.kubectl("get", kind, "-o", "name").lines
        assert [each for each in left if "/ts-" in each] == []
