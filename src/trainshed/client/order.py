"""What a person wants trained, and the CreateTrainingJob request that asks for it.

Script mode is asked for as the SageMaker Python SDK v2 asks for it: hyperparameters that begin
with ``sagemaker_`` name the program and the archive it is in, and every value is JSON. So the same
request runs anywhere that SDK's jobs run. Without a script an image runs its own program, which
may never have heard of that SDK: it reads its hyperparameters as they were typed.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Any, Final

from trainshed.client import upload
from trainshed.client.errors import ClientError
from trainshed.client.standing import Standing
from trainshed.domain import instances
from trainshed.domain.names import (
    BACKEND_TAG,
    INSTANCE_TYPES_TAG,
    PYTHON_IMAGE,
    SHM_TAG,
    is_within,
)

DEFAULT_INSTANCE: Final = "ml.m5.large"
ROLE: Final = "arn:aws:iam::123456789012:role/trainshed"
"""The API demands a role. Nobody assumes this one."""
DEFAULT_MAX_TIME: Final = timedelta(days=1)
"""The service's own default."""
NAME_LIMIT: Final = 63
"""Characters of a job's name, from the service model."""

CHANNEL_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "mode": ("File", "FastFile", "Pipe"),
    "distribution": ("FullyReplicated", "ShardedByS3Key"),
    "type": ("S3Prefix", "ManifestFile", "AugmentedManifestFile"),
    "compression": ("None", "Gzip"),
    "wrapper": ("None", "RecordIO"),
    "shuffle": (),
    "attributes": (),
}
"""What can be said of a channel, and the values it takes: the API's own. A seed for ``shuffle``,
names joined by ``+`` for ``attributes``."""

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_REMOTE: Final = ("s3://", "gs://", "az://", "file://")
"""Addresses the server reads by itself."""


