"""Which objects a channel has, and where each one lies below its folder. No I/O but listing.

A prefix is plain text: ``s3://b/train`` names ``train/x``, ``train2/x`` and ``train.csv``. Source:
Amazon SageMaker developer guide, API reference of S3DataSource; where both are silent, what the
SageMaker Python SDK relies on.
"""

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from trainshed.agent.channels.order import Order
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects

_PREFIX: Final = "ClientError: Data download failed:"


class BadInput(Exception):
    """A channel that can't be brought in; the text is the FailureReason."""


class Item(NamedTuple):
    """One object of a channel."""

    address: Address
    path: str
    """Where it goes below the channel's folder; ``x/`` is a folder without content."""
    size: int = -1
    """Bytes; -1 when nobody has asked the store yet: a manifest tells nothing but names."""
    etag: str = ""
    """What changes whenever the bytes do; "" when nobody has asked the store yet."""
    modified: float = 0.0
    """Seconds since the epoch; 0 when nobody knows."""

    @property
    def entry(self) -> Entry | None:
        """What a list told of the object; None when there was no list."""
        if self.size < 0:
            return None
        return Entry(self.address.key, self.size, self.etag, self.modified)


def items(source: Mapping[str, Any], objects: RemoteObjects, order: Order) -> Iterator[Item]:
    """Yield what goes to one node: in key order, or as a manifest has it; folders go to all.

    Lazy: whatever the number of objects, a page of them lies in memory.

    Args:
        source: as ``source_of`` returns it.
        objects: where they are.
        order: says which part of it is the node's; nothing is shuffled.

    Raises:
        BadInput: there is nothing, or what is there can't lie in a folder.
        StoreError: the store refused, or stayed away.
    """
    files = 0
    for item in _all(source, objects):
        if item.path.endswith("/"):
            yield item
            continue
        if files % order.share == order.rank:
            yield item
        files += 1
    if not files:
        raise BadInput(f"{_PREFIX}S3 key: {source['S3Uri']} matched no files on s3")


def local_path(prefix: str, key: str) -> str:
    """Return where ``key`` lies below the folder of a channel with the S3 prefix ``prefix``.

    A prefix that is a folder, with or without its slash, is cut off with the slash; of any other
    only the folder it stands in. "" is the channel's folder itself.
    """
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def gone(address: Address, source: Mapping[str, Any]) -> BadInput:
    """Return the reason for an object of the channel that is not there when it is read."""
    if source.get("S3DataType") == "ManifestFile":
        text = f"the manifest {source['S3Uri']} names {address}, which does not exist"
    else:
        text = f"S3 key: {address} does not exist any more: it was deleted after it was listed"
    return BadInput(f"{_PREFIX}{text}")


def source_of(channel: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a channel's ``S3DataSource``.

    Raises:
        BadInput: the channel's name or its source is not one that can be brought in.
    """
    name, source = channel["ChannelName"], channel.get("DataSource") or {}
    if name in {".", ".."}:
        raise BadInput(f'ClientError: "{name}" cannot be the name of a channel')
    if "S3DataSource" not in source:
        found = ", ".join(sorted(source)) or "nothing"
        raise BadInput(
            f'ClientError: channel "{name}" has the data source {found}; only S3DataSource is '
            "offered here"
        )
    kind = source["S3DataSource"].get("S3DataType")
    if kind not in {"S3Prefix", "ManifestFile", "AugmentedManifestFile"}:
        raise BadInput(
            f'ClientError: channel "{name}" has the S3DataType {kind}; use S3Prefix or ManifestFile'
        )
    found_source: Mapping[str, Any] = source["S3DataSource"]
    return found_source


def _all(source: Mapping[str, Any], objects: RemoteObjects) -> Iterator[Item]:
    try:
        address = parse(source["S3Uri"])
    except ValueError as error:
        raise BadInput(f"{_PREFIX}{error}") from error
    try:
        if source["S3DataType"] == "ManifestFile":
            for named, name in names_in(address, objects):
                yield _named(address, named, name, objects)
        else:
            yield from _of_prefix(address, objects)
    except ObjectMissing as missing:
        raise BadInput(f"{_PREFIX}{missing}") from missing


def _of_prefix(prefix: Address, objects: RemoteObjects) -> Iterator[Item]:
    if prefix.scheme == "file" and prefix.key.endswith("/"):
        prefix = prefix.at(prefix.key.rstrip("/") + "/")
    for found in objects.list(prefix):
        address = prefix.at(found.key)
        path = _safe(address, local_path(prefix.key, found.key))
        if found.key.endswith("/") and found.size:
            raise _folder_with_content(address)
        if path:
            yield Item(address, path, found.size, found.etag, found.modified)


def names_in(manifest: Address, objects: RemoteObjects) -> Iterator[tuple[Address, str]]:
    """Yield what a manifest names: the object's address, and the name as it stands there.

    Raises:
        BadInput: it is no manifest.
        StoreError: as ``RemoteObjects.stream`` does.
    """
    # 18 ms of a JSON parser, which a job without a manifest never pays.
    manifests = importlib.import_module("trainshed.agent.channels.manifests")
    with contextlib.closing(objects.stream(manifest)) as pieces:
        names = manifests.read(pieces)
        try:
            prefix = _prefix_of(manifest, next(names))
            for name in names:
                yield prefix.at(prefix.key + name), name
        except manifests.BadManifest as error:
            raise BadInput(f"{_PREFIX}the manifest {manifest} {error}") from error


def _prefix_of(manifest: Address, text: str) -> Address:
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{_PREFIX}the manifest {manifest} has no usable prefix: {error}") from error


def _named(manifest: Address, address: Address, name: str, objects: RemoteObjects) -> Item:
    """Return what a manifest's name stands for; with a slash at its end, a folder's marker."""
    try:
        path = _safe(address, name)
        if not name.endswith("/"):
            return Item(address, path)
        size = objects.stat(address).size
    except ObjectMissing as error:
        raise gone(address, {"S3DataType": "ManifestFile", "S3Uri": str(manifest)}) from error
    except BadInput as bad:
        raise BadInput(f"{bad} (the manifest {manifest} names it)") from bad
    if size:
        raise _folder_with_content(address)
    return Item(address, path, 0)


def _folder_with_content(address: Address) -> BadInput:
    return BadInput(f"{_PREFIX}S3 key: {address} has content, but the name of a folder")


def _safe(address: Address, path: str) -> str:
    """Return ``path`` if it stays in the channel's folder; the key is what people can correct."""
    if address.scheme == "s3" and ("//" in address.key or address.key.startswith("/")):
        raise BadInput(
            f"{_PREFIX}Failed to download data. S3 key: {address} has an illegal char sub-sequence "
            "'//' in it"
        )
    strange = "\0" in path or {".", ".."} & set(path.split("/"))
    if path.startswith("/") or (strange and _climbs(path)):
        raise BadInput(
            f"{_PREFIX}S3 key: {address} would lie outside the folder of its channel as {path!r}"
        )
    if strange:
        what = "a NUL character" if "\0" in path else "'.' or '..' between slashes"
        raise BadInput(
            f"{_PREFIX}S3 key: {address} has {what} in it, which no file in the folder of its "
            f"channel can be named by: {path!r}; rename the object"
        )
    return path


def _climbs(path: str) -> bool:
    """Tell whether a relative path leads out of the folder that it begins in."""
    depth = 0
    for part in path.split("/"):
        depth += {"..": -1, ".": 0}.get(part, 1)
        if depth < 0:
            return True
    return False
