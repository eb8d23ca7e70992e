"""Objects under ``file://`` addresses: plain files below folders that were allowed.

The agent of a laptop's job reads its data and leaves its model here. Symbolic links are followed
only as long as they stay below the allowed folders.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.troubles import ObjectChanged, StoreFull

_CHUNK = 4 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TRIES: Final = 3
_PART: Final = re.compile(r"\.trainshed-[0-9a-f]{16}\.part")
"""What is being written, or was when its writer died, and has no name of its own yet."""


class Folders:
    """Reads and writes files below the allowed folders."""

    def __init__(self, roots: Sequence[str], *, not_with: str = "") -> None:
        """Allow what is below ``roots``; leave out folders that hold a file named ``not_with``."""
        self._not_with = not_with
        self._roots = tuple(os.path.realpath(root) for root in roots)

    def allowed(self, path: str) -> Path:
        """Return ``path`` if it lies below an allowed folder, links followed.

        Raises:
            StoreError: it does not; the message names the folders that are allowed.
        """
        real = os.path.realpath(path)
        for root in self._roots:
            if real == root or real.startswith(root.rstrip("/") + "/"):
                return Path(path)
        places = ", ".join(self._roots) or "none"
        raise StoreError(f"file://{path} is outside the folders that jobs may use ({places})")

    def walk(self, prefix: str) -> Iterator[Entry]:
        """Yield the files that ``prefix`` names, sorted by path.

        A folder names what is below it, a file itself. Unlike a key's prefix in a bucket, half a
        name names nothing: a slip in a path must not bring its neighbours in.

        Raises:
            StoreError: it is outside the allowed folders, or cannot be listed.
        """
        whole = self.allowed(prefix)
        if whole.is_dir():
            try:
                yield from self._below(prefix.rstrip("/"), frozenset())
            except OSError as error:
                raise StoreError(f"file://{prefix} cannot be listed: {error}") from error
        elif whole.is_file():
            yield _entry(prefix, whole)

    def stretch(self, path: str, offset: int, end: int | None, etag: str) -> Iterator[memoryview]:
        """Yield the bytes from ``offset`` to ``end`` (None: to the last) of the file ``etag``.

        Raises:
            ObjectMissing: no such file.
            ObjectChanged: it is another, or was written to.
            StoreError: it is outside the allowed folders, or cannot be read.
        """
        try:
            with self.allowed(path).open("rb") as source:
                if etag and _entry(path, source.fileno()).etag != etag:
                    raise ObjectChanged(f"file://{path} was changed meanwhile")
                source.seek(offset)
                while end is None or offset < end:
                    most = _CHUNK if end is None else min(end - offset, _CHUNK)
                    if not (piece := source.read(most)):
                        return
                    yield memoryview(piece)
                    offset += len(piece)
        except (FileNotFoundError, NotADirectoryError) as missing:
            raise ObjectMissing(f"file://{path} does not exist") from missing
        except OSError as error:
            raise StoreError(f"file://{path} cannot be read: {error.strerror}") from error

    def opened(self, path: str, etag: str) -> int:
        """Return a read-only descriptor of the file ``etag`` ("" for any); the caller closes it.

        Raises:
            ObjectMissing: no such file.
            ObjectChanged: it is another, or was written to.
            StoreError: it is outside the allowed folders, or cannot be read.
        """
        try:
            descriptor = os.open(self.allowed(path), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as missing:
            raise ObjectMissing(f"file://{path} does not exist") from missing
        except OSError as error:
            raise StoreError(f"file://{path} cannot be read: {error.strerror}") from error
        if etag and _entry(path, descriptor).etag != etag:
            os.close(descriptor)
            raise ObjectChanged(f"file://{path} was changed meanwhile")
        return descriptor

    def read(self, path: str, limit: int) -> bytes:
        """Return up to ``limit`` bytes of a file.

        Raises:
            ObjectMissing: no such file.
            StoreError: it is outside the allowed folders, or cannot be read.
        """
        try:
            with self.allowed(path).open("rb") as source:
                return source.read(limit)
        except (FileNotFoundError, NotADirectoryError) as missing:
            raise ObjectMissing(f"file://{path} does not exist") from missing
        except OSError as error:
            raise StoreError(f"file://{path} cannot be read: {error.strerror}") from error

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """Open a file that appears under its name, whole, when the block ends without an error.

        Raises:
            StoreFull: the disk has no room.
            StoreError: it is outside the allowed folders, or cannot be written.
        """
        target = self.allowed(path)
        # Of this writer alone: another may be at the same file.
        part = target.with_name(f".trainshed-{os.urandom(8).hex()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _begun(part) as sink:
                yield sink
                sink.flush()
                os.fsync(sink.fileno())
                _name(sink, part)
            part.replace(target)
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(f"file://{path} cannot be written: {error.strerror}") from error
            raise StoreError(f"file://{path} cannot be written: {error}") from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def delete(self, path: str) -> None:
        """Delete a file, and the folders it leaves empty; what is gone is no error."""
        target = self.allowed(path)
        target.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            target.parent.rmdir()
            target.parent.parent.rmdir()

    def _below(self, folder: str, above: frozenset[str]) -> Iterator[Entry]:
        """Yield the files below a folder in the order of their whole paths, as a bucket would.

        ``above`` are the folders it lies in, links followed.
        """
        real = os.path.realpath(folder or "/")
        if real in above:
            raise StoreError(f"file://{folder} is a link to a folder that holds it")
        with os.scandir(folder or "/") as entries:
            names = sorted(
                entry.name + "/" * entry.is_dir()
                for entry in entries
                if not _PART.fullmatch(entry.name)
            )
        if self._not_with in names:
            return
        for name in names:
            path = f"{folder}/{name}".rstrip("/")
            entry = self.allowed(path)
            if name.endswith("/"):
                yield from self._below(path, above | {real})
            elif entry.is_file():
                yield _entry(path, entry)


def _begun(part: Path) -> BinaryIO:
    """Open a new file; without a name, where the disk can have such: it goes with its writer."""
    try:
        descriptor = os.open(part.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError:
        return part.open("xb")
    return os.fdopen(descriptor, "wb")


def _name(file: BinaryIO, part: Path) -> None:
    """Have an open file called ``part``, unless it is."""
    for _ in range(_TRIES):
        if part.exists():
            return
        part.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # somebody has just emptied the folder
            # Python follows what stands for the file only if told of a folder, even an unused one.
            os.link(f"/proc/self/fd/{file.fileno()}", part, src_dir_fd=file.fileno())


def _entry(key: str, file: Path | int) -> Entry:
    status = os.stat(file)  # noqa: PTH116 - also of an open file
    etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    return Entry(key, status.st_size, etag, status.st_mtime)
