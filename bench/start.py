"""From submitting to the first line of user code, above running the same script by hand."""

import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from bench import servers
from bench.jobs import printed_time
from bench.load import Target

ROUNDS = 15
SCRIPT = "import time; print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)\n"


def by_hand(script: Path) -> float:
    """Return the seconds from starting ``python train.py`` to its first line."""
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return float(ran.stdout) - began


def submitted(target: Target, name: str) -> float:
    """Return the seconds from calling CreateTrainingJob to the script's first line."""
    url = f"http://{target.host}:{target.port}"
    session = boto3.Session(
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        region_name="us-east-1",
    )
    sagemaker = session.client(
        "sagemaker", endpoint_url=url, config=Config(retries={"max_attempts": 0})
    )
    logs = session.client("logs", endpoint_url=url)
    sagemaker.list_training_jobs()
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::123456789012:role/training-role",
        OutputDataConfig={"S3OutputPath": "s3://bench/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters={
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps("s3://bench/sourcedir.tar.gz"),
        },
    )
    return printed_time(sagemaker, logs, name) - began


def measure() -> dict[str, float]:
    """Return medians in milliseconds."""
    with servers.trainshed() as (target, _, _), tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(SCRIPT)
        archive = Path(folder) / "sourcedir.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(script, "train.py")
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://{target.host}:{target.port}",
            aws_access_key_id=target.access_key,
            aws_secret_access_key=target.secret_key,
            region_name="us-east-1",
        )
        s3.create_bucket(Bucket="bench")
        s3.upload_file(str(archive), "bench", "sourcedir.tar.gz")
        submitted(target, "warm")
        plain, ours = [], []
        for index in range(ROUNDS):
            # The next spare agent is started half a second after a launch; a person is slower.
            time.sleep(1.5)
            plain.append(by_hand(script))
            ours.append(submitted(target, f"start-{index}"))
    above = [a - b for a, b in zip(ours, plain, strict=True)]
    return {
        "first line by hand, ms": statistics.median(plain) * 1000,
        "first line as a job, ms": statistics.median(ours) * 1000,
        "added by the job, ms": statistics.median(above) * 1000,
    }


def first_answer() -> dict[str, float]:
    """Return the median seconds from starting the server to its first answer."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        with servers.trainshed() as (target, _, _):
            urllib.request.urlopen(f"http://{target.host}:{target.port}/healthz").close()
            took.append(time.perf_counter() - began)
    return {"server, start to first answer, s": statistics.median(took)}
