"""Jobs in containers: beside ``docker run`` by hand, and beside the SageMaker SDK's local mode."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3

from bench import servers
from bench.jobs import printed_time
from bench.load import Target

IMAGE = "trainshed-test/python:base"
ROUNDS = 11
SDK = Path(__file__).parents[1] / ".venv-sdk2" / "bin" / "python"
SDK_ROUNDS = 5
TELL = ("python3", "-c", "import time; print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)")
SETTINGS = 'backend = "docker"\n'


def by_hand() -> float:
    """Return the seconds from calling ``docker run`` to the program's first line."""
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    command = ["docker", "run", "--rm", IMAGE, *TELL]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ran.stdout) - began


def submitted(target: Target, name: str) -> float:
    """Return the seconds from calling CreateTrainingJob to the program's first line."""
    sagemaker, logs = _client(target, "sagemaker"), _client(target, "logs")
    sagemaker.list_training_jobs()
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": TELL[:1],
            "ContainerArguments": TELL[1:],
        },
        RoleArn="arn:aws:iam::123456789012:role/training-role",
        OutputDataConfig={"S3OutputPath": "s3://bench/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    return printed_time(sagemaker, logs, name) - began


def measure() -> dict[str, float]:
    """Return medians in milliseconds, and the ratio that the bound is set on."""
    with servers.trainshed(SETTINGS) as (target, _, _):
        _client(target, "s3").create_bucket(Bucket="bench")
        submitted(target, "warm")
        plain, ours = [], []
        for index in range(ROUNDS):
            # The next spare agent is started half a second after a launch; a person is slower.
            time.sleep(1.5)
            plain.append(by_hand())
            ours.append(submitted(target, f"start-{index}"))
    middle, job = statistics.median(plain) * 1000, statistics.median(ours) * 1000
    return {
        "docker run to the first line, ms": middle,
        "job on docker to the first line, ms": job,
        "bound: 1.25 x docker run + 150, ms": 1.25 * middle + 150,
    }


def local_mode() -> dict[str, float]:
    """Return the median seconds of one job through the SDK's local mode and through us."""
    with servers.trainshed(SETTINGS) as (target, _, folder):
        config = folder / "sdk.yaml"
        config.write_text(
            'SchemaVersion: "1.0"\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n'
        )
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://{target.host}:{target.port}",
            "AWS_ACCESS_KEY_ID": target.access_key,
            "AWS_SECRET_ACCESS_KEY": target.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
        }
        program = [SDK, Path(__file__).with_name("local_mode.py"), IMAGE, str(SDK_ROUNDS)]
        ran = subprocess.run(
            program, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    told = json.loads(ran.stdout.splitlines()[-1])
    local, ours = statistics.median(told["local"]), statistics.median(told["server"])
    return {
        "SDK local mode, call to completion, s": local,
        "the same through a server, s": ours,
        "times faster": local / ours,
    }


def _client(target: Target, service: str) -> Any:  # noqa: ANN401 - botocore makes its class
    return boto3.client(
        service,
        endpoint_url=f"http://{target.host}:{target.port}",
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        region_name="us-east-1",
    )


if __name__ == "__main__":
    sys.exit("run it as: python -m bench docker")
