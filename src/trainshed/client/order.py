"""What a person wants trained, and the CreateTrainingJob request that asks for it.

Script mode is asked for as the SageMaker Python SDK v2 asks for it: hyperparameters that begin
with ``sagemaker_`` name the program and the archive it is in, and every value is JSON. So the same
request runs anywhere that SDK's jobs run.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Any, Final

from trainshed.client import upload
from trainshed.client.errors import ClientError

DEFAULT_IMAGE: Final = "trainshed/python"
DEFAULT_INSTANCE: Final = "ml.m5.large"
ROLE: Final = "arn:aws:iam::123456789012:role/trainshed"
"""The API demands a role. Nobody assumes this one."""
DEFAULT_MAX_TIME: Final = timedelta(days=1)
"""The service's own default."""
NAME_LIMIT: Final = 63
"""Characters of a job's name, from the service model."""

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_REMOTE: Final = ("s3://", "file://")
"""Addresses the server reads by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A script to run, as a person says it: paths on this machine, values as they are."""

    name: str
    script: Path
    source: Path | None = None
    """The folder whose code goes along; None for the script's own."""
    leave_out: tuple[Path, ...] = ()
    """What in that folder does not go along, such as the server's own folder with its keys."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Channel name to a path on this machine, or an ``s3://`` or ``file://`` address."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """Values that JSON can hold."""
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric name to the regular expression whose first group is its value."""
    tags: Mapping[str, str] = field(default_factory=dict)
    image: str = DEFAULT_IMAGE
    instance: str = DEFAULT_INSTANCE
    nodes: int = 1
    max_time: timedelta = DEFAULT_MAX_TIME

    @property
    def folder(self) -> Path:
        """The folder whose code goes along."""
        return self.script.parent if self.source is None else self.source

    @property
    def program(self) -> str:
        """The script, relative to that folder.

        Raises:
            ClientError: it is not there, or not in the folder.
        """
        if not self.script.is_file():
            raise ClientError(f"no script is at {self.script}", "check the path")
        try:
            return self.script.resolve().relative_to(self.folder.resolve()).as_posix()
        except ValueError as error:
            raise ClientError(
                f"{self.script} is not in {self.folder}", "name the folder above it with --source"
            ) from error

    def sources(self) -> dict[str, upload.Source]:
        """Return what has to be uploaded, by channel.

        Raises:
            ClientError: there is nothing at one of the paths.
        """
        local = {k: v for k, v in self.data.items() if not v.startswith(_REMOTE)}
        return {channel: upload.look(Path(path)) for channel, path in local.items()}

    def request(self, *, bucket: str, region: str) -> dict[str, Any]:
        """Return the CreateTrainingJob request, for code and data that lie in ``bucket``.

        Raises:
            ClientError: the name or the script will not do.
        """
        base = f"s3://{bucket}/{check_name(self.name)}"
        own = {
            "sagemaker_submit_directory": f"{base}/source/sourcedir.tar.gz",
            "sagemaker_program": self.program,
            "sagemaker_container_log_level": 20,
            "sagemaker_job_name": self.name,
            "sagemaker_region": region,
        }
        values = {**self.hyperparameters, **own}
        request: dict[str, Any] = {
            "TrainingJobName": self.name,
            "AlgorithmSpecification": {"TrainingImage": self.image, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "HyperParameters": {key: json.dumps(value) for key, value in values.items()},
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/"},
            "ResourceConfig": {
                "InstanceType": self.instance,
                "InstanceCount": self.nodes,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": int(self.max_time.total_seconds())},
        }
        if self.metrics:
            request["AlgorithmSpecification"]["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in self.metrics.items()
            ]
        if self.data:
            request["InputDataConfig"] = [
                _channel(name, place if place.startswith(_REMOTE) else f"{base}/input/{name}/")
                for name, place in self.data.items()
            ]
        if self.environment:
            request["Environment"] = dict(self.environment)
        if self.tags:
            request["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return request


def job_name(script: str, *, now: datetime, salt: str) -> str:
    """Return ``<script>-<yymmdd-hhmmss>-<salt>``, cut and cleaned to what a job may be called.

    Args:
        script: a path; its stem is used.
        now: in the zone the user reads.
        salt: a few hex digits that keep two jobs of one second apart.
    """
    tail = f"{now:%y%m%d-%H%M%S}-{salt}"
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", PurePath(script).stem).strip("-")
    head = stem[: NAME_LIMIT - len(tail) - 1].rstrip("-") or "job"
    return f"{head}-{tail}"


def check_name(name: str) -> str:
    """Return ``name``.

    Raises:
        ClientError: no job may be called so.
    """
    if not _NAME.fullmatch(name):
        raise ClientError(
            f"{name!r} is no name for a job: 1 to 63 letters, digits and dashes,"
            " beginning and ending with a letter or digit",
            "choose another with --name",
        )
    return name


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