_MEMBERS: Final = {
    "mode": "InputMode",
    "compression": "CompressionType",
    "wrapper": "RecordWrapperType",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run, as a person says it: paths on this machine, values as they are."""

    name: str
    script: Path | None = None
    """None: a program of the image runs."""
    source: Path | None = None
    """The folder whose code goes along; None for the script's own."""
    leave_out: tuple[Path, ...] = ()
    """What in that folder does not go along, such as the server's own folder with its keys."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Channel name to a path on this machine, or an ``s3://``, ``gs://``, ``az://`` or ``file://``
    address."""
    channel_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Channel name to what ``CHANNEL_OPTIONS`` names."""
    input_mode: str = "File"
    """``TrainingInputMode``: of channels that name no mode themselves."""
    checkpoints: str = ""
    """``CheckpointConfig.S3Uri``; "" for a job that keeps none."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """Values that JSON can hold; without a script texts go as they are."""
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric name to the regular expression whose first group is its value."""
    tags: Mapping[str, str] = field(default_factory=dict)
    image: str = PYTHON_IMAGE
    instance: str = DEFAULT_INSTANCE
    """An instance type, or several with commas between: what would do, best first."""
    nodes: int = 1
    max_time: timedelta = DEFAULT_MAX_TIME
    entrypoint: tuple[str, ...] = ()
    """``ContainerEntrypoint``, without a script; () keeps the image's own."""
    arguments: tuple[str, ...] = ()
    """``ContainerArguments``, without a script; () leaves it at ``train``."""
    backend: str = ""
    """Where it is to run; "" for the server's default."""
    shm: str = ""
    """Size of /dev/shm, such as ``4g``; "" for the backend's own."""
    standing: Standing = field(default_factory=Standing)
    """How it stands among other jobs, and what becomes of it when nodes are lost."""

    def code(self) -> "Code | None":
        """Return what goes along with a script; None without one.

        Raises:
            ClientError: the script is not there, or not in its folder.
        """
        if self.script is None:
            return None
        if not self.script.is_file():
            raise ClientError(f"no script is at {self.script}", "check the path")
        folder = self.script.parent if self.source is None else self.source
        try:
            program = self.script.resolve().relative_to(folder.resolve()).as_posix()
        except ValueError as error:
            raise ClientError(
                f"{self.script} is not in {folder}", "name the folder above it with --source"
            ) from error
        return Code(folder, program)

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
            ClientError: the name, the script or the instance type will not do.
        """
        base = f"s3://{bucket}/{check_name(self.name)}"
        types = instance_types(self.instance)
        request: dict[str, Any] = {
            "TrainingJobName": self.name,
            "AlgorithmSpecification": self._algorithm(),
            "RoleArn": ROLE,
            "HyperParameters": self._hyperparameters(base, region),
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/"},
            "ResourceConfig": {
                "InstanceType": types[0],
                "InstanceCount": self.nodes,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": int(self.max_time.total_seconds())},
        }
        if self.data:
            request["InputDataConfig"] = [
                _channel(
                    name,
                    place if place.startswith(_REMOTE) else f"{base}/input/{name}/",
                    self.channel_options.get(name, {}),
                )
                for name, place in self.data.items()
            ]
        if self.checkpoints:
            self._check_checkpoints(base)
            request["CheckpointConfig"] = {"S3Uri": self.checkpoints}
        if self.environment:
            request["Environment"] = dict(self.environment)
        self.standing.add_to(request, self.max_time)
        asked = {
            BACKEND_TAG: self.backend,
            SHM_TAG: self.shm,
            INSTANCE_TYPES_TAG: " ".join(types) if len(types) > 1 else "",
            **self.standing.tags(),
        }
        if tags := {**self.tags, **{key: text for key, text in asked.items() if text}}:
            request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        return request

    def _check_checkpoints(self, base: str) -> None:
        """Check that nothing else of the job's own would be restored as a checkpoint.

        Raises:
            ClientError: it would.
        """
        local = any(not place.startswith(_REMOTE) for place in self.data.values())
        own = {
            "code": f"{base}/source" if self.script else "",
            "data": f"{base}/input" if local else "",
            "output": f"{base}/output",
        }
        for what, folder in own.items():
            if folder and is_within(folder, self.checkpoints):
                raise ClientError(
                    f"the checkpoints' address {self.checkpoints} holds the job's own {what} "
                    f"({folder}/), which would be given to the job as a checkpoint",
                    f"name a folder of their own, such as {base}/checkpoints/",
                )

    def _algorithm(self) -> dict[str, Any]:
        found: dict[str, Any] = {"TrainingImage": self.image, "TrainingInputMode": self.input_mode}
        if self.entrypoint:
            found["ContainerEntrypoint"] = list(self.entrypoint)
        if self.arguments:
            found["ContainerArguments"] = list(self.arguments)
        if self.metrics:
            found["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in self.metrics.items()
            ]
        return found

    def _hyperparameters(self, base: str, region: str) -> dict[str, str]:
        code = self.code()
        if code is None:
            return {
                key: value if isinstance(value, str) else json.dumps(value)
                for key, value in self.hyperparameters.items()
            }
        own = {
            "sagemaker_submit_directory": f"{base}/source/sourcedir.tar.gz",
            "sagemaker_program": code.program,
            "sagemaker_container_log_level": 20,
            "sagemaker_job_name": self.name,
            "sagemaker_region": region,
        }
        values = {**self.hyperparameters, **own}
        return {key: json.dumps(value) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Code:
    """What goes along with a script."""

    folder: Path
    program: str
    """The script, relative to the folder."""


def instance_types(text: str) -> tuple[str, ...]:
    """Return the types of a text such as ``g5.xlarge,g4dn.xlarge``, as the API calls them.

    Raises:
        ClientError: there is no such type.
    """
    return tuple(dict.fromkeys(instance_type(each.strip()) for each in text.split(",")))


def instance_type(text: str) -> str:
    """Return an instance type as the API calls it; ``g5.xlarge``, EC2's name, is the same type.

    Raises:
        ClientError: there is no such type; the message names those that are written alike.
    """
    name = text if text.startswith("ml.") else f"ml.{text}"
    if instances.known(name) is not None:
        return name
    alike = difflib.get_close_matches(name, instances.types(), n=3)
    raise ClientError(
        f"no instance type is called {text!r}",
        f"did you mean {' or '.join(alike)}?" if alike else "name one like ml.m5.large",
    )


def image_stem(image: str) -> str:
    """Return an image's own name: of ``host:5000/team/xgb:1.7@sha256:…`` it is ``xgb``."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


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


def _channel(name: str, uri: str, options: Mapping[str, str]) -> dict[str, Any]:
    source: dict[str, Any] = {
        "S3DataType": options.get("type", "S3Prefix"),
        "S3Uri": uri,
        "S3DataDistributionType": options.get("distribution", "FullyReplicated"),
    }
    if "attributes" in options:
        source["AttributeNames"] = options["attributes"].split("+")
    channel: dict[str, Any] = {"ChannelName": name, "DataSource": {"S3DataSource": source}}
    for option, member in _MEMBERS.items():
        if option in options:
            channel[member] = options[option]
    if "shuffle" in options:
        channel["ShuffleConfig"] = {"Seed": int(options["shuffle"])}
    return channel
