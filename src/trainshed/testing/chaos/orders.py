"""The kinds of jobs that a chaos run asks for, and what each must come to."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from trainshed.domain import names
from trainshed.testing.chaos import program

BUCKET: Final = "chaos"
SIMULATED: Final = "sim"
LOCAL: Final = "local"
_IMAGE: Final = "123456789012.dkr.ecr.us-east-1.amazonaws.com/chaos:1"
_ROLE: Final = "arn:aws:iam::123456789012:role/chaos"
_RETRIES: Final = 30
"""The most that the API allows: no job of ours may use them up."""

LOCAL_KINDS: Final = (
    *("plain", "keeping", "pair", "bad", "spot", "spot", "warm", "input", "input"),
    *("yielding", "urgent", "fragile"),
)
SIMULATED_KINDS: Final = ("sim-plain", "sim-pair", "sim-bad", "sim-spot", "sim-keeping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A job that is asked for."""

    name: str
    kind: str
    request: Mapping[str, Any]
    backend: str
    hosts: tuple[str, ...]
    reason: str = ""
    """How the FailureReason of one that fails on its own ends; "" for one that completes."""
    model: Mapping[str, bytes] = field(default_factory=dict)
    """Files of the model of one that completes; none where nothing is made."""
    steps: int = 0
    data: bytes = b""
    """What its input channel holds."""
    resilient: bool = True
    """Whether it outlives the loss of its nodes."""

    @property
    def key(self) -> str:
        """Where its input lies in the bucket."""
        return f"input/{self.name}/data"


def order(name: str, kind: str, chance: Random, outside: Path) -> Order:
    """Return a job of a kind; ``outside`` is where local programs leave their notes."""
    if kind in SIMULATED_KINDS:
        return _simulated(name, kind, chance)
    hosts = names.hosts(2 if kind == "pair" else 1)
    steps = chance.randint(4, 24)
    asked = {
        "job": name,
        "outside": str(outside),
        "steps": str(steps),
        "pace": f"{chance.uniform(0.05, 0.25):.3f}",
    }
    changes: dict[str, Any] = {}
    if kind in {"keeping", "spot", "yielding"}:
        asked["keeps"] = "yes"
        changes["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/checkpoints/{name}"}
    if kind == "bad":
        asked["fails"] = str(chance.randrange(steps))
    data = b""
    if kind == "input":
        data = chance.randbytes(chance.randint(1, 100_000))
        changes["InputDataConfig"] = [_channel(f"input/{name}")]
    tags = {"yielding": _yielding(), "urgent": {names.PRIORITY_TAG: "90"}}.get(kind, {})
    request = _request(name, kind, hosts, asked, tags)
    command = ["-I", "-u", program.__file__]
    request["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": [sys.executable],
        "ContainerArguments": command,
    }
    fails = f"AlgorithmError: {program.FAILURE}, exit code: {program.EXIT_CODE}"
    return Order(
        name=name,
        kind=kind,
        request={**request, **changes},
        backend=LOCAL,
        hosts=hosts,
        reason=fails if kind == "bad" else "",
        model={}
        if kind == "bad"
        else {f"{host}.txt": program.model(name, host, steps, data) for host in hosts},
        steps=steps,
        data=data,
        resilient=kind != "fragile",
    )


def _simulated(name: str, kind: str, chance: Random) -> Order:
    hosts = names.hosts(2 if kind == "sim-pair" else 1)
    asked = {"sim.duration": f"{chance.uniform(0.5, 6.0):.2f}", "sim.stop": "0.2"}
    changes: dict[str, Any] = {}
    if kind == "sim-bad":
        asked["sim.exit_code"] = str(program.EXIT_CODE)
    if kind in {"sim-spot", "sim-keeping"}:
        asked |= {"sim.checkpoint_every": "0.5"}
        changes["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/checkpoints/{name}"}
    for befalls, one_in in (("agent_lost_after", 3), ("lost_after", 5), ("taken_after", 5)):
        if not chance.randrange(one_in):
            asked[f"sim.{befalls}"] = f"{chance.uniform(0.1, 4.0):.2f}"
    request = _request(name, kind, hosts, asked, {names.BACKEND_TAG: SIMULATED})
    return Order(
        name=name,
        kind=kind,
        request={**request, **changes},
        backend=SIMULATED,
        hosts=hosts,
        reason=f"AlgorithmError: , exit code: {program.EXIT_CODE}" if kind == "sim-bad" else "",
    )


def _request(
    name: str, kind: str, hosts: tuple[str, ...], asked: Mapping[str, str], tags: Mapping[str, str]
) -> dict[str, Any]:
    spot = kind.endswith("spot")
    resources: dict[str, Any] = {
        "InstanceType": "ml.m5.large",
        "InstanceCount": len(hosts),
        "VolumeSizeInGB": 1,
    }
    if kind == "warm":
        resources["KeepAlivePeriodInSeconds"] = 10
    limits = {"MaxRuntimeInSeconds": 3600} | ({"MaxWaitTimeInSeconds": 7200} if spot else {})
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": _IMAGE, "TrainingInputMode": "File"},
        "RoleArn": _ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": resources,
        "StoppingCondition": limits,
        "HyperParameters": dict(asked),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if kind != "fragile":
        request["RetryStrategy"] = {"MaximumRetryAttempts": _RETRIES}
    if spot:
        request["EnableManagedSpotTraining"] = True
    return request


def _yielding() -> dict[str, str]:
    return {names.PRIORITY_TAG: "10", names.PREEMPTIBLE_TAG: "true"}


def _channel(prefix: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
