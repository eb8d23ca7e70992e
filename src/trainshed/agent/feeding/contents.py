"""What a Pipe channel has: listed once, kept on disk, and read again in every epoch's order."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from trainshed.agent.channels.items import BadInput, names_in
from trainshed.agent.feeding import augmented
from trainshed.agent.feeding.lines import lines
from trainshed.agent.feeding.parts import Part
from trainshed.agent.feeding.spool import Spool
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.store import RemoteObjects

PREFIX: Final = "ClientError: Data download failed:"


class Contents(Protocol):
    """A channel's entries by number, from 0."""

    def __len__(self) -> int: ...

    def parts(self, number: int) -> Sequence[Part]:
        """Return what is streamed for an entry."""
        ...

    def close(self) -> None:
        """Let go of the list."""
        ...


def contents(source: Mapping[str, Any], objects: RemoteObjects, path: Path) -> Contents:
    """Return what a channel has, listed into a file at ``path``.

    Raises:
        BadInput: there is nothing, or it can't be read; the text is the FailureReason.
        StoreError: the store refused, or stayed away.
        OSError: the disk has no room for the list.
    """
    try:
        address = parse(source["S3Uri"])
    except ValueError as error:
        raise BadInput(f"{PREFIX}{error}") from error
    try:
        make = _LISTS[source["S3DataType"]]
        found = make(address, source, objects, Spool(path))
    except ObjectMissing as missing:
        raise BadInput(f"{PREFIX}{missing}") from missing
    if not len(found):
        found.close()
        raise BadInput(f"{PREFIX}S3 key: {source['S3Uri']} matched no files on s3")
    return found


class _Prefixed:
    """Objects found by their keys."""

    def __init__(
        self, prefix: Address, _: Mapping[str, Any], objects: RemoteObjects, spool: Spool
    ) -> None:
        self._prefix = prefix
        self._spool = spool
        for key, size, etag, *_rest in objects.list(prefix):
            if size or not key.endswith("/"):  # a folder's marker has nothing to stream
                spool.add(json.dumps([key, size, etag]).encode())
        spool.settle()

    def __len__(self) -> int:
        return len(self._spool)

    def parts(self, number: int) -> Sequence[Part]:
        key, size, etag = json.loads(self._spool[number])
        return [Part(address=self._prefix.at(key), size=size, etag=etag)]

    def close(self) -> None:
        self._spool.close()


class _Manifested:
    """Objects named by a manifest: ``[{"prefix": "s3://bucket/folder/"}, "name", …]``."""

    def __init__(self, manifest: Address, _: object, objects: RemoteObjects, spool: Spool) -> None:
        self._manifest = manifest
        self._spool = spool
        self._base = manifest
        for address, _name in names_in(manifest, objects):
            self._base = address  # its bucket is that of all
            spool.add(address.key.encode())
        spool.settle()

    def __len__(self) -> int:
        return len(self._spool)

    def parts(self, number: int) -> Sequence[Part]:
        return [
            Part(
                address=self._base.at(self._spool[number].decode()),
                named_in=f"entry {number + 1} of the manifest {self._manifest}",
            )
        ]

    def close(self) -> None:
        self._spool.close()


class _Augmented:
    """Lines of an augmented manifest."""

    def __init__(
        self, manifest: Address, source: Mapping[str, Any], objects: RemoteObjects, spool: Spool
    ) -> None:
        self._manifest = manifest
        self._spool = spool
        self._names = tuple(source.get("AttributeNames") or ())
        for number, line in enumerate(lines(objects.stream(manifest), str(manifest)), 1):
            augmented.parts(line, self._names, self._where(number))
            spool.add(line)
        spool.settle()

    def __len__(self) -> int:
        return len(self._spool)

    def parts(self, number: int) -> Sequence[Part]:
        return augmented.parts(self._spool[number], self._names, self._where(number + 1))

    def close(self) -> None:
        self._spool.close()

    def _where(self, number: int) -> str:
        return f"line {number} of {self._manifest}"


_Make = Callable[[Address, Mapping[str, Any], RemoteObjects, Spool], Contents]
_LISTS: Final[Mapping[str, _Make]] = {
    "S3Prefix": _Prefixed,
    "ManifestFile": _Manifested,
    "AugmentedManifestFile": _Augmented,
}
