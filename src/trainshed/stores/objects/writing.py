"""One new file of the store, from its first byte to its final name.

Hashing and writing go on side by side, each in order: MD5 keeps one core busy, and neither the
disk nor the sender should wait for it longer than they must.
"""

import contextlib
import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from trainshed.domain import digests
from trainshed.stores.flushing import flush_folder
from trainshed.stores.objects.copying import copied_some
from trainshed.stores.objects.info import Staged

Batch = Sequence[bytes]
"""Bytes that follow each other, in pieces as they came."""

_FLUSHED: Final = 32 * 1024 * 1024
"""Bytes after which the disk is set to work, so that little is left to flush at the end."""
_CACHED: Final = 128 * 1024 * 1024
"""Bytes of a file from which on it is not kept in memory: it would push out what jobs are reading,
and where memory comes from a host piece by piece, each new page costs more than its MD5."""
_MAKING: Final = threading.Lock()


class Lane:
    """Jobs done one after the other on threads of a pool."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._busy = False

    def put(self, job: Callable[[], None]) -> Future[None]:
        """Hand over a job; the result tells when it is done, or why it could not be."""
        done: Future[None] = Future()
        with self._lock:
            self._waiting.append((job, done))
            idle, self._busy = not self._busy, True
        if idle:
            self._pool.submit(self._drain)
        return done

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                job, done = self._waiting.popleft()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                job()
            except OSError as error:
                done.set_exception(error)
            else:
                done.set_result(None)


class Writing:
    """A new file. All methods but ``put`` and ``flush`` run on threads."""

    def __init__(
        self,
        temporary: Path,
        final: Path,
        pool: ThreadPoolExecutor,
        algorithms: Collection[str] = (),
    ) -> None:
        """Write ``temporary``, which becomes ``final``; compute these digests, beside MD5."""
        self.file = final.name
        self._temporary = temporary
        self._final = final
        self._lock = threading.Lock()
        self._abandoned = False
        self._descriptor = -1
        self._size = 0
        self._flushed = False
        self._md5: digests.Digest | None = None
        self._digests = {
            algorithm: digests.begin(algorithm) for algorithm in algorithms if algorithm != "MD5"
        }
        self._hashing, self._writing, self._flushing = Lane(pool), Lane(pool), Lane(pool)
        self._handed = 0
        self.flushes: list[Future[None]] = []
        """To be waited for before the file is finished: an error is told only once."""

    def put(self, batch: Batch) -> tuple[Future[None], ...]:
        """Hand over the next bytes; they are taken care of when all of the results are there."""
        if self._md5 is None:
            self._md5 = digests.begin_long_md5()
        self._handed += sum(map(len, batch))
        if self._handed >= _FLUSHED:
            self._handed = 0
            self.flushes.append(self._flushing.put(self._flush_some))
        return (
            self._hashing.put(partial(self._hash, batch)),
            self._writing.put(partial(self._write, batch)),
        )

    def flush(self) -> Future[None]:
        """Have all that was handed over put on disk, while it is still being hashed."""
        return self._writing.put(self._flush)

    def append(self, source: Path) -> None:
        """Write all bytes of another file, copied by the kernel where it can; there is no MD5."""
        with self._lock:
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while copied := copied_some(descriptor, self._target()):
                    self._size += copied
            finally:
                os.close(descriptor)

    def finish(self, rest: Batch | None = None) -> Staged:
        """Write the last bytes, and give the file its name once all of it is on disk.

        There is no MD5 where ``rest`` is None.
        """
        if rest is not None:
            self._md5 = self._md5 or digests.begin("MD5")
            self._hash(rest)
            self._write(rest)
        if rest or not self._flushed:
            self._flush()
        with self._lock:
            self._close()
            _move(self._temporary, self._final)
        found = {algorithm: running.digest() for algorithm, running in self._digests.items()}
        if self._md5 is not None:
            found["MD5"] = self._md5.digest()
        return Staged(file=self.file, size=self._size, digests=found)

    def abandon(self) -> None:
        """Remove the file, however far it came; whatever still runs ends soon, for nothing."""
        self._abandoned = True
        with self._lock:
            self._close()
            unlink([self._temporary, self._final])

    def _hash(self, batch: Batch) -> None:
        if self._md5 is not None and not self._abandoned:
            for piece in batch:
                self._md5.update(piece)

    def _write(self, batch: Batch) -> None:
        with self._lock:
            descriptor = self._target()
            for piece in batch:
                for running in self._digests.values():
                    running.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                self._size += len(piece)

    def _flush(self) -> None:
        with self._lock:
            os.fsync(self._target())
            self._flushed = True

    def _flush_some(self) -> None:
        """Have the disk take what was written so far, beside all else."""
        with self._lock:
            descriptor = os.dup(self._target())
        try:
            os.fdatasync(descriptor)
            if self._size > _CACHED:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def _target(self) -> int:
        if self._abandoned:
            raise OSError(errno.ECANCELED, "its writer has gone")
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._temporary, flags, 0o600)
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def unlink(paths: Iterable[Path]) -> int:
    """Remove files; return how many were there."""
    removed = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            removed += 1
    return removed


def _move(temporary: Path, final: Path) -> None:
    folder = final.parent
    with _MAKING:  # nobody relies on a folder before its own name is on disk
        if not folder.is_dir():
            folder.mkdir()
            flush_folder(folder.parent)
    temporary.rename(final)
    flush_folder(folder)
