"""Makes a job of an order: packs its code, uploads its data, sends the request."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from trainshed.client import objects, references, upload
from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ClientError
from trainshed.client.order import Order
from trainshed.client.package_code import pack


def bucket_of(api: Api) -> str:
    """Return the name of the bucket that uploads go to."""
    return f"trainshed-{api.account()}-{api.credentials.region}"


def submit(how: upload.Upload, order: Order, sources: Mapping[str, upload.Source]) -> str:
    """Bring code and data to the server, create the job, and return its ARN.

    Args:
        how: to which server, and who is told of the data's bytes as they arrive.
        order: what to run.
        sources: ``order.sources()``.

    Raises:
        ClientError: the name is taken, code or data cannot be read, or the script is among what is
            ignored.
        ApiError: the server refused the request.
    """
    api = how.api
    bucket = bucket_of(api)
    request = order.request(bucket=bucket, region=api.credentials.region)
    _refuse_taken(api, order.name)
    archive = _packed(order, sources)
    objects.ensure_bucket(api, bucket)
    if archive is not None:
        objects.put(api, bucket, f"{order.name}/source/sourcedir.tar.gz", archive)
    for channel, source in sources.items():
        prefix = f"{order.name}/input/{channel}"
        # A job of this name that was deleted since may have left other files there.
        objects.clear(api, bucket, f"{prefix}/")
        upload.send(how, source, bucket=bucket, prefix=prefix)
    return str(api.call("sagemaker", "CreateTrainingJob", request)["TrainingJobArn"])


def _packed(order: Order, sources: Mapping[str, upload.Source]) -> bytes | None:
    """Return the archive of a script's folder; None without a script."""
    code = order.code()
    if code is None:
        return None
    with tempfile.TemporaryDirectory(prefix="trainshed-") as scratch:
        archive = Path(scratch, "sourcedir.tar.gz")
        own = [source.path for source in sources.values()]
        packed = pack(code.folder, archive, leave_out=[*order.leave_out, *own])
        if code.program not in packed.files:
            raise ClientError(
                f"{code.program} is left out of its own archive",
                "look into .gitignore and .trainshedignore",
            )
        return archive.read_bytes()


def _refuse_taken(api: Api, name: str) -> None:
    """Refuse a name before its owner's code and data are overwritten, not after."""
    try:
        references.describe(api, name)
    except ApiError as error:
        if references.missing(error):
            return
        raise
    raise ClientError(
        f"a job is called {name!r} already", f"choose another with --name, or: trainshed rm {name}"
    )
