"""Bringing data in and carrying results out, beside s5cmd, the aws CLI and cp."""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import boto3
from boto3.s3.transfer import TransferConfig

from bench import servers
from bench.load import Target
from bench.measured import Cost, fill_memory, run

ROUNDS: Final = 5
MIB: Final = 1 << 20
SETS: Final = {"5,000 x 100 KiB": (5000, 100 << 10), "2 GiB": (1, 2 << 30)}
"""Label to how many files of how many bytes."""
BIN: Final = Path(sys.executable).parent
BUCKET: Final = "bench"
SETTINGS: Final = 'cache = "0"\n'


def measure() -> dict[str, float]:
    """Return medians over rounds, in MiB/s and processor seconds, and the ratios with bounds."""
    found: dict[str, float] = {}
    with servers.trainshed(SETTINGS) as (target, _, _), _scratch() as scratch:
        fill_memory(scratch)
        boto3.client("s3", **_keys(target)).create_bucket(Bucket=BUCKET)
        for label, (count, size) in SETS.items():
            source = scratch / f"source-{count}"
            _generate(source, count, size)
            _upload(target, source)
            os.sync()  # what is still to be written would slow the first program down
            megabytes = count * size / MIB
            for way in ("down", "up"):
                found |= _rated(
                    f"{label} {way}", megabytes, _compared(target, scratch, source, way)
                )
            found |= _beside_cp(label, target, scratch, source)
    return found


def _compared(target: Target, scratch: Path, source: Path, way: str) -> dict[str, Cost]:
    """Return the median cost of each program, run in turn."""
    name = source.name
    remote, there = f"s3://{BUCKET}/{name}/", f"s3://{BUCKET}/{way}"
    s5cmd = [BIN / "s5cmd", "--endpoint-url", _url(target), "--log", "error", "cp"]
    aws = [BIN / "aws", "--endpoint-url", _url(target), "s3", "cp", "--recursive", "--quiet"]
    ours = [sys.executable, "-m", "bench.stage_once"]
    programs: dict[str, Callable[[Path], Sequence[str | Path]]] = {
        "ours": lambda into: [*ours, way, into, _url(target), remote if way == "down" else source],
        "s5cmd": lambda into: (
            [*s5cmd, f"{remote}*", f"{into}/"]
            if way == "down"
            else [*s5cmd, f"{source}/", f"{there}/s5cmd/{name}/"]
        ),
        "aws CLI": lambda into: (
            [*aws, remote, into] if way == "down" else [*aws, source, f"{there}/aws/{name}/"]
        ),
    }
    costs: dict[str, list[Cost]] = {program: [] for program in programs}
    order = list(programs)
    for round_ in range(ROUNDS):
        order.append(order.pop(0))  # nobody is always the first
        for program in order:
            # Removed at the end alone: ext4 is slow to make files just after many were deleted.
            into = scratch / "into" / f"{round_}-{program}"
            into.mkdir(parents=True)
            costs[program].append(run(programs[program](into), _environment(target)))
            os.sync()
    shutil.rmtree(scratch / "into")
    return {program: _median(many) for program, many in costs.items()}


def _beside_cp(label: str, target: Target, scratch: Path, source: Path) -> dict[str, float]:
    """Return how a job's staging from its own machine compares to ``cp -r``, in throughput."""
    ours, plain = [], []
    copied = scratch / "copied"
    for number in range(ROUNDS):
        ours.append(_downloading(target, source.name, f"near-{source.name}-{number}"))
        _settle()  # the job's files were removed
        plain.append(run(["cp", "-r", source, copied]).seconds)
        shutil.rmtree(copied)  # so that each finds the memory that the other has left
        _settle()
    ratio = statistics.median(plain) / statistics.median(ours)
    return {f"{label}: same host, throughput / cp -r (bound 0.8)": ratio}


def _settle() -> None:
    """Let the disk come to rest: ext4 spares places of deleted files for five seconds."""
    os.sync()
    time.sleep(6)


def _downloading(target: Target, prefix: str, name: str) -> float:
    """Return the seconds that a job on the store's machine says its downloading took."""
    sagemaker = boto3.client("sagemaker", **_keys(target))
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}/"}
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": "any",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["true"],
        },
        RoleArn="arn:aws:iam::123456789012:role/training-role",
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    told = sagemaker.describe_training_job(TrainingJobName=name)
    for each in told["SecondaryStatusTransitions"]:
        if each["Status"] == "Downloading":
            seconds: float = (each["EndTime"] - each["StartTime"]).total_seconds()
            return seconds
    raise RuntimeError(f"{name} downloaded nothing")


def _rated(label: str, megabytes: float, costs: dict[str, Cost]) -> dict[str, float]:
    ours, s5cmd, aws = costs["ours"], costs["s5cmd"], costs["aws CLI"]
    found = {f"{label}: {name}, MiB/s": megabytes / cost.seconds for name, cost in costs.items()}
    found |= {f"{label}: {name}, CPU seconds": cost.cpu for name, cost in costs.items()}
    found[f"{label}: ours, MB of memory"] = ours.rss
    found[f"{label}: throughput / s5cmd (bound 1)"] = s5cmd.seconds / ours.seconds
    found[f"{label}: throughput / aws CLI (bound 3)"] = aws.seconds / ours.seconds
    found[f"{label}: CPU / s5cmd (bound 1, less is better)"] = ours.cpu / s5cmd.cpu
    return found


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        max(cost.rss for cost in costs),
    )


def _generate(folder: Path, count: int, size: int) -> None:
    """Write files of random bytes, in folders of a thousand."""
    for n in range(count):
        path = folder / f"{n // 1000:03d}" / f"{n:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for at in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - at)))


def _upload(target: Target, source: Path) -> None:
    s3 = boto3.client("s3", **_keys(target))
    config = TransferConfig(multipart_chunksize=64 * MIB)
    for path in sorted(source.rglob("*.bin")):
        key = f"{source.name}/{path.relative_to(source)}"
        s3.upload_file(str(path), BUCKET, key, Config=config)


def _url(target: Target) -> str:
    return f"http://{target.host}:{target.port}"


def _keys(target: Target) -> dict[str, str]:
    return {
        "endpoint_url": _url(target),
        "aws_access_key_id": target.access_key,
        "aws_secret_access_key": target.secret_key,
        "region_name": "us-east-1",
    }


def _environment(target: Target) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": target.access_key,
        "AWS_SECRET_ACCESS_KEY": target.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trainshed-bench-") as folder:
        yield Path(folder)
