"""Whether the data a job asks for is there, asked before the job is taken on.

A job that would wait in the queue only to find its bucket missing is refused at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trainshed.api.sagemaker.rejections import invalid
from trainshed.domain.errors import RequestRejected


class Objects(Protocol):
    """The slice of an object store that is asked."""

    async def bucket_exists(self, bucket: str) -> bool:
        """Tell whether there is such a bucket."""
        ...

    async def exists_prefix(self, bucket: str, prefix: str) -> bool:
        """Tell whether the bucket holds an object whose key begins with ``prefix``."""
        ...


class Data:
    """The places a job may read from and write to."""

    def __init__(self, objects: Objects, file_roots: Sequence[Path] = ()) -> None:
        """Look for ``s3://`` in ``objects``; allow ``file://`` below ``file_roots`` only."""
        self._objects = objects
        self._file_roots = tuple(root.resolve() for root in file_roots)

    async def check(self, request: Mapping[str, Any], region: str) -> None:
        """Check that each input has something in it, and that outputs have somewhere to go.

        Raises:
            RequestRejected: one has not, or is an address this server does not reach.
        """
        for channel in request.get("InputDataConfig") or ():
            address = channel["DataSource"]["S3DataSource"]["S3Uri"]
            where = f"InputDataConfig channel '{channel['ChannelName']}'"
            if file := self._file(where, address):
                _check_file_exists(where, address, file)
                continue
            bucket, key = _s3(where, address)
            if not (
                await self._objects.bucket_exists(bucket)
                and await self._objects.exists_prefix(bucket, key)
            ):
                raise _nothing_there(address, bucket, region, request["RoleArn"])
        for where, address in _written(request):
            if self._file(where, address) is None:
                bucket, _ = _s3(where, address)
                if not await self._objects.bucket_exists(bucket):
                    raise invalid(
                        f'{where}: the bucket "{bucket}" of "{address}" does not exist; '
                        "create it first, or name another."
                    )

    def _file(self, where: str, address: str) -> Path | None:
        """Return the path of a ``file://`` address, None for another kind of address."""
        if not address.startswith("file://"):
            return None
        path = Path(address.removeprefix("file://"))
        if not path.is_absolute():
            raise invalid(f'{where}: "{address}" needs an absolute path: file:///folder/file.')
        resolved = path.resolve()
        if not any(resolved.is_relative_to(root) for root in self._file_roots):
            allowed = ", ".join(str(root) for root in self._file_roots) or "none"
            raise invalid(
                f'{where}: "{address}" is not below a folder from which this server allows '
                f"file:// addresses; allowed: {allowed}."
            )
        return resolved


def _written(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the addresses that a job's own results go to."""
    yield "OutputDataConfig.S3OutputPath", request["OutputDataConfig"]["S3OutputPath"]
    if checkpoints := request.get("CheckpointConfig"):
        yield "CheckpointConfig.S3Uri", checkpoints["S3Uri"]


def _s3(where: str, address: str) -> tuple[str, str]:
    if not address.startswith("s3://"):
        raise invalid(
            f'{where}: "{address}" is no address this server reads or writes; '
            "write it as s3://bucket/prefix."
        )
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def _check_file_exists(where: str, address: str, path: Path) -> None:
    if not path.exists():
        raise invalid(f'{where}: "{address}" does not exist on the machine of this server.')


def _nothing_there(address: str, bucket: str, region: str, role: str) -> RequestRejected:
    return invalid(
        f'No S3 objects found under S3 URL "{address}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({region}), that objects "
        f'exist under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions '
        f'on bucket "{bucket}".'
    )
