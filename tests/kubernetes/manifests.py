"""Manifests as people have them, with their placeholders filled for a server of this machine."""

import copy
import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml
from tests.journeys.shed import BUCKET, ROLE, Shed

FOLDER = Path(__file__).parents[1] / "operator" / "manifests"
API_VERSION = "sagemaker.aws.amazon.com/v1"
KIND = "trainingjobs.sagemaker.aws.amazon.com"
"""In full: others on the cluster may have a kind of the same name."""
TRAINS = """
import csv, json, pathlib, sys
rows = [
    [float(cell) for cell in row]
    for path in sorted(pathlib.Path("/opt/ml/input/data/train").rglob("*.csv"))
    for row in csv.reader(path.open())
]
by_digit = {}
for label, *pixels in rows:
    by_digit.setdefault(int(label), []).append(pixels)
means = {d: [sum(c) / len(c) for c in zip(*rows)] for d, rows in by_digit.items()}
def guess(pixels):
    return min(means, key=lambda d: sum((a - b) ** 2 for a, b in zip(means[d], pixels)))
right = sum(guess(pixels) == label for label, *pixels in rows)
print(f"accuracy={right / len(rows):.3f};", flush=True)
json.dump(means, open("/opt/ml/model/means.json", "w"))
"""

CLASSIFIES = """
import argparse, os, pathlib
from mpi4py import MPI
parser = argparse.ArgumentParser()
for flag in ("data_dir", "task_name", "learning_rate", "output_dir", "train_batch_size"):
    parser.add_argument(f"--{flag}", required=True)
asked, _ = parser.parse_known_args()
world = MPI.COMM_WORLD
lines = [line for path in pathlib.Path(asked.data_dir).rglob("*.tsv") for line in path.open()]
same = world.allreduce(sum(line.startswith("1") for line in lines[world.rank :: world.size]))
hosts = sorted(set(world.allgather(os.environ["SM_CURRENT_HOST"])))
if world.rank == 0:
    said = f"{asked.task_name}: {same} of {len(lines)} pairs, {world.size} ranks on {hosts}"
    print(said, flush=True)
    pathlib.Path(asked.output_dir, "pairs").write_text(said)
"""
CLASSIFIED = "MRPC: 2 of 3 pairs, 8 ranks on ['algo-1', 'algo-2']"
"""What CLASSIFIES says of PAIRS, as training-bert asks for it: four processes on each node."""
PAIRS = "1\ta\tb\n0\ta\tc\n1\td\te\n"


def manifest(name: str) -> dict[str, Any]:
    """Return one of the manifests that people have."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return found


def filled(name: str, **members: Any) -> dict[str, Any]:
    """Return a manifest for this machine; ``members`` go into its spec."""
    found = manifest(name)
    spec = found["spec"]
    spec |= {"roleArn": ROLE, "region": "us-east-1"}
    spec["outputDataConfig"] = {"s3OutputPath": f"s3://{BUCKET}/models"}
    spec |= members
    return found


def running(name: str, program: str, **members: Any) -> dict[str, Any]:
    """Return the manifest of a job that runs a Python program."""
    found = filled("training-tensorflow")
    found["metadata"]["name"] = name
    spec = found["spec"]
    del spec["inputDataConfig"]
    spec["algorithmSpecification"] = {
        "trainingImage": "python",
        "trainingInputMode": "File",
        "containerEntrypoint": [sys.executable, "-c", program],
    }
    return {**found, "spec": {**spec, **members}}


def bert(at: Any) -> dict[str, Any]:
    """Return training-bert with its program, for PAIRS that lie in the bucket below ``pairs``."""
    found = filled("training-bert")
    spec = found["spec"]
    ours = code(at, CLASSIFIES, "run_classifier_hvd.py")
    names = {each["name"] for each in ours}
    others = [each for each in spec["hyperParameters"] if each["name"] not in names]
    spec["hyperParameters"] = [*others, *ours]
    spec["inputDataConfig"][0]["dataSource"]["s3DataSource"]["s3Uri"] = f"s3://{BUCKET}/pairs"
    spec["checkpointConfig"] = {"s3Uri": f"s3://{BUCKET}/checkpoints/"}
    return found


def code(shed: Shed, program: str, name: str) -> list[dict[str, str]]:
    """Put a program into the bucket; return the hyperparameters that name it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(program.encode())
        tar.addfile(member, io.BytesIO(program.encode()))
    archive = packed.getvalue()
    key = f"code/{name}/sourcedir.tar.gz"
    shed.s3.put_object(Bucket=BUCKET, Key=key, Body=archive)
    return [
        {"name": "sagemaker_program", "value": name},
        {"name": "sagemaker_submit_directory", "value": f"s3://{BUCKET}/{key}"},
    ]


def digits() -> str:
    """Return 300 real handwritten digits as CSV: the label, then 64 pixels."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a second

    data = load_digits()
    rows = zip(data.target[:300], data.data[:300], strict=True)
    return "".join(
        f"{label}," + ",".join(f"{p:g}" for p in pixels) + "\n" for label, pixels in rows
    )


def changed(thing: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a manifest with other members in its spec."""
    found = copy.deepcopy(thing)
    found["spec"] |= members
    return found
