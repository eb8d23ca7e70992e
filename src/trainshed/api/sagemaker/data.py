"""Whether the data a job asks for is there, asked before the job is taken on.

A job that would wait in line only to find its bucket missing is refused at once.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from trainshed.api.sagemaker.rejections import invalid
from trainshed.domain.errors import ObjectMissing, RequestRejected, StoreError
from trainshed.stores.objects.addresses import Address, parse

_AT_ONCE: Final = 6
"""Places of one request that are asked at the same time: others are asked meanwhile, too."""


class Objects(Protocol):
    """The slice of an object store that is asked."""

    async def bucket(self, name: str) -> object:
        """Return a bucket; raise ``ObjectMissing`` when there is none of that name."""
        ...

    async def exists_prefix(self, bucket: str, prefix: str) -> bool:
        """Tell whether any key begins with ``prefix``; False also when there is no such bucket."""
        ...


class Stores(Protocol):
    """Object stores beside the server's own."""

    def has(self, address: Address) -> bool:
        """Tell whether an address lies in one of them."""
        ...

    async def holds(self, address: Address) -> bool | None:
        """Tell whether any key begins so; None when the store can't be asked now.

        Raises:
            StoreError: it refuses to tell.
        """
        ...


class Data:
    """The places a job may read from and write to."""

    def __init__(
        self,
        objects: Objects,
        file_roots: Sequence[str] = (),
        elsewhere: Stores | None = None,
        file_systems: Collection[str] = (),
    ) -> None:
        """Look for ``s3://`` in ``objects``, unless it lies in one of the stores ``elsewhere``.

        ``file://`` is allowed below ``file_roots`` only. ``file_systems`` are the ids for which
        something stands here.
        """
        self._objects = objects
        self._file_systems = file_systems
        self._elsewhere = elsewhere
        self._file_roots = tuple(Path(root).resolve() for root in file_roots)

    async def check(self, request: Mapping[str, Any], region: str) -> None:
        """Check that each input has something in it, and that outputs have somewhere to go.

        Several are asked at once: each may be a store that takes its time to be found away.

        Raises:
            RequestRejected: one has not, or is an address this server does not reach; of several,
                the first in the order of the request.
        """
        channels = request.get("InputDataConfig") or ()
        checks = (
            *(self._check_input(each, region, request["RoleArn"]) for each in channels),
            *(self._check_output(where, text) for where, text in _written(request)),
        )
        room = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(*(_refused(check, room) for check in checks))
        for refusal in found:
            if refusal is not None:
                raise refusal

    async def _check_input(self, channel: Mapping[str, Any], region: str, role: str) -> None:
        where = f"InputDataConfig channel '{channel['ChannelName']}'"
        if (system := channel["DataSource"].get("FileSystemDataSource")) is not None:
            self._check_file_system(where, system["FileSystemId"])
            return
        text = channel["DataSource"]["S3DataSource"]["S3Uri"]
        address = self._address(where, text)
        if not await self._holds_something(text, address):
            raise _nothing_there(address, region, role)

    async def _check_output(self, where: str, text: str) -> None:
        address = self._address(where, text)
        if address.scheme != "file" and not await self._has_bucket(text, address):
            raise invalid(
                f'{where}: the bucket "{address.bucket}" of "{text}" does not exist; '
                "create it first, or name another."
            )

    def _check_file_system(self, where: str, name: str) -> None:
        if name not in self._file_systems:
            known = ", ".join(sorted(self._file_systems)) or "none"
            raise invalid(
                f"{where}: this server does not know the file system {name} (known: {known}); "
                "say what stands for it in the server's setting file_systems."
            )

    def _address(self, where: str, text: str) -> Address:
        """Return the address that ``text`` writes, if jobs may use it."""
        try:
            address = parse(text)
        except ValueError as error:
            raise invalid(f"{where}: {error}.") from error
        if address.scheme == "file":
            path = Path(address.key).resolve()
            if not any(path.is_relative_to(root) for root in self._file_roots):
                allowed = ", ".join(map(str, self._file_roots)) or "none"
                raise invalid(
                    f'{where}: "{text}" is outside the folders that jobs may use ({allowed}); '
                    "use s3://, or allow its folder in the server's file_roots."
                )
        elif address.scheme != "s3" and not self._is_elsewhere(address):
            raise invalid(
                f'{where}: "{text}" lies in no store of this server; name one with a prefix that '
                "fits in [[stores]] of its settings."
            )
        return address

    def _is_elsewhere(self, address: Address) -> bool:
        return self._elsewhere is not None and self._elsewhere.has(address)

    async def _holds_something(self, text: str, address: Address) -> bool:
        if address.scheme == "file":
            return _begins_a_path(Path(address.key))
        if self._elsewhere is not None and self._elsewhere.has(address):
            # A store that is away is no empty one: the job's nodes wait for it.
            try:
                return await self._asked(text, self._elsewhere.holds(address)) is not False
            except ObjectMissing:
                return False
        return await self._objects.exists_prefix(address.bucket, address.key)

    async def _has_bucket(self, text: str, address: Address) -> bool:
        try:
            if self._elsewhere is not None and self._elsewhere.has(address):
                await self._asked(text, self._elsewhere.holds(address.at("")))
            else:
                await self._objects.bucket(address.bucket)
        except ObjectMissing:
            return False
        return True

    async def _asked(self, text: str, question: Awaitable[bool | None]) -> bool | None:
        try:
            return await question
        except ObjectMissing:
            raise
        except StoreError as error:
            why = str(error).removesuffix(".")
            raise invalid(f'"{text}": its store refuses this server: {why}.') from error


async def _refused(check: Awaitable[None], room: asyncio.Semaphore) -> RequestRejected | None:
    """Return why a check refuses; None when it does not."""
    async with room:
        try:
            await check
        except RequestRejected as refusal:
            return refusal
    return None


def _written(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the addresses that a job's own results go to."""
    yield "OutputDataConfig.S3OutputPath", request["OutputDataConfig"]["S3OutputPath"]
    if checkpoints := request.get("CheckpointConfig"):
        yield "CheckpointConfig.S3Uri", checkpoints["S3Uri"]


def _begins_a_path(path: Path) -> bool:
    """Tell whether a file's or folder's path begins with ``path``, as a key does with a prefix."""
    if path.exists():
        return True
    folder = path.parent
    return folder.is_dir() and any(entry.name.startswith(path.name) for entry in folder.iterdir())


def _nothing_there(address: Address, region: str, role: str) -> RequestRejected:
    if address.scheme == "file":
        return invalid(f'Nothing found under "{address}" given in input data source.')
    return invalid(
        f'No S3 objects found under S3 URL "{address}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({region}), that objects "
        f'exist under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions '
        f'on bucket "{address.bucket}".'
    )
