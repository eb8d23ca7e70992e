"""From a script to the CreateTrainingJob request that runs it.

Script mode is asked for as the SageMaker Python SDK v2 asks for it: hyperparameters that begin
with ``sagemaker_`` name the program and the archive it is in, and every value is JSON. So the same
request runs anywhere that SDK's jobs run.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, Final

from trainshed.client.api import Api
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptJob:
    """A script to train with, everything it needs already uploaded."""

    name: str
    program: str
    """The script, relative to the root of the archive."""
    code_uri: str
    """``s3://…/sourcedir.tar.gz``."""
    output_uri: str
    """Below it the job writes ``<name>/output/``."""
    region: str
    channels: Mapping[str, str] = field(default_factory=dict)
    """Channel name to ``s3://`` prefix."""
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

    def request(self) -> dict[str, Any]:
        """Return the CreateTrainingJob request."""
        algorithm: dict[str, Any] = {"TrainingImage": self.image, "TrainingInputMode": "File"}
        if self.metrics:
            algorithm["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in self.metrics.items()
            ]
        request: dict[str, Any] = {
            "TrainingJobName": self.name,
            "AlgorithmSpecification": algorithm,
            "RoleArn": ROLE,
            "HyperParameters": self._hyperparameters(),
            "OutputDataConfig": {"S3OutputPath": self.output_uri},
            "ResourceConfig": {
                "InstanceType": self.instance,
                "InstanceCount": self.nodes,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": int(self.max_time.total_seconds())},
        }
        if self.channels:
            request["InputDataConfig"] = [
                _channel(name, uri) for name, uri in self.channels.items()
            ]
        if self.environment:
            request["Environment"] = dict(self.environment)
        if self.tags:
            request["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return request

    def _hyperparameters(self) -> dict[str, str]:
        values = {
            **self.hyperparameters,
            "sagemaker_submit_directory": self.code_uri,
            "sagemaker_program": self.program,
            "sagemaker_container_log_level": 20,
            "sagemaker_job_name": self.name,
            "sagemaker_region": self.region,
        }
        return {key: json.dumps(value) for key, value in values.items()}


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


def submit(api: Api, request: Mapping[str, Any]) -> str:
    """Create the job and return its ARN.

    Raises:
        ApiError: the server refused the request; ``ResourceInUse`` when the name is taken.
    """
    return str(api.call("sagemaker", "CreateTrainingJob", request)["TrainingJobArn"])


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
