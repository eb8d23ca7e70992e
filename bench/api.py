"""Requests a second at 8 connections, beside moto_server: Describe and Create."""

import json
import statistics
from typing import Any

from bench import servers
from bench.load import Target, requests_per_second

CONNECTIONS = 8
ROUNDS = 5

# One job holds the only node, so that what is created waits in line: starting hundreds of real
# jobs would measure the jobs.
CONFIG = "[backends.local]\nmax_nodes = 1\n"


def request(name: str) -> dict[str, Any]:
    """Return a CreateTrainingJob of the usual size, about 1.3 KB."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/training:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sleep"],
            "ContainerArguments": ["600"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/training-role",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "HyperParameters": {f"parameter_{i}": str(i) for i in range(20)},
        "Tags": [{"Key": "team", "Value": "bench"}],
    }


def create(target: Target, prefix: str, count: int) -> float:
    """Return the rate of creating ``count`` jobs."""
    names = (f"{prefix}-{index}" for index in range(count))
    bodies = [json.dumps(request(name)).encode() for name in names]
    signed = [target.request("CreateTrainingJob", body) for body in bodies]
    return requests_per_second(target, signed, CONNECTIONS)


def describe(target: Target, name: str, count: int) -> float:
    """Return the rate of describing one job ``count`` times."""
    body = json.dumps({"TrainingJobName": name}).encode()
    signed = [target.request("DescribeTrainingJob", body)] * count
    return requests_per_second(target, signed, CONNECTIONS)


def measure() -> dict[str, float]:
    """Return medians of the rounds, and the medians of the rounds' ratios."""
    rows: dict[str, list[float]] = {}
    with servers.trainshed(CONFIG) as (ours, _, _), servers.moto() as theirs:
        ours.bucket("bucket")
        for target in (ours, theirs):
            create(target, "warm", 8)
        for index in range(ROUNDS):
            pair = create(ours, f"o{index}", 400), create(theirs, f"m{index}", 100)
            _keep(rows, "create", pair)
            pair = describe(ours, "warm-0", 4000), describe(theirs, "warm-0", 200)
            _keep(rows, "describe", pair)
    return {name: statistics.median(values) for name, values in rows.items()}


def _keep(rows: dict[str, list[float]], name: str, pair: tuple[float, float]) -> None:
    ours, theirs = pair
    rows.setdefault(f"{name}: trainshed, requests/s", []).append(ours)
    rows.setdefault(f"{name}: moto_server, requests/s", []).append(theirs)
    rows.setdefault(f"{name}: ratio", []).append(ours / theirs)
