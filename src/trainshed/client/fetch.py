"""Brings what a job made to this machine, and unpacks it without trusting it."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from trainshed.client import objects
from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ClientError
from trainshed.client.objects import Progress
from trainshed.contract import archives


def model_uri(job: Mapping[str, Any]) -> str:
    """Return where the job's model is, or will be."""
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def output_uri(job: Mapping[str, Any]) -> str:
    """Return where the job's other output is, or will be."""
    root = str(job["OutputDataConfig"]["S3OutputPath"]).rstrip("/")
    base = f"{root}/{job['TrainingJobName']}/output/"
    if job["OutputDataConfig"].get("CompressionType", "GZIP") == "NONE":
        return base + "data/"
    return base + "output.tar.gz"


def fetch(api: Api, uri: str, into: Path, progress: Progress) -> list[Path]:
    """Bring an archive, unpacked, or everything below a prefix into a folder; return the files.

    Args:
        api: the server.
        uri: ends with ``/`` for a prefix.
        into: made when missing; what it holds already stays, files of the same name are replaced.
        progress: told of bytes as they arrive.

    Raises:
        ClientError: there is nothing at ``uri``, or the archive holds what may not be unpacked.
    """
    into.mkdir(parents=True, exist_ok=True)
    if uri.endswith("/"):
        return _fetch_prefix(api, uri, into, progress)
    archive = into / f".{PurePosixPath(uri).name}"
    try:
        objects.download(api, uri, archive, progress)
        return unpack(archive, into)
    except ApiError as error:
        if error.status != 404:
            raise
        raise _nothing(uri) from error
    finally:
        archive.unlink(missing_ok=True)


def unpack(archive: Path, into: Path) -> list[Path]:
    """Unpack a tar and return its files, sorted.

    Raises:
        ClientError: it is broken, or holds a device, a pipe, or what would leave the folder.
    """
    try:
        return archives.unpack(archive, into)
    except archives.RefusedArchive as refused:
        raise ClientError(f"the archive holds what may not be unpacked: {refused}") from refused
    except archives.BrokenArchive as error:
        raise ClientError(f"the archive cannot be unpacked: {error}") from error


def _fetch_prefix(api: Api, uri: str, into: Path, progress: Progress) -> list[Path]:
    bucket, prefix = objects.split_uri(uri)
    found = []
    for key, _ in objects.listing(api, bucket, prefix):
        name = PurePosixPath(key.removeprefix(prefix))
        if not name.parts or key.endswith("/"):
            continue
        if name.is_absolute() or ".." in name.parts:
            raise ClientError(f"s3://{bucket}/{key} would be written outside {into}")
        objects.download(api, f"s3://{bucket}/{key}", into / name, progress)
        found.append(into / name)
    if not found:
        raise _nothing(uri)
    return sorted(found)


def _nothing(uri: str) -> ClientError:
    return ClientError(
        f"nothing is at {uri}", "the job saves what it writes to the folder in SM_MODEL_DIR"
    )
