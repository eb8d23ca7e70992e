"""Objects that came over a network, kept on this machine for the next job that asks for them.

An entry is one version of one object: its bytes, and behind them a checksum of them. It appears by
a rename, and each use compares the checksum, so that neither a crash nor a failing disk can hand a
job anything else than what the store had. Jobs get copies: what they write stays theirs.

    objects/<2 hex>/<digest>    entries; their mtime is when they were last used
    objects/parts/<digest>      being fetched, by whoever holds the entry's byte of objects/locks
    objects/used                bytes that entries take, never less than they do; its lock is the
                                right to add and to remove entries
"""

import contextlib
import fcntl
import importlib
import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from trainshed.agent.staging import space
from trainshed.agent.staging.record import boot_id
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.troubles import Cancelled, ObjectChanged

_TRAILER: Final = struct.Struct("<8sQ")
_MAGIC: Final = b"shed-1\r\n"
_FLOCK: Final = struct.Struct("@hhqqi4x")
"""struct flock, of 64 bits."""
_CHUNK: Final = 256 << 10
RESERVE: Final = 1 << 30
"""Bytes of disk that are left to jobs; a cache that could take them gives way."""
_FULL_SHARE: Final = 0.9
"""How full a cache is left that had to drop something: looking through it takes a while."""
_STALE_S: Final = 24 * 3600.0
"""When a part that nobody fetches any more is removed."""
_PAUSE_S: Final = 0.05


