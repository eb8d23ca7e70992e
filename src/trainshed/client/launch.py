"""Makes a job of a script on this machine: packs its code, uploads its data, writes the request."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from trainshed.client import objects, upload
from trainshed.client.api import Api
from trainshed.client.errors import ClientError
from trainshed.client.objects import Progress
from trainshed.client.package_code import pack
from trainshed.client.submit import (
    DEFAULT_IMAGE,
    DEFAULT_INSTANCE,
    DEFAULT_MAX_TIME,
    ScriptJob,
    check_name,
)

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
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
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


def bucket_of(api: Api) -> str:
    """Return the name of the bucket that uploads go to."""
    return f"trainshed-{api.account()}-{api.credentials.region}"


def request_of(order: Order, *, bucket: str, region: str) -> dict[str, Any]:
    """Return the CreateTrainingJob request for an order; nothing is sent.

    Raises:
        ClientError: the name or the script will not do.
    """
    base = f"s3://{bucket}/{check_name(order.name)}"
    channels = {
        channel: place if place.startswith(_REMOTE) else f"{base}/input/{channel}/"
        for channel, place in order.data.items()
    }
    return ScriptJob(
        name=order.name,
        program=order.program,
        code_uri=f"{base}/source/sourcedir.tar.gz",
        output_uri=f"s3://{bucket}/",
        region=region,
        channels=channels,
        hyperparameters=order.hyperparameters,
        environment=order.environment,
        metrics=order.metrics,
        tags=order.tags,
        image=order.image,
        instance=order.instance,
        nodes=order.nodes,
        max_time=order.max_time,
    ).request()


def prepare(
    api: Api, order: Order, sources: Mapping[str, upload.Source], progress: Progress
) -> dict[str, Any]:
    """Bring code and data to the server and return the request that is ready to be submitted.

    Args:
        api: the server.
        order: what to run.
        sources: ``order.sources()``.
        progress: told of the data's bytes as they arrive.

    Raises:
        ClientError: code or data cannot be read, or the script is among what is ignored.
    """
    bucket = bucket_of(api)
    request = request_of(order, bucket=bucket, region=api.credentials.region)
    with tempfile.TemporaryDirectory(prefix="trainshed-") as scratch:
        archive = Path(scratch, "sourcedir.tar.gz")
        own = [source.path for source in sources.values()]
        packed = pack(order.folder, archive, leave_out=[*order.leave_out, *own])
        if order.program not in packed.files:
            raise ClientError(
                f"{order.program} is left out of its own archive",
                "look into .gitignore and .trainshedignore",
            )
        objects.ensure_bucket(api, bucket)
        key = f"{order.name}/source/sourcedir.tar.gz"
        objects.put(api, bucket, key, archive.read_bytes())
    for channel, source in sources.items():
        prefix = f"{order.name}/input/{channel}"
        upload.send(api, source, bucket=bucket, prefix=prefix, progress=progress)
    return request
