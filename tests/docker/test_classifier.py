"""A job as it was written for SageMaker, run without a change: examples/text-classifier."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.clients.running import ROOT
from tests.docker.shed import DockerShed
from tests.journeys.shell import Shell

from trainshed.testing.server import Server

pytestmark = pytest.mark.docker

AWS = str(Path(sys.executable).with_name("aws"))
EXAMPLE = ROOT / "examples" / "text-classifier"


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerShed]:
    """A server with the example's own settings."""
    folder = tmp_path_factory.mktemp("classifier")
    with Server(folder / "data", (EXAMPLE / "trainshed.toml").read_text()) as server:
        yield DockerShed(server, folder)


def test_it_learns_on_eight_ranks_and_leaves_a_model_results_and_checkpoints_of_their_own(
    shed: DockerShed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    shell = Shell(shed.server, tmp_path, AWS)
    submit(shell)
    request = json.loads((EXAMPLE / "training.json").read_text())
    name = request["TrainingJobName"]
    told = shed.completed(name)

    assert told["HyperParameters"] == request["HyperParameters"]
    model = "s3://your-bucket/output/models/tensorflow-1594280036/output/model.tar.gz"
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == model
    said = "\n".join(shed.lines(name))
    assert "640 pairs, 8 processes" in said
    assert all(f"process {rank} of 8: weights agree" in said for rank in range(8))

    shell.aws("s3", "cp", model, "model.tar.gz")
    shell.run("mkdir", "model")
    shell.run("tar", "-xzf", "model.tar.gz", "-C", "model")
    shell.aws("s3", "cp", "--recursive", request["CheckpointConfig"]["S3Uri"], "checkpoints")
    kept, checkpoints = tmp_path / "model", tmp_path / "checkpoints"
    assert sorted(each.name for each in kept.iterdir()) == ["eval_results.txt", "model.npz"]
    last = (checkpoints / "checkpoint").read_text().split('"')[1]
    results = dict(
        line.split(" = ") for line in (kept / "eval_results.txt").read_text().splitlines()
    )
    assert last == f"model.ckpt-{results['global_step']}"
    assert len(list(checkpoints.glob("model.ckpt-*"))) == 4
    with np.load(checkpoints / last) as checkpoint, np.load(kept / "model.npz") as learned:
        assert np.array_equal(checkpoint["weights"], learned["weights"])
        assert np.any(learned["weights"])
    assert float(results["eval_accuracy"]) > 0.9
    took = (told["TrainingEndTime"] - told["CreationTime"]).total_seconds()
    record_property("figure", f"text-classifier: 2 hosts, 8 ranks, {took:.1f} s in all")
    shed.nothing_left()


def submit(shell: Shell) -> None:
    """Do what the example's page says, with the aws command."""
    shell.run(sys.executable, str(EXAMPLE / "prepare.py"), "work")
    shell.run("tar", "-czf", "work/sourcedir.tar.gz", "-C", "work/code", ".")
    shell.aws("s3", "mb", "s3://your-bucket")
    shell.aws("s3", "mb", "s3://your-code-bucket")
    shell.aws("s3", "cp", "--recursive", "work/data", "s3://your-bucket/DataSet/TraingJobName")
    code = "s3://your-code-bucket/bert-tf/sourcedir.tar.gz"
    shell.aws("s3", "cp", "work/sourcedir.tar.gz", code)
    job = f"file://{EXAMPLE}/training.json"
    shell.aws("sagemaker", "create-training-job", "--cli-input-json", job)
