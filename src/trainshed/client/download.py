"""Brings objects to this machine: several at once, large ones in ranges, each checked, resumable.

An object comes into a file beside its target, ``.trainshed-<hash>.part``, and takes its name when
it is whole and its checksum holds. Of a large object a second file, ``….have``, tells which version
it is of and how much of each range is there, so who is killed goes on from there.
"""

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import TypeVar

from trainshed.client import objects
from trainshed.client.api import Api
from trainshed.client.checksums import CHUNK, PART, Check, check_of, etag_of
from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.client.objects import Entry, Progress
from trainshed.client.parallel import Sleep, Task, again_and_again, run_all
from trainshed.stores.objects.remote.checksums import is_md5

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How objects are brought."""

    api: Api
    """An error breaks off what is under way there in other threads too."""
    progress: Progress
    """Told of bytes as they arrive, or are found to be here."""
    sleep: Sleep
    """Waits for a number of seconds, between two tries."""
    at_once: int = 8
    range: int = PART
    """Larger objects come in ranges of so many bytes."""


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
    bucket, key = objects.split_uri(uri)
    entry, headers = again_and_again(how.api, lambda: objects.head(how.api, bucket, key), how.sleep)
    brought = Brought()
    one = _One(how, bucket, entry, target, brought, headers)
    run_all(how.api, [one.look], at_once=how.at_once)
    return brought


def bring_all(how: Download, uri: str, into: Path) -> Brought:
    """Bring every object below a prefix, which ends with ``/``, into a folder.

    Nothing else in the folder is touched. The list of objects is never held whole.

    Raises:
        ClientError: there is nothing, a key would be written outside the folder, or cannot be
            written at all.
        ApiError, ServerUnreachable: as they say. What came stays for the next time.
    """
    bucket, prefix = objects.split_uri(uri)
    brought = Brought()
    run_all(how.api, _tasks(how, (bucket, prefix), into, brought), at_once=how.at_once)
    return brought


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


def part_of(target: Path) -> Path:
    """Return the file that an object comes into before it is ``target``."""
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:24]
    return target.with_name(f".trainshed-{name}.part")


def _tasks(how: Download, place: tuple[str, str], into: Path, brought: Brought) -> Iterator[Task]:
    bucket, prefix = place
    real, safe = into.resolve(), Path()
    empty = True
    for entry in objects.entries(how.api, bucket, prefix):
        empty = False
        target = below(into, entry.key, prefix)
        if target is None:
            continue
        folder = target if entry.key.endswith("/") else target.parent
        if folder != safe:
            _make_folder(folder, real, entry.key)
            safe = folder
        if not entry.key.endswith("/"):
            yield _One(how, bucket, entry, target, brought).look
    if empty:
        raise objects.missing(f"s3://{bucket}/{prefix}")


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
    bucket: str
    entry: Entry
    target: Path
    brought: Brought
    headers: Mapping[str, str] | None = None
    """Of the whole object; None until they are needed."""

    def look(self) -> Iterable[Task] | None:
        """Bring a small object; of a large one return the ranges that are still to come."""
        if self.target.is_dir():
            raise ClientError(
                f"{self.target} is a folder, and s3://{self.bucket}/{self.entry.key} a file",
                "name another place",
            )
        try:
            if self._is_here():
                self.how.progress(self.entry.size)
                self.brought.count(self.entry.size, same=True)
                return None
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if self.entry.size > self.how.range:
                return _Ranges(self).missing()
            self._bring_whole()
        except OSError as error:
            raise unwritable(self.target, error) from error
        return None

    def check(self) -> Check | None:
        """Return a new comparison with the object; asks for its checksums when need be."""
        if self.headers is None:
            found = self._patiently(lambda: objects.head(self.how.api, self.bucket, self.entry.key))
            self.entry, self.headers = found
        return check_of(self.headers, self.entry.etag)

    def finish(self, part: Path) -> None:
        """Give the whole file its name."""
        part.replace(self.target)
        self.brought.count(self.entry.size, same=False)

    def _is_here(self) -> bool:
        if not self.target.is_file() or self.target.stat().st_size != self.entry.size:
            return False
        etag = self.entry.etag
        if "-" in etag or is_md5(etag):
            if etag_of(self.target, self.entry.size, etag) == etag:
                return True
            if is_md5(etag) and self.headers is None:
                return False  # an encrypted object's ETag looks so too: it is fetched once more
        check = self.check()
        return check is not None and check.of_file(self.target)

    def _bring_whole(self) -> None:
        part = part_of(self.target)
        try:
            holds = any(self._patiently(partial(self._try_whole, part)) for _ in range(2))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if not holds:
            part.unlink()
            raise damaged(self.bucket, self.entry.key)
        self.finish(part)

    def _try_whole(self, part: Path) -> bool:
        size = 0
        place = self.bucket, self.entry.key
        with objects.opened(self.how.api, *place) as response, part.open("wb") as file:
            headers = {name.lower(): value for name, value in response.getheaders()}
            etag = headers.get("etag", "").strip('"')
            check, expected = check_of(headers, etag), response.length
            while chunk := read(response):
                file.write(chunk)
                size += len(chunk)
                if check is not None:
                    check.update(chunk)
        if expected is not None and size != expected:
            raise ServerUnreachable(
                f"s3://{self.bucket}/{self.entry.key} broke off after {size} of {expected} bytes"
            )
        if check is not None and not check.holds():
            return False
        self.entry = Entry(key=self.entry.key, size=size, etag=etag)
        self.how.progress(size)
        return True

    def _patiently(self, work: Callable[[], T]) -> T:
        return again_and_again(self.how.api, work, self.how.sleep)


class _Ranges:
    """A large object: which of its ranges are here, and what is left to do."""

    def __init__(self, one: _One) -> None:
        self._one = one
        self._part = part_of(one.target)
        self._have = self._part.with_suffix(".have")
        self._lock = threading.Lock()
        self._got: dict[int, int] = {}
        """Bytes that are here of each range."""
        self._left: set[int] = set()

    def missing(self) -> Iterable[Task]:
        """Return a task per range that is not here; the last one finishes the file."""
        one = self._one
        count = -(-one.entry.size // one.how.range)
        self._got = self._known()
        self._left = {i for i in range(count) if self._got.get(i, 0) < self._length(i)}
        one.how.progress(sum(self._got.values()))
        if not self._left:
            return [self._finish]
        self._make_room()
        return [partial(self._bring, index) for index in sorted(self._left)]

    def _known(self) -> dict[int, int]:
        """Return what is here of each range of this very version; nothing of another is kept."""
        version = f"{self._one.entry.etag} {self._one.entry.size} {self._one.how.range}"
        try:
            lines = self._have.read_text().split("\n")
        except OSError:
            lines = []
        found: dict[int, int] = {}
        if self._one.entry.etag and lines[:1] == [version] and self._part.is_file():
            # The last line may have been torn: what does not end with a line's end is none.
            with suppress(ValueError):  # power was lost: no line behind this one is to be trusted
                for index, size in (line.split() for line in lines[1:-1]):
                    found[int(index)] = int(size)
        else:
            self._part.unlink(missing_ok=True)
        new = self._have.with_suffix(".new")
        known = (f"{index} {size}" for index, size in found.items())
        new.write_text("".join(f"{line}\n" for line in (version, *known)))
        new.replace(self._have)
        return found

    def _make_room(self) -> None:
        need = sum(self._length(index) - self._got.get(index, 0) for index in self._left)
        free = shutil.disk_usage(self._part.parent).free
        if free < need:
            raise full(self._part.parent, need, free)
        with self._part.open("ab") as file:
            file.truncate(self._one.entry.size)

    def _length(self, index: int) -> int:
        step = self._one.how.range
        return min(step, self._one.entry.size - index * step)

    def _bring(self, index: int) -> Iterable[Task] | None:
        one = self._one
        try:
            again_and_again(one.how.api, partial(self._try, index), one.how.sleep)
            with self._lock:
                self._left.discard(index)
                last = not self._left
        except OSError as error:
            raise unwritable(one.target, error) from error
        return [self._finish] if last else None

    def _try(self, index: int) -> None:
        one = self._one
        begin = index * one.how.range
        span = (begin + self._got.get(index, 0), begin + self._length(index))
        place = one.bucket, one.entry.key
        if span[0] == span[1]:
            return  # the connection broke behind the last byte
        try:
            with (
                objects.opened(one.how.api, *place, etag=one.entry.etag, span=span) as response,
                self._part.open("r+b") as file,
            ):
                # Some stores (rclone) send a part, and say so, but with the status of the whole.
                told = response.headers.get("content-range", "")
                if response.status != 206 and not told.startswith(
                    f"bytes {span[0]}-{span[1] - 1}/"
                ):
                    raise ClientError(f"s3://{place[0]}/{place[1]}: the store sends no ranges")
                file.seek(span[0])
                while chunk := read(response):
                    file.write(chunk)
                    file.flush()
                    self._note(index, len(chunk))
        except ApiError as error:
            if error.status != 412:
                raise
            raise ClientError(
                f"s3://{place[0]}/{place[1]} changed while it was read", "run it again"
            ) from error
        if self._got.get(index, 0) < self._length(index):
            raise ServerUnreachable(f"s3://{place[0]}/{place[1]} broke off")

    def _note(self, index: int, size: int) -> None:
        """Write down that bytes of a range are in the file."""
        with self._lock:
            self._got[index] = self._got.get(index, 0) + size
            with self._have.open("a") as file:
                file.write(f"{index} {self._got[index]}\n")
        self._one.how.progress(size)

    def _finish(self) -> None:
        one = self._one
        try:
            check = one.check()
            holds = check is None or check.of_file(self._part)
            self._have.unlink()
            if not holds:
                self._part.unlink()
                raise damaged(one.bucket, one.entry.key)
            one.finish(self._part)
        except OSError as error:
            raise unwritable(one.target, error) from error


def read(response: HTTPResponse, most: int = CHUNK) -> bytes:
    """Return the next bytes of an answer, ``most`` at the most, b"" at its end.

    Raises:
        ServerUnreachable: the connection broke.
    """
    try:
        return response.read(most)
    except (HTTPException, OSError) as error:
        raise ServerUnreachable(f"the connection broke: {error}") from error


def damaged(bucket: str, key: str) -> ClientError:
    """Return what to say of bytes that are not the object's."""
    return ClientError(
        f"s3://{bucket}/{key} arrived damaged: its checksum does not hold; nothing of it was kept",
        "run it again; if that does not help, the store's copy is broken",
    )


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
