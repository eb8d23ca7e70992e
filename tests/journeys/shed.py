"""A user with boto3, a bucket and a folder of scripts, before a real server."""

import io
import json
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from trainshed.testing.server import Server

BUCKET = "journeys"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/my-training:1"
ROLE = "arn:aws:iam::123456789012:role/training"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
NOBODY_ASKS_TWICE = Config(retries={"total_max_attempts": 1})


class Shed:
    """What a test of a journey needs at hand."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._names = 0
        self.connect()
        self.s3.create_bucket(Bucket=BUCKET)

    def connect(self) -> None:
        """Make clients for where the server answers now."""
        self.sagemaker = self.client("sagemaker")
        self.s3 = self.client("s3")
        self.logs = self.client("logs")

    def client(self, service: str, **options: Any) -> Any:
        access_key, secret_key = self.server.keys
        return boto3.client(
            service,
            endpoint_url=self.server.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            **{"config": NOBODY_ASKS_TWICE, **options},
        )

    def name(self) -> str:
        self._names += 1
        return f"journey-{self._names}"

    def script(self, text: str, name: str = "train.py") -> str:
        """Return the path of a script with this text."""
        folder = self.folder / f"scripts-{len(list(self.folder.glob('scripts-*')))}"
        folder.mkdir()
        (folder / name).write_text(text)
        return str(folder / name)

    def create(
        self, script: str | None = None, *, nodes: int = 1, algorithm: Any = None, **changes: Any
    ) -> str:
        """Create a job that runs a Python script by its path; return its name."""
        if script is not None:
            command = {
                "ContainerEntrypoint": [sys.executable],
                "ContainerArguments": [self.script(script)],
            }
            algorithm = {**command, **(algorithm or {})}
        request = {
            "TrainingJobName": self.name(),
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                **(algorithm or {}),
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": nodes,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **changes,
        }
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def create_in_script_mode(self, files: dict[str, str], **changes: Any) -> str:
        """Create a job whose train.py is in a sourcedir.tar.gz in the bucket."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return self.create_from_archive(packed.getvalue(), **changes)

    def create_from_archive(self, archive: bytes, **changes: Any) -> str:
        key = f"code/{self._names}/sourcedir.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive)
        hyperparameters = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{BUCKET}/{key}",
            **changes.pop("HyperParameters", {}),
        }
        return self.create(HyperParameters=hyperparameters, **changes)

    def put(self, files: dict[str, str]) -> None:
        for key, text in files.items():
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def describe(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return told

    def ended(self, name: str) -> dict[str, Any]:
        """Return what is told of the job once it is over."""
        waiter = self.sagemaker.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 1200})
        return self.describe(name)

    def failed(self, name: str) -> str:
        """Return why the job failed, once it has."""
        told = self.until_status(name, "Failed", "Completed", "Stopped")
        assert told["TrainingJobStatus"] == "Failed", told
        return str(told["FailureReason"])

    def until_status(self, name: str, *statuses: str) -> dict[str, Any]:
        """Return what is told of the job once it has one of these statuses."""

        def reached() -> bool:
            return self.describe(name)["TrainingJobStatus"] in statuses

        until(reached, lambda: f"{self.describe(name)}\n{self.server.said()}")
        return self.describe(name)

    def forget(self, name: str) -> None:
        """Delete the job as soon as its nodes are gone."""

        def deleted() -> bool:
            try:
                self.sagemaker.delete_training_job(TrainingJobName=name)
            except self.sagemaker.exceptions.ResourceInUse:
                return False
            return True

        until(deleted)

    def lines(self, name: str, host: str = "algo-1") -> list[str]:
        """Return what a node has logged, all its streams in order."""
        found: list[str] = []
        prefix = f"{name}/{host}-"
        listed = self.logs.describe_log_streams(
            logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/"
        )
        for stream in listed["logStreams"]:
            if not stream["logStreamName"].startswith(prefix):
                continue
            asked = {"logGroupName": LOG_GROUP, "logStreamName": stream["logStreamName"]}
            page = self.logs.get_log_events(**asked, startFromHead=True)
            while page["events"]:
                found += [event["message"] for event in page["events"]]
                page = self.logs.get_log_events(
                    **asked, startFromHead=True, nextToken=page["nextForwardToken"]
                )
        return found

    def until_line(self, name: str, line: str, host: str = "algo-1") -> None:
        def there() -> bool:
            try:
                return line in self.lines(name, host)
            except self.logs.exceptions.ResourceNotFoundException:
                return False

        until(there, lambda: f"{self.describe(name)}")

    def archive(self, name: str, which: str = "model") -> dict[str, bytes]:
        """Return the files of model.tar.gz or output.tar.gz, by name."""
        path = f"output/{name}/output/{which}.tar.gz"
        if self.describe(name)["OutputDataConfig"]["S3OutputPath"].startswith("file://"):
            body = (self.folder / "shared" / path).read_bytes()
        else:
            body = self.s3.get_object(Bucket=BUCKET, Key=path)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]


def until(true: Callable[[], bool], told: Callable[[], str] = str, timeout: float = 60.0) -> None:
    """Return once ``true()``; fail with what ``told`` returns when it never is."""
    end, pause = time.monotonic() + timeout, threading.Event()
    while not true():
        assert time.monotonic() < end, f"it never came true: {told()}"
        pause.wait(0.02)


def channel(name: str, prefix: str, **changes: Any) -> dict[str, Any]:
    """Return a channel of the bucket's objects below a prefix."""
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
        },
        **changes,
    }


def read_json(content: bytes) -> Any:
    return json.loads(content)
