"""Brings what a job made to this machine, and unpacks it without trusting it."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from trainshed.client.download import Download, below, bring, bring_all, prefix_of, unwritable
from trainshed.client.errors import ApiError, ClientError, NoModel
from trainshed.client.follow import ENDED
from trainshed.client.stores import Stores
from trainshed.contract import archives


def model_uri(job: Mapping[str, Any]) -> str:
    """Return where the job's model is, or will be; "" where a foreign service does not say."""
    return str(job.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""))


def output_uri(job: Mapping[str, Any]) -> str:
    """Return where the job's other output is, or will be."""
    root = str(job["OutputDataConfig"]["S3OutputPath"]).rstrip("/")
    base = f"{root}/{job['TrainingJobName']}/output/"
    if job["OutputDataConfig"].get("CompressionType", "GZIP") == "NONE":
        return base + "data/"
    return base + "output.tar.gz"


def checkpoints_uri(job: Mapping[str, Any]) -> str:
    """Return the folder of the job's checkpoints; "" when it has none."""
    uri = str(job.get("CheckpointConfig", {}).get("S3Uri", ""))
    return uri.rstrip("/") + "/" if uri else ""


def fetch_model(how: Download, job: Mapping[str, Any], into: Path) -> list[Path]:
    """Bring a job's model, unpacked, into a folder; return its files.

    Raises:
        ClientError: as for ``fetch``; where there is no model, the message says why.
    """
    uri = model_uri(job)
    if not uri:
        raise no_model(job)
    try:
        return fetch(how, uri, into)
    except ApiError as error:
        if error.status != 404:
            raise
        raise no_model(job) from error


def fetch(how: Download, uri: str, into: Path) -> list[Path]:
    """Bring an archive, unpacked, or everything below a prefix into a folder; return the files.

    Whoever is killed meanwhile goes on from there the next time.

    Args:
        how: from which server, and who is told of bytes as they arrive.
        uri: ends with ``/`` for a prefix.
        into: made when missing; what it holds already stays, files of the same name are replaced.

    Raises:
        ApiError: 404 when there is nothing at ``uri``.
        ClientError: the archive holds what may not be unpacked, or there is no room for it.
    """
    if uri.endswith("/"):
        bring_all(how, uri, into)
        prefix = prefix_of(uri)
        found = (below(into, entry.key, prefix) for entry in Stores(how.api).entries(uri))
        return [path for path in found if path is not None and path.is_file()]
    archive = into / f".{PurePosixPath(uri).name}"
    bring(how, uri, archive)
    try:
        return unpack(archive, into)
    finally:
        archive.unlink(missing_ok=True)


def unpack(archive: Path, into: Path) -> list[Path]:
    """Unpack a tar and return its files, sorted.

    Raises:
        NoModel: it is broken, or holds a device, a pipe, or what would leave the folder.
        ClientError: its files cannot be written.
    """
    try:
        return archives.unpack(archive, into)
    except archives.RefusedArchive as refused:
        raise NoModel(
            f"the archive holds what may not be unpacked: {refused}", "look at how it was made"
        ) from refused
    except archives.BrokenArchive as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
            raise unwritable(into / archive.name, error.__cause__) from error
        raise NoModel(f"the archive cannot be unpacked: {error}", "run the job again") from error


def no_model(job: Mapping[str, Any]) -> ClientError:
    """Return why a job has no model, and what to do about it."""
    name, status = job["TrainingJobName"], job["TrainingJobStatus"]
    if status not in ENDED:
        phase = job.get("SecondaryStatus", status)
        return ClientError(
            f"{name} has no model yet: it is {status} ({phase})", f"trainshed wait {name}"
        )
    if status == "Failed":
        reason = str(job.get("FailureReason", "")).strip() or "no reason was given"
        return NoModel(
            f"{name} has no model, because it failed: {reason}", f"trainshed logs {name}"
        )
    return NoModel(
        f"{name} is {status} and has no model: nothing is at {model_uri(job) or 'its address'}",
        "the job saves what it writes to the folder in SM_MODEL_DIR",
    )
