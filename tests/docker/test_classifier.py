"""A job as it was written for SageMaker, run without a change: examples/text-classifier."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.clients.running import ROOT
from tests.docker.shed import DockerShed

from trainshed.testing.server import Server

pytestmark = pytest.mark.docker

EXAMPLE = ROOT / "examples" / "text-classifier"


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerShed]:
    """A server with the example's own settings."""
    folder = tmp_path_factory.mktemp("classifier")
    with Server(folder / "data", (EXAMPLE / "trainshed.toml").read_text()) as server:
        yield DockerShed(server, folder)


def test_it_learns_on_eight_ranks_and_leaves_model_checkpoints_and_results(
    shed: DockerShed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    subprocess.run([sys.executable, EXAMPLE / "prepare.py", tmp_path], check=True)
    upload(shed, tmp_path)
    request = json.loads((EXAMPLE / "training.json").read_text())
    name = request["TrainingJobName"]
    shed.sagemaker.create_training_job(**request)
    told = shed.completed(name)

    assert told["HyperParameters"] == request["HyperParameters"]
    model = "s3://your_bucket/output/models/tensorflow-1594280036/output/model.tar.gz"
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == model
    said = "\n".join(shed.lines(name))
    assert "640 pairs, 8 processes" in said
    assert all(f"process {rank} of 8: weights agree" in said for rank in range(8))

    kept = tmp_path / "model"
    shed.s3.download_file("your_bucket", model.split("/", 3)[3], str(tmp_path / "model.tar.gz"))
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        archive.extractall(kept, filter="data")
    last = (kept / "checkpoint").read_text().split('"')[1]
    results = dict(
        line.split(" = ") for line in (kept / "eval_results.txt").read_text().splitlines()
    )
    assert last == f"model.ckpt-{results['global_step']}"
    with np.load(kept / last) as checkpoint, np.load(kept / "model.npz") as learned:
        assert np.array_equal(checkpoint["weights"], learned["weights"])
        assert np.any(learned["weights"])
    assert float(results["eval_accuracy"]) > 0.9
    took = (told["TrainingEndTime"] - told["CreationTime"]).total_seconds()
    record_property("figure", f"text-classifier: 2 hosts, 8 ranks, {took:.1f} s in all")
    shed.nothing_left()


def upload(shed: DockerShed, work: Path) -> None:
    """Put data and code where the job looks for them."""
    for bucket in ("your_bucket", "your_code_bucket"):
        shed.s3.create_bucket(Bucket=bucket)
    for path in (work / "data").iterdir():
        shed.s3.upload_file(str(path), "your_bucket", f"DataSet/TraingJobName/{path.name}")
    with tarfile.open(work / "sourcedir.tar.gz", "w:gz") as archive:
        archive.add(work / "code", ".")
    shed.s3.upload_file(
        str(work / "sourcedir.tar.gz"), "your_code_bucket", "bert-tf/sourcedir.tar.gz"
    )
