"""``python -m bench.scale [OBJECTS [BYTES]] [--http]``: stage a data set of very many objects.

Prints how long it takes, and how much memory the agent and the servers take at most. The objects
are copies of one, made by the store, which shares their bytes. With ``--http`` the job's server
finds them in another server's store, as it would in any foreign one.
"""

import asyncio
import contextlib
import io
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, Final

import boto3
from obstore.store import S3Store

from bench import servers
from bench.load import Target

BUCKET: Final = "scale"
OBJECTS: Final = 200_000
BYTES: Final = 100_000
_AT_ONCE: Final = 32
_LOOK_S: Final = 0.5
_COUNTS: Final = (
    "cd /opt/ml/input/data/train && find . -type f -printf '%s\\n' | "
    'awk \'{n += 1; s += $1} END {printf "%d %.0f\\n", n, s >"/opt/ml/model/found"}\''
)


def main() -> None:
    """Run it as the command line says."""
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    count, size = (*numbers, *(OBJECTS, BYTES)[len(numbers) :])
    for label, value in measure(count, size, http="--http" in sys.argv).items():
        print(f"{value:12.1f}  {label}", flush=True)


def measure(count: int, size: int, *, http: bool) -> dict[str, float]:
    """Return seconds, rates, and mebibytes of memory at most.

    Raises:
        RuntimeError: the job failed, or did not find ``count`` files of ``size`` bytes.
    """
    with contextlib.ExitStack() as held:
        store, store_pid, data = held.enter_context(servers.trainshed())
        begun = time.monotonic()
        asyncio.run(_fill(store, count, size))
        filled = time.monotonic() - begun
        runs, runs_pid = store, store_pid
        if http:
            runs, runs_pid, data = held.enter_context(servers.trainshed(_elsewhere(store)))
        _client(runs, "s3").create_bucket(Bucket="out")
        job, agent = _run(runs, data)
        _check(runs, count, size)
        staged = _seconds(job, "Downloading")
        found = {
            f"s to make {count} objects of {size} bytes": filled,
            "s Downloading": staged,
            "objects/s": count / staged,
            "MB/s": count * size / 1e6 / staged,
            "MiB of the agent at most": agent,
            "MiB of the job's server at most": _peak(runs_pid),
        }
        if http:
            found["MiB of the store's server at most"] = _peak(store_pid)
        return found


async def _fill(target: Target, count: int, size: int) -> None:
    _client(target, "s3").create_bucket(Bucket=BUCKET)
    store = S3Store(
        BUCKET,
        endpoint=_url(target),
        access_key_id=target.access_key,
        secret_access_key=target.secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    await store.put_async("one", bytes(range(256)) * (size // 256) + bytes(size % 256))
    numbers = iter(range(count))

    async def copy() -> None:
        for number in numbers:
            await store.copy_async("one", f"data/{number // 1000:05}/{number:07}")

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(copy())


def _run(target: Target, data: Path) -> tuple[dict[str, Any], float]:
    """Run a job that counts; return its description and its agent's peak of memory in MiB."""
    sagemaker, peak = _client(target, "sagemaker"), 0.0
    sagemaker.create_training_job(
        TrainingJobName="scale",
        RoleArn="arn:aws:iam::123456789012:role/r",
        AlgorithmSpecification={
            "TrainingImage": "any",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c", _COUNTS],
        },
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://out/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )
    said = ""
    while True:
        for lock in data.glob("nodes/*/agent.lock"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                peak = max(peak, _peak(int(lock.read_text().split()[0])))
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName="scale")
        message = job["SecondaryStatusTransitions"][-1]["StatusMessage"]
        if message != said:
            print(f"{time.monotonic():12.1f}  {message}", file=sys.stderr, flush=True)
            said = message
        if job["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"}:
            return job, peak
        time.sleep(_LOOK_S)


def _check(target: Target, count: int, size: int) -> None:
    job = _client(target, "sagemaker").describe_training_job(TrainingJobName="scale")
    if job["TrainingJobStatus"] != "Completed":
        raise RuntimeError(job.get("FailureReason", job["TrainingJobStatus"]))
    key = "scale/output/model.tar.gz"
    body = _client(target, "s3").get_object(Bucket="out", Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        member = tar.extractfile("found")
        found = member.read().decode().split() if member else []
    if found != [str(count), str(count * size)]:
        raise RuntimeError(f"the job found {found} instead of {count} files, {count * size} bytes")


def _seconds(job: dict[str, Any], status: str) -> float:
    spans = {each["Status"]: each for each in job["SecondaryStatusTransitions"]}
    took: float = (spans[status]["EndTime"] - spans[status]["StartTime"]).total_seconds()
    return took


def _elsewhere(store: Target) -> str:
    return (
        f'[[stores]]\nprefix = "s3://{BUCKET}/"\nendpoint = "{_url(store)}"\n'
        f'access_key = "{store.access_key}"\nsecret_key = "{store.secret_key}"\n'
        'region = "us-east-1"\n'
    )


def _client(target: Target, service: str) -> Any:  # noqa: ANN401
    return boto3.client(
        service,
        endpoint_url=_url(target),
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        region_name="us-east-1",
    )


def _url(target: Target) -> str:
    return f"http://{target.host}:{target.port}"


def _peak(pid: int) -> float:
    """Return the most memory a process ever had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    main()