class Cache:
    """One machine's cache. Safe to share between threads and between processes."""

    def __init__(self, folder: Path, limit: int, cancelled: Callable[[], bool]) -> None:
        """Keep up to ``limit`` bytes below ``folder``, which is made when it is missing.

        ``cancelled`` is asked while somebody else's fetch is waited for, and while one copies.

        Raises:
            OSError: nothing can be kept there.
        """
        self._folder = folder
        self._parts = folder / "parts"
        self._limit = limit
        self._cancelled = cancelled
        self._clones = True
        self._parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(self._used_fd())
        # 40 ms and 8 MB, which a job without a cache never pays.
        self._checksum: Any = importlib.import_module("awscrt.checksums").crc64nvme

    def bring(self, name: str, size: int, target: Path, fetch: Callable[[Path], None]) -> bool:
        """Have a copy of an object at ``target``, from here if it can be; tell whether it is there.

        False means that nothing was done: it is too large, or the disk is too full.

        Args:
            name: as ``name_of`` returns it.
            size: the object's bytes.
            target: a path where nothing is.
            fetch: brings the object to a path where nothing is. What it raises is raised here,
                but ``OSError``: then False is returned.
        """
        if size + _TRAILER.size > self._limit:
            return False
        try:
            if self._copied(name, size, target):
                return True
            if space.free(self._folder) < 2 * size + RESERVE:
                return False
            with self._sole(name):
                if not self._copied(name, size, target):
                    self._fetched(name, size, target, fetch)
        except OSError:
            return False
        return True

    @property
    def used(self) -> int:
        """How many bytes the entries take; 0 when that cannot be told."""
        with contextlib.suppress(OSError), self._counting() as fd:
            return self._used(fd)
        return 0

    def shares_disk(self, folder: Path) -> bool:
        """Tell whether what is removed here makes room in ``folder``."""
        return os.stat(folder).st_dev == os.stat(self._folder).st_dev  # noqa: PTH116

    def give_way(self, count: int) -> None:
        """Remove ``count`` bytes of entries, the longest unused first; all, if there are less."""
        with contextlib.suppress(OSError), self._counting() as fd:
            self._set_used(fd, self._drop(max(self._used(fd) - count, 0)))

    def _copied(self, name: str, size: int, target: Path) -> bool:
        """Copy an entry to ``target``; tell whether it is there, whole and right."""
        path = self._path(name)
        try:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(source).st_size == size + _TRAILER.size:
                magic, checksum = _TRAILER.unpack(os.pread(source, _TRAILER.size, size))
                if magic == _MAGIC:
                    if self._copy(source, target, size) == checksum:
                        os.utime(source)
                        return True
                    target.unlink()
        finally:
            os.close(source)
        path.unlink(missing_ok=True)
        return False

    def _fetched(self, name: str, size: int, target: Path, fetch: Callable[[Path], None]) -> None:
        part = self._parts / name
        part.unlink(missing_ok=True)
        try:
            fetch(part)
            fd = os.open(part, os.O_RDWR | os.O_CLOEXEC)
            try:
                if os.fstat(fd).st_size != size:
                    raise ObjectChanged(f"{part} came with another size than {size} bytes")
                checksum = self._copy(fd, target, size)
                os.pwrite(fd, _TRAILER.pack(_MAGIC, checksum), size)
            finally:
                os.close(fd)
            with contextlib.suppress(OSError):  # the job has its copy, whatever the cache has
                self._add(name, part, size + _TRAILER.size)
        finally:
            part.unlink(missing_ok=True)

    def _add(self, name: str, part: Path, size: int) -> None:
        with self._counting() as fd:
            used = self._used(fd)
            if used + size > self._limit:
                used = self._drop(min(int(self._limit * _FULL_SHARE), self._limit - size))
            # First counted, then there: a crash in between must not make the count too small.
            self._set_used(fd, used + size)
            path = self._path(name)
            try:
                part.replace(path)
            except FileNotFoundError:
                path.parent.mkdir(mode=0o700)
                part.replace(path)

    def _copy(self, source: int, target: Path, size: int) -> int:
        """Copy the first ``size`` bytes of an open file to a new one; return their checksum."""
        with contextlib.ExitStack() as undo, target.open("xb", buffering=0) as sink:
            undo.callback(target.unlink)
            checksum = self._poured(source, sink.fileno(), size)
            undo.pop_all()
        return checksum

    def _poured(self, source: int, target: int, size: int) -> int:
        checksum, at = 0, 0
        buffer = memoryview(bytearray(min(_CHUNK, size)))
        cloned = self._cloned(source, target, size)
        while at < size:
            count = os.preadv(source, [buffer[: size - at]], at)
            if not count:
                raise OSError(f"a cached object ends at {at} bytes instead of {size}")
            if self._cancelled():
                raise Cancelled("copying from the cache was cancelled")
            checksum = self._checksum(buffer[:count], checksum)
            if not cloned:
                _write(target, buffer[:count])
            at += count
        return checksum

    def _cloned(self, source: int, target: int, size: int) -> bool:
        if not self._clones or not size:
            return False
        try:
            fcntl.ioctl(target, space.FICLONE, source)
        except OSError:
            self._clones = False
            return False
        os.ftruncate(target, size)
        return True

    @contextlib.contextmanager
    def _sole(self, name: str) -> Iterator[None]:
        """Be the only one that fetches an entry; wait while another does.

        Raises:
            Cancelled: the caller wants no more.
        """
        # One file with a byte for each entry there may be: no file is made, none is left behind.
        fd = os.open(self._folder / "locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _locked(fd, int(name[:15], 16)):
                if self._cancelled():
                    raise Cancelled("waiting for another job's download was cancelled")
                time.sleep(_PAUSE_S)
            yield
        finally:
            os.close(fd)

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _used_fd(self) -> int:
        return os.open(self._folder / "used", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextlib.contextmanager
    def _counting(self) -> Iterator[int]:
        """Hold the right to add and to remove entries."""
        fd = self._used_fd()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _used(self, fd: int) -> int:
        """Return the count; of another boot it is not believed, the disk may have lost the last."""
        count, _, boot = os.pread(fd, 80, 0).decode("ascii", "replace").strip().partition(" ")
        if count.isdigit() and boot == boot_id():
            return int(count)
        return self._drop(self._limit)

    @staticmethod
    def _set_used(fd: int, count: int) -> None:
        os.pwrite(fd, f"{count:020} {boot_id()}\n".encode(), 0)

    def _drop(self, most: int) -> int:
        """Remove what was unused longest until at most ``most`` bytes are left; return how many.

        Only the seconds of last use are kept in memory, not the entries.
        """
        by_second: Counter[int] = Counter()
        for entry in self._entries():
            by_second[int(entry.stat().st_mtime)] += entry.stat().st_size
        left = by_second.total()
        excess, latest = left - most, -1
        for second in sorted(by_second):
            if excess <= 0:
                break
            latest, excess = second, excess - by_second[second]
        if latest < 0:
            return left
        self._tidy()
        for entry in self._entries():
            if left <= most and int(entry.stat().st_mtime) >= latest:
                continue
            if int(entry.stat().st_mtime) <= latest:
                os.unlink(entry.path)  # noqa: PTH108 - one of very many
                left -= entry.stat().st_size
        return left

    def _tidy(self) -> None:
        """Remove parts that those who fetched them have left long ago."""
        for part in self._parts.iterdir():
            if part.stat().st_mtime < time.time() - _STALE_S:
                part.unlink()

    def _entries(self) -> Iterator["os.DirEntry[str]"]:
        for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
            with os.scandir(folder) as entries:
                yield from entries


def name_of(store: str, address: Address, entry: Entry) -> str:
    """Return what a version of an object is called here; ``store`` is where it is looked up."""
    version = "\0".join([store, str(address), entry.etag, str(entry.size)])
    return blake2b(version.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def _locked(fd: int, at: int) -> bool:
    """Lock one byte of an open file, until it is closed; tell whether nobody else has it."""
    wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, at, 1, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _write(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]
