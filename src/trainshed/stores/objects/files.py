"""Bytes on disk under opaque names: whole and safe, or not there.

A file is written under ``incoming/``, flushed, moved to ``ab/<id>`` and its folder flushed. Names
are made here and never come from a key, so nothing is ever written outside the folder. A file that
no row names is an orphan of a crash, and ``sweep`` removes it.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from trainshed.domain.errors import StoreError
from trainshed.stores.flushing import flush_folder
from trainshed.stores.objects.info import Staged

T = TypeVar("T")

_BATCH: Final = 2 * 1024 * 1024
"""Bytes handed to a thread at once. Two batches live at a time: one fills while one is written."""
_THREADS: Final = 16
"""They mostly wait for the disk, whose flushes are cheaper together."""
_COPY: Final = 64 * 1024 * 1024
"""Bytes per kernel copy call; keeps a cancelled copy from running on for long."""
_NO_KERNEL_COPY: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_MAKING: Final = threading.Lock()


class Files:
    """A folder of files that are never changed once they are there. Used on one event loop."""

    def __init__(self, folder: Path, *, linger: float) -> None:
        """Use ``folder``, made when missing; keep removed files for ``linger`` seconds."""
        self._folder = folder
        self._linger = linger
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        flush_folder(folder.parent)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")
        self._unclaimed: set[str] = set()
        self._leaving: set[str] = set()

    def path(self, file: str) -> Path:
        """Return where the bytes of ``file`` are."""
        return self._folder / file[:2] / file

    async def stage(self, chunks: AsyncIterable[bytes]) -> Staged:
        """Write all chunks to a new file; memory stays within a few MiB.

        The caller must ``claim`` or ``discard`` it.

        Raises:
            StoreError: the disk refused.
        """
        writing = self._new()
        buffer = bytearray()
        job: asyncio.Future[None] | None = None
        staged: Staged | None = None
        try:
            async for chunk in chunks:
                buffer += chunk
                if len(buffer) >= _BATCH:
                    if job is not None:
                        await self._written(job)
                    job = self._run(writing.write, buffer)
                    buffer = bytearray()
            if job is not None:
                await self._written(job)
            staged = await self._written(self._run(writing.finish, buffer))
        finally:
            if staged is None:
                self._abandon(writing)
            if job is not None:
                job.cancel()
        return staged

    async def join(self, files: Sequence[str]) -> Staged:
        """Write the bytes of several files, one after the other, to a new one (``md5`` is "").

        The caller must ``claim`` or ``discard`` it.

        Raises:
            StoreError: the disk refused, or a file is gone.
        """
        writing = self._new()
        staged: Staged | None = None
        try:
            for file in files:
                await self._written(self._run(writing.append, self.path(file)))
            staged = await self._written(self._run(writing.finish, b""))
        finally:
            if staged is None:
                self._abandon(writing)
        return staged

    async def read(self, file: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """Iterate over a stretch of a file.

        Raises:
            StoreError: the file is gone, or shorter.
        """
        descriptor = await self._written(self._run(os.open, self.path(file), os.O_RDONLY))
        try:
            while length:
                chunk = await self._run(os.pread, descriptor, min(length, _BATCH), offset)
                if not chunk:
                    raise StoreError(f"{self.path(file)}: ends at {offset}")
                yield chunk
                offset, length = offset + len(chunk), length - len(chunk)
        finally:
            os.close(descriptor)

    def claim(self, staged: Staged) -> None:
        """Say that a row names the file now."""
        self._unclaimed.discard(staged.file)

    async def discard(self, staged: Staged) -> None:
        """Remove a file that no row names."""
        self._unclaimed.discard(staged.file)
        await self._run(_unlink, [self.path(staged.file)])

    @contextlib.asynccontextmanager
    async def discarded_on_error(self, staged: Staged) -> AsyncIterator[None]:
        """Remove ``staged`` when the block raises."""
        try:
            yield
        except BaseException:
            await self.discard(staged)
            raise

    def remove_later(self, files: Collection[str]) -> None:
        """Remove files that no row names any more, after the linger time.

        A reader that was told the path a moment ago still finds the file.
        """
        if files:
            self._leaving.update(files)
            asyncio.get_running_loop().call_later(self._linger, self._remove, tuple(files))

    async def sweep(self, named: Callable[[str], Collection[str]]) -> int:
        """Remove files that no row names; return how many. Safe beside running transfers.

        ``named(first two letters)`` returns the files that rows name.
        """
        removed = 0
        for folder in await self._run(_subfolders, self._folder):
            found = await self._run(os.listdir, folder)
            rows = set() if folder == self._incoming else set(named(folder.name))
            kept = rows | self._unclaimed | self._leaving
            orphans = [folder / name for name in found if name not in kept]
            removed += await self._run(_unlink, orphans)
        return removed

    def close(self) -> None:
        """Remove what was to be removed later, and end the threads."""
        _unlink([self.path(file) for file in self._leaving])
        self._leaving.clear()
        self._pool.shutdown()

    def _new(self) -> "_Writing":
        file = secrets.token_hex(16)
        self._unclaimed.add(file)
        return _Writing(file, self._incoming / file, self.path(file))

    def _abandon(self, writing: "_Writing") -> None:
        """Remove what an error or a cancelled request left, without waiting for it."""
        self._unclaimed.discard(writing.file)
        self._pool.submit(writing.abandon)

    def _remove(self, files: tuple[str, ...]) -> None:
        self._leaving.difference_update(files)
        self._pool.submit(_unlink, [self.path(file) for file in files])

    def _run(self, work: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def _written(self, job: "asyncio.Future[T]") -> T:
        """Wait for a thread; only its own errors become ours, not those of who sends bytes."""
        try:
            return await job
        except OSError as error:
            raise StoreError(f"{self._folder}: the disk refused: {error}") from error


class _Writing:
    """One new file, from the first byte to its final name. Its methods run on threads."""

    def __init__(self, file: str, temporary: Path, final: Path) -> None:
        self.file = file
        self._temporary = temporary
        self._final = final
        self._lock = threading.Lock()
        self._abandoned = False
        self._descriptor = -1
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._hashed = True

    def write(self, data: bytes | bytearray) -> None:
        with self._lock:
            self._write(data)

    def append(self, source: Path) -> None:
        """Write all bytes of another file, copied by the kernel where it can."""
        with self._lock:
            self._hashed = False
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while copied := self._copy(descriptor):
                    self._size += copied
            finally:
                os.close(descriptor)

    def finish(self, data: bytes | bytearray) -> Staged:
        """Write the last bytes, and give the file its name once all of it is on disk."""
        with self._lock:
            self._write(data)
            os.fsync(self._descriptor)
            self._close()
            _move(self._temporary, self._final)
            md5 = self._md5.hexdigest() if self._hashed else ""
            return Staged(file=self.file, size=self._size, md5=md5)

    def abandon(self) -> None:
        """Remove the file, however far it came; whatever still runs ends soon, for nothing."""
        self._abandoned = True
        with self._lock:
            self._close()
            _unlink([self._temporary, self._final])

    def _target(self) -> int:
        if self._abandoned:
            raise OSError(errno.ECANCELED, "its writer has gone")
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._temporary, flags, 0o600)
        return self._descriptor

    def _write(self, data: bytes | bytearray) -> None:
        descriptor = self._target()
        self._md5.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        self._size += len(data)

    def _copy(self, source: int) -> int:
        target = self._target()
        try:
            return os.copy_file_range(source, target, _COPY)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
        return os.sendfile(target, source, None, _COPY)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _move(temporary: Path, final: Path) -> None:
    folder = final.parent
    with _MAKING:  # nobody relies on a folder before its own name is on disk
        if not folder.is_dir():
            folder.mkdir()
            flush_folder(folder.parent)
    temporary.rename(final)
    flush_folder(folder)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _unlink(paths: Iterable[Path]) -> int:
    """Remove files; return how many were there."""
    removed = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            removed += 1
    return removed
