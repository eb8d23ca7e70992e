"""Brings files and folders into a bucket: several at once, large files in parts, resumable.

Nothing is kept here about what was sent: the bucket's list tells which objects are there and which
of them are the files, and the store knows the parts of an upload that was not finished. So anybody
may go on from where another was killed.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from trainshed.client import objects
from trainshed.client.api import Api
from trainshed.client.checksums import (
    CRC,
    PART,
    Piece,
    changed,
    etag_of,
    part_size,
    pieces,
)
from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.client.objects import Entry, Progress
from trainshed.client.parallel import Sleep, Task, again_and_again, run_all
from trainshed.domain import digests
from trainshed.stores.objects.remote.checksums import of_file, told

T = TypeVar("T")

_KEY_LIMIT: Final = 1024
"""Bytes of a key, from the S3 API reference."""


_NOT_ALLOWED_NOW: Final = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
"""Refusals with status 400 that other keys end."""
_FOR_GOOD: Final = frozenset({400, 405, 411, 413, 501})
"""Statuses of refusals that the same parts will meet again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or folder that is to be uploaded, counted beforehand so that progress has an end."""

    path: Path
    count: int
    """How many files."""
    size: int
    """Bytes, all files together."""
    left_out: int = 0
    """Links that lead nowhere, sockets, pipes and devices: no object can be made of them."""

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield (key below the prefix, file) in the order of keys' bytes, as S3 lists them."""
        if self.path.is_dir():
            for name, path, regular in _walk(self.path, "", frozenset()):
                if regular:
                    yield name, path
        else:
            yield self.path.name, self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """An upload in parts that is under way, or was when it broke off."""

    bucket: str
    key: str
    upload: str
    """What the store calls it."""


def _untold(left: Unfinished) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How files are sent."""

    api: Api
    """An error breaks off what is under way there in other threads too."""
    progress: Progress
    """Told of bytes as they arrive, or are found to be there."""
    sleep: Sleep
    """Waits for a number of seconds, between two tries."""
    at_once: int = 4
    part: int = PART
    """Files above this size go up in parts of (at least) this size, in bytes."""
    left: Callable[[Unfinished], None] = _untold
    """Told, when ``put`` breaks off, of each upload whose parts stay in the store."""


@dataclass(slots=True)
class Sent:
    """What came of an upload."""

    files: int = 0
    """Those that were sent."""
    bytes: int = 0
    """Of those."""
    same: int = 0
    """Files that were there already, with the same content."""
    begun: dict[str, str] = field(default_factory=dict)
    """Key to upload in parts, of those that are not finished."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, size: int, *, same: bool) -> None:
        """Take note of one file; from any thread."""
        with self._lock:
            self.same += same
            self.files += not same
            self.bytes += 0 if same else size


def look(path: Path) -> Source:
    """Return what would be uploaded: every file below a folder, links followed, or the one file.

    Raises:
        ClientError: there is nothing at ``path``, no file below it, or a name that no key can be.
    """
    if path.is_file():
        _check_name(path.name, path)
        return Source(path=path, count=1, size=path.stat().st_size)
    if not path.is_dir():
        raise ClientError(f"no file or folder is at {path}", "check the path")
    count = size = left_out = 0
    for name, file, regular in _walk(path, "", frozenset()):
        if not regular:
            left_out += 1
            continue
        _check_name(name, file)
        count, size = count + 1, size + file.stat().st_size
    if not count:
        raise ClientError(f"the folder {path} holds no file", "check the path")
    return Source(path=path, count=count, size=size, left_out=left_out)


def send(how: Upload, source: Source, *, bucket: str, prefix: str) -> str:
    """Upload everything anew and return the address, ``s3://bucket/prefix/``.

    Args:
        how: to which server.
        source: what ``look`` found.
        bucket: must exist.
        prefix: without a slash at its end.

    Raises:
        ClientError: a file changed meanwhile.
        ApiError, ServerUnreachable: as for any request. Nothing half-sent remains of a file.
    """
    sent = Sent()
    tasks = (
        _One(how, (bucket, f"{prefix}/{name}"), path, None, sent).begin
        for name, path in source.files()
    )

    def give_up() -> None:
        for key, upload in sent.begun.items():
            with suppress(ApiError, ServerUnreachable):
                objects.abort_parts(how.api, bucket, key, upload)

    with ExitStack() as undo:
        undo.callback(give_up)
        _run(how, tasks)
        undo.pop_all()
    return f"s3://{bucket}/{prefix}/"


