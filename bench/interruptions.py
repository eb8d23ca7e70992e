"""How soon an interruption is known, and how soon the job goes on.

A spot job with checkpoints is drilled again and again. Its program does nothing but save when it is
asked to stop, so the figures are the platform's.
"""

import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from bench import servers
from bench.load import Target

DRILLS: Final = 10
_PATIENCE_S: Final = 60.0
_JOB: Final = "drilled"
_LOGS: Final = "/aws/sagemaker/TrainingJobs"
_SAVES: Final = (
    "trap 'date +%s.%N >/opt/ml/checkpoints/saved; exit 0' TERM; echo listens; "
    "while :; do sleep 0.05; done"
)


def measure() -> dict[str, float]:
    """Return medians and the worst, in seconds, of drills with a notice of two minutes."""
    known, gaps = [], []
    with servers.trainshed() as (target, _, data):
        client = _clients(target)
        _start(client)
        for attempt in range(1, DRILLS + 1):
            _await(client, lambda n=attempt: _trains(client) and _listens(client) == n)
            asked = time.time()
            client("trainshed").drill_training_job(
                TrainingJobName=_JOB, Kind="Notice", NoticeInSeconds=120
            )
            _await(client, lambda n=attempt: _told(data, "notice", n))
            known.append(time.time() - asked)
            _await(client, lambda n=attempt + 1: _told(data, "training", n))
            gaps.append(_told(data, "training", attempt + 1) - _told(data, "ended", attempt))
        client("sagemaker").stop_training_job(TrainingJobName=_JOB)
    return {
        "interruptions: asked for a notice until the server knows of it, median, s": (
            statistics.median(known)
        ),
        "interruptions: the same, worst, s": max(known),
        "interruptions: node ended until the next attempt's program begins, median, s": (
            statistics.median(gaps)
        ),
        "interruptions: the same, worst of that, s": max(gaps),
    }


def _clients(target: Target) -> Callable[[str], Any]:
    session = servers.session(target)
    url = f"http://{target.host}:{target.port}"
    made = {
        name: session.client(name, endpoint_url=url)
        for name in ("logs", "s3", "sagemaker", "trainshed")
    }
    return made.__getitem__


def _start(client: Callable[[str], Any]) -> None:
    client("s3").create_bucket(Bucket="bench")
    client("sagemaker").create_training_job(
        TrainingJobName=_JOB,
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c", _SAVES],
        },
        RoleArn="arn:aws:iam::123456789012:role/training-role",
        OutputDataConfig={"S3OutputPath": "s3://bench/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        CheckpointConfig={"S3Uri": "s3://bench/checkpoints"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600},
    )


def _trains(client: Callable[[str], Any]) -> bool:
    told = client("sagemaker").describe_training_job(TrainingJobName=_JOB)
    return bool(told["SecondaryStatus"] == "Training")


def _listens(client: Callable[[str], Any]) -> int:
    """Return how many programs have set their trap.

    A signal before that is lost: the kernel keeps from a namespace's first process what it has no
    handler for, and the program would go on until the notice is over.
    """
    logs = client("logs")
    try:
        found = logs.filter_log_events(logGroupName=_LOGS, filterPattern="listens")
    except logs.exceptions.ResourceNotFoundException:  # nobody has written anything yet
        return 0
    return len(found["events"])


def _told(data: Path, kind: str, attempt: int) -> float:
    """Return when a node of the attempt told the server a fact, by its own clock; 0 for not yet."""
    question = "SELECT at FROM facts WHERE kind = ? AND attempt = ?"
    with closing(sqlite3.connect(f"file:{data / 'trainshed.db'}?mode=ro", uri=True)) as records:
        found = records.execute(question, (kind, attempt)).fetchone()
    return float(found[0]) if found else 0.0


def _await(client: Callable[[str], Any], true: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            job = client("sagemaker").describe_training_job(TrainingJobName=_JOB)
            told = [
                f"{each['Status']}: {each['StatusMessage']}"
                for each in job["SecondaryStatusTransitions"]
            ]
            raise RuntimeError(f"a drill came to nothing within {_PATIENCE_S:g} s; the job: {told}")
        time.sleep(0.005)
