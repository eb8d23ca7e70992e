"""Brings objects to this machine: several at once, each checked, resumable.

An object comes into a file beside its target and takes its name when it is whole and its checksum
holds. Of a large object that file also tells which version it is of and what of it is there, so who
is killed goes on from there.
"""

import errno
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from trainshed.client import objects
from trainshed.client.api import Api
from trainshed.client.checksums import etag_of
from trainshed.client.errors import ClientError
from trainshed.client.objects import Progress
from trainshed.client.parallel import Task, run_all
from trainshed.client.stores import Stores
from trainshed.stores.objects.remote.checksums import is_md5, of_file
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.partial import partial
from trainshed.stores.objects.remote.places import Found

_BLOCK: Final = 512
"""Bytes of the blocks that a file's ``st_blocks`` counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How objects are brought."""

    api: Api
    progress: Progress
    """Told of bytes as they arrive, or are found to be here."""
    at_once: int = 8
    """Objects; a large one comes by several streams."""
    patience_s: float = 6.0
    """How long a store that is away is waited for: in 6 seconds a server starts again."""


@dataclass(slots=True)
class Brought:
    """What came of a download."""

    files: int = 0
    """Those that were brought."""
    bytes: int = 0
    """Of those."""
    same: int = 0
    """Files that were here already, with the content that they should have."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, size: int, *, same: bool) -> None:
        """Take note of one file; from any thread."""
        with self._lock:
            self.same += same
            self.files += not same
            self.bytes += 0 if same else size


def bring(how: Download, uri: str, target: Path) -> Brought:
    """Bring one object to ``target``, unless what is there is the object.

    Raises:
        ApiError: 404 when there is no such object.
        ClientError: it cannot be written, or arrived damaged.
        ServerUnreachable: as it says. What came stays for the next time.
    """
    brought, stores = Brought(), Stores(how.api, patience_s=how.patience_s)
    found = stores.told(uri)
    one = _One(how, stores, uri, found.entry(""), target, brought, found)
    run_all(stores.cut, [one.bring], at_once=1)
    return brought


def bring_all(how: Download, uri: str, into: Path) -> Brought:
    """Bring every object below a prefix, which ends with ``/``, into a folder.

    Nothing else in the folder is touched. The list of objects is never held whole.

    Raises:
        ClientError: there is nothing, a key would be written outside the folder, or cannot be
            written at all.
        ApiError, ServerUnreachable: as they say. What came stays for the next time.
    """
    brought, stores = Brought(), Stores(how.api, patience_s=how.patience_s)
    run_all(stores.cut, _tasks(how, stores, uri, into, brought), at_once=how.at_once)
    return brought


def prefix_of(uri: str) -> str:
    """Return what the keys of all objects below an address begin with."""
    return uri.partition("://")[2].partition("/")[2]


def below(into: Path, key: str, prefix: str) -> Path | None:
    """Return where a key goes in a folder; None for the marker of an empty folder.

    Raises:
        ClientError: it would be outside, or is no path.
    """
    name = key.removeprefix(prefix)
    if not name:
        return None
    parts = name.removesuffix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in name:
        raise ClientError(
            f"the key {key!r} would be written outside {into}, or is no path",
            "bring it alone: trainshed data get s3://BUCKET/KEY FILE",
        )
    return into / PurePosixPath(*parts)


def _tasks(how: Download, stores: Stores, uri: str, into: Path, brought: Brought) -> Iterator[Task]:
    prefix = prefix_of(uri)
    bucket = uri.removesuffix(prefix).rstrip("/")
    real, safe = into.resolve(), Path()
    empty = True
    for entry in stores.entries(uri):
        empty = False
        target = below(into, entry.key, prefix)
        if target is None:
            continue
        folder = target if entry.key.endswith("/") else target.parent
        if folder != safe:
            _make_folder(folder, real, entry.key)
            safe = folder
        if not entry.key.endswith("/"):
            yield _One(how, stores, f"{bucket}/{entry.key}", entry, target, brought).bring
    if empty:
        raise objects.missing(uri)


def _make_folder(folder: Path, root: Path, key: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ClientError(
            f"the key {key!r} needs the folder {folder}, where a file is",
            "an object and a folder of one name cannot both be files: bring one of them alone",
        ) from error
    except OSError as error:
        raise unwritable(folder, error) from error
    if not folder.resolve().is_relative_to(root):
        raise ClientError(
            f"the key {key!r} would be written outside {root}, through a link", "remove the link"
        )


@dataclass(slots=True)
class _One:
    """One object on its way."""

    how: Download
    stores: Stores
    uri: str
    entry: Entry
    target: Path
    brought: Brought
    found: Found | None = None
    """More of it; None until it is needed."""

    def bring(self) -> None:
        """Bring it, unless it is here."""
        size = self.entry.size
        if self.target.is_dir():
            raise ClientError(
                f"{self.target} is a folder, and {self.uri} a file", "name another place"
            )
        try:
            if self._is_here():
                self.how.progress(size)
                self.brought.count(size, same=True)
                return
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._check_room()
            found = self.stores.bring(self.uri, self.target, size, self.how.progress)
        except OSError as error:
            raise unwritable(self.target, error) from error
        self.brought.count(found.size, same=False)

    def _is_here(self) -> bool:
        size, etag = self.entry.size, self.entry.etag
        if not self.target.is_file() or self.target.stat().st_size != size:
            return False
        if "-" in etag or is_md5(etag):
            if etag_of(self.target, size, etag) == etag:
                return True
            if is_md5(etag) and self.found is None:
                return False  # an encrypted object's ETag looks so too: it is fetched once more
        found = self.found or self.stores.told(self.uri)
        digest = found.algorithm and of_file(found.algorithm, self.target, size)
        return bool(digest) and (found.size, found.digest) == (size, digest)

    def _check_room(self) -> None:
        part = partial(self.target)
        here = part.stat().st_blocks * _BLOCK if part.exists() else 0
        free = shutil.disk_usage(part.parent).free
        if free < self.entry.size - here:
            raise full(part.parent, self.entry.size - here, free)


def full(folder: Path, need: int, free: int) -> ClientError:
    """Return what to say where a disk has too little room."""
    return ClientError(
        f"{folder} has room for {free} bytes, and {need} are to come",
        "free space, or name another place; what came already is not fetched again",
    )


def unwritable(path: Path, error: OSError) -> ClientError:
    """Return what to say of a file that cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ClientError(
            f"the disk of {path.parent} is full",
            "free space, or name another place; what came already is not fetched again",
        )
    if isinstance(error, IsADirectoryError):
        return ClientError(
            f"{path} is a folder, and an object of that name a file", "bring one of them alone"
        )
    return ClientError(f"{path} cannot be written: {error.strerror}", "name another place")