def put(how: Upload, source: Source, *, bucket: str, key: str) -> Sent:
    """Upload what is missing or differs, and tell what that was.

    Args:
        how: to which server.
        source: what ``look`` found.
        bucket: must exist.
        key: a prefix, if it is "" or ends with ``/``; else the key of the one file.

    Raises:
        ClientError: a file changed meanwhile, or its key is too long.
        ApiError, ServerUnreachable: as for any request. What was sent stays for the next time, but
            for the parts of a file that the store refuses for good.
    """
    sent = Sent()
    whole = bool(key) and not key.endswith("/")
    local = ((key if whole else key + name, path) for name, path in source.files())
    folder = source.path.is_dir()
    there = objects.entries(how.api, bucket, key if whole or folder else key + source.path.name)
    tasks = (
        _One(how, (bucket, name), path, entry, sent).begin
        for name, path, entry in beside(local, there)
    )

    def tell() -> None:
        for begun, upload in sorted(sent.begun.items()):
            how.left(Unfinished(bucket=bucket, key=begun, upload=upload))

    with ExitStack() as undo:
        undo.callback(tell)
        _run(how, tasks)
        undo.pop_all()
    return sent


def _run(how: Upload, tasks: Iterable[Task]) -> None:
    try:
        run_all(how.api.cut, tasks, at_once=how.at_once)
    finally:
        how.api.mend()


def beside(
    local: Iterable[tuple[str, Path]], there: Iterable[Entry]
) -> Iterator[tuple[str, Path, Entry | None]]:
    """Yield each local file with the object of its key; both come in the order of keys' bytes."""
    listed = iter(there)
    entry = next(listed, None)
    for key, path in local:
        while entry is not None and entry.key.encode() < key.encode():
            entry = next(listed, None)
        yield key, path, entry if entry is not None and entry.key == key else None


@dataclass(slots=True)
class _One:
    """One file on its way."""

    how: Upload
    place: tuple[str, str]
    """Bucket and key."""
    path: Path
    entry: Entry | None
    sent: Sent

    def begin(self) -> Iterable[Task] | None:
        """Send a small file; of a large one return its parts."""
        try:
            size = self.path.stat().st_size
            if self._is_there(size):
                self.how.progress(size)
                self.sent.count(size, same=True)
                return None
            if len(self.place[1].encode()) > _KEY_LIMIT:
                raise ClientError(
                    f"the key of {self.path} would be longer than {_KEY_LIMIT} bytes",
                    "use shorter names",
                )
            if size > self.how.part:
                return _Parts(self, size).tasks()
            self._send_whole(Piece(self.path, 0, size))
        except OSError as error:
            raise ClientError(
                f"{self.path} cannot be read: {error.strerror}", "check its permissions"
            ) from error
        return None

    def _is_there(self, size: int) -> bool:
        entry = self.entry
        if entry is None or entry.size != size:
            return False
        if entry.etag and etag_of(self.path, size, entry.etag) == entry.etag:
            return True
        # Parts of other sizes, or encrypted: the ETag says nothing, a checksum may.
        api = self.how.api
        headers = again_and_again(api, lambda: objects.head(api, *self.place), self.how.sleep)
        algorithm, digest = told(headers, "")
        return bool(algorithm) and of_file(algorithm, self.path, size) == digest

    def _send_whole(self, piece: Piece) -> None:
        api = self.how.api

        def work() -> None:
            objects.put_piece(api, *self.place, piece, piece.sums())

        try:
            again_and_again(api, work, self.how.sleep)
        except ApiError as error:
            if error.code in {"XAmzContentSHA256Mismatch", "BadDigest"}:
                raise changed(self.path) from error
            raise
        if self.path.stat().st_size != piece.length:
            raise changed(self.path)
        self.how.progress(piece.length)
        self.sent.count(piece.length, same=False)


class _Parts:
    """A large file: which of its parts the store has, and what is left to do."""

    def __init__(self, one: _One, size: int) -> None:
        self._one = one
        self._size = size
        self._stamp = _stamp(one.path)
        self._known: dict[int, tuple[int, str]] = {}
        self._etags: dict[int, tuple[str, bytes, int]] = {}
        self._upload = ""
        self._count = 0
        self._refused: ApiError | None = None
        self._lock = threading.Lock()

    def tasks(self) -> Iterable[Task]:
        """Return a task per part, those that are there too: they are compared. The last joins."""
        one = self._one
        api, place = one.how.api, one.place
        self._upload = again_and_again(api, self._begun, one.how.sleep) or again_and_again(
            api, lambda: objects.begin_parts(api, *place), one.how.sleep
        )
        one.sent.begun[place[1]] = self._upload
        cut = part_size(self._size, one.how.part)
        self._count = -(-self._size // cut)
        numbered = enumerate(pieces(one.path, self._size, cut), 1)
        return (partial(self._send, number, piece) for number, piece in numbered)

    def _begun(self) -> str:
        """Return the upload that somebody left unfinished, or ""; take note of its parts."""
        api, place = self._one.how.api, self._one.place
        upload = objects.begun_parts(api, *place)
        try:
            found = list(objects.parts(api, *place, upload)) if upload else []
        except ApiError as error:
            if error.status != 404:
                raise
            return ""  # it was given up a moment ago
        self._known = {number: (size, etag) for number, size, etag in found}
        return upload

    def _send(self, number: int, piece: Piece) -> Iterable[Task] | None:
        one = self._one
        sums = piece.sums()
        if self._known.get(number) == (piece.length, sums.md5):
            etag = sums.md5
        else:
            etag = self._asked(
                lambda: objects.put_part(one.how.api, one.place, self._upload, number, piece, sums)
            )
        one.how.progress(piece.length)
        with self._lock:
            self._etags[number] = etag, sums.crc64nvme, piece.length
            last = len(self._etags) == self._count
        return [self._finish] if last else None

    def _finish(self) -> None:
        one = self._one
        if _stamp(one.path) != self._stamp:
            raise changed(one.path)
        ordered = [self._etags[number] for number in sorted(self._etags)]
        crc = digests.joined(CRC, ((value, length) for _, value, length in ordered))
        self._asked(
            lambda: objects.finish_parts(
                one.how.api, one.place, self._upload, (etag for etag, _, _ in ordered), crc
            )
        )
        del one.sent.begun[one.place[1]]
        one.sent.count(self._size, same=False)

    def _asked(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; leave no parts behind that the store refuses for good.

        The first refusal is what all that are under way are told: to give up takes the upload
        away from under them, and whoever notices that first knows nothing of why.
        """
        one = self._one
        try:
            return again_and_again(one.how.api, work, one.how.sleep)
        except ApiError as error:
            if error.status in _FOR_GOOD and error.code not in _NOT_ALLOWED_NOW:
                self._refused = self._refused or error
                self._give_up()
            elif error.code == "NoSuchUpload":
                one.sent.begun.pop(one.place[1], None)
            if self._refused is not None and self._refused is not error:
                raise self._refused from error
            raise

    def _give_up(self) -> None:
        one = self._one
        if (upload := one.sent.begun.pop(one.place[1], None)) is None:
            return
        try:
            objects.abort_parts(one.how.api, *one.place, upload)
        except (ApiError, ServerUnreachable):
            one.sent.begun[one.place[1]] = upload  # it stays, and is told of


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file does."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _check_name(name: str, path: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ClientError(
            f"the name {os.fsencode(path)!r} is no UTF-8, which the keys of objects are",
            "rename it, or leave it out",
        ) from error


def _walk(folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[tuple[str, Path, bool]]:
    """Yield (name, path, whether an object can be made of it), names in the order of their bytes.

    Names of one folder are held at a time. Links are followed, but not to a folder they lie in.
    """
    real = folder.resolve()
    if real in above:
        return
    with os.scandir(folder) as found:
        listed = sorted(
            (os.fsencode(entry.name) + b"/", entry.name)
            if entry.is_dir()
            else (os.fsencode(entry.name), entry.name)
            for entry in found
        )
    for ordered, name in listed:
        if ordered.endswith(b"/"):
            yield from _walk(folder / name, f"{prefix}{name}/", above | {real})
        else:
            yield f"{prefix}{name}", folder / name, (folder / name).is_file()
