"""Bytes on disk under opaque names: whole and safe, or not there.

A file is written under ``incoming/``, flushed, moved to ``ab/<id>`` and its folder flushed. Names
are made here and never come from a key, so nothing is ever written outside the folder. A file that
no row names is an orphan of a crash, and ``sweep`` removes it.
"""

import asyncio
import contextlib
import errno
import os
import secrets
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from trainshed.domain import digests
from trainshed.domain.errors import StoreError
from trainshed.stores.flushing import flush_folder
from trainshed.stores.objects.info import NoSpace, Staged
from trainshed.stores.objects.space import Room
from trainshed.stores.objects.writing import Writing, unlink

T = TypeVar("T")

_BATCH: Final = 1024 * 1024
"""Bytes handed to threads at once, where few files are written."""
_LEAST_BATCH: Final = 64 * 1024
_AHEAD: Final = 16
"""Batches that may wait for their threads, so that MD5 never waits for what is still to come."""
_HELD: Final = 32 * 1024 * 1024
"""Bytes that may wait for their threads, of all files together; as many may be gathered."""
_SMALL: Final = 16 * 1024
"""Bytes of a piece below which copying it costs less than keeping it apart."""
_THREADS: Final = 16
"""They mostly wait for the disk, whose flushes are cheaper together."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


class Files:
    """A folder of files that are never changed once they are there. Used on one event loop."""

    def __init__(
        self, folder: Path, *, linger: float, freed: Callable[[], None] = lambda: None
    ) -> None:
        """Use ``folder``, made when missing.

        Args:
            folder: where.
            linger: seconds for which removed files stay.
            freed: called on a thread when some have gone.
        """
        self._folder = folder
        self._linger = linger
        self._freed = freed
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        flush_folder(folder.parent)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")
        self._stages = 0
        """How many are under way."""
        self._unclaimed: set[str] = set()
        self._leaving: set[str] = set()

    def path(self, file: str) -> Path:
        """Return where the bytes of ``file`` are."""
        return self._folder / file[:2] / file

    def in_hand(self) -> frozenset[str]:
        """Return the files that no row names yet, or no longer, and that are in use here."""
        return frozenset(self._unclaimed | self._leaving)

    async def stage(
        self, chunks: AsyncIterable[bytes], room: Room, algorithms: Collection[str] = ()
    ) -> Staged:
        """Write all chunks to a new file; memory stays within 24 MiB, less where many are written.

        The caller must ``claim`` or ``discard`` it.

        Args:
            chunks: the bytes.
            room: what its writer has been granted.
            algorithms: of the digests that are wanted beside MD5, as in ``domain.digests``.

        Raises:
            NoSpace: there is no room for them.
            StoreError: the disk refused.
        """
        writing = self._new(algorithms)
        gathered = _Gathered()
        size = 0
        waiting: deque[Future[None]] = deque()
        staged: Staged | None = None
        self._stages += 1
        try:
            async for chunk in chunks:
                gathered.add(chunk)
                batch = min(_BATCH, max(_HELD // self._stages, _LEAST_BATCH))
                if gathered.size >= batch:
                    size += gathered.size
                    await room.come(size)
                    waiting.extend(writing.put(gathered.taken()))
                ahead = min(_AHEAD, max(_HELD // self._stages // batch, 1))
                if len(waiting) > 2 * ahead:
                    # For half of them at once: whenever this wakes, a thread has to stop.
                    older = list(islice(waiting, len(waiting) - ahead))
                    for job in reversed(older):
                        await self._written(job)
                    for _ in older:
                        waiting.popleft()
            await room.come(size + gathered.size)
            if size:  # long enough for the disk to work while the rest is hashed
                waiting.extend(writing.put(gathered.taken()))
                waiting.append(writing.flush())
            for job in (*waiting, *writing.flushes):
                await self._written(job)
            staged = await self._written(self._run(writing.finish, gathered.taken()))
        finally:
            self._stages -= 1
            if staged is None:
                self._abandon(writing)
            for job in (*waiting, *writing.flushes):
                job.cancel()
        return staged

    async def join(self, files: Sequence[str]) -> Staged:
        """Write the bytes of several files, one after the other, to a new one, without digests.

        The caller must ``claim`` or ``discard`` it.

        Raises:
            NoSpace: there is no room for it.
            StoreError: the disk refused, or a file is gone.
        """
        writing = self._new()
        staged: Staged | None = None
        try:
            for file in files:
                await self._written(self._run(writing.append, self.path(file)))
            staged = await self._written(self._run(writing.finish))
        finally:
            if staged is None:
                self._abandon(writing)
        return staged

    async def digest(self, file: str, algorithm: str) -> bytes:
        """Return a digest of a file's bytes.

        Raises:
            StoreError: the file is gone.
        """
        return await self._written(self._run(_digest, self.path(file), algorithm))

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
        await self._run(unlink, [self.path(staged.file)])

    @contextlib.asynccontextmanager
    async def discarded_on_error(self, staged: Staged) -> AsyncIterator[None]:
        """Remove ``staged`` when the block raises."""
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.discard, staged)
            yield
            undo.pop_all()

    def remove_later(self, files: Collection[str]) -> None:
        """Remove files that no row names any more, after the linger time.

        A reader that was told the path a moment ago still finds the file.
        """
        if files:
            self._leaving.update(files)
            asyncio.get_running_loop().call_later(self._linger, self._remove, tuple(files))

    async def sweep(self, named: Callable[[str], Awaitable[Collection[str]]]) -> int:
        """Remove files that no row names; return how many. Safe beside running transfers.

        ``named(first two letters)`` returns the files that rows name.
        """
        removed = 0
        for folder in await self._run(_subfolders, self._folder):
            found = await self._run(os.listdir, folder)
            rows = set() if folder == self._incoming else set(await named(folder.name))
            kept = rows | self._unclaimed | self._leaving
            orphans = [folder / name for name in found if name not in kept]
            removed += await self._run(unlink, orphans)
        return removed

    def close(self) -> None:
        """Remove what was to be removed later, and end the threads."""
        unlink([self.path(file) for file in self._leaving])
        self._leaving.clear()
        self._pool.shutdown()

    def _new(self, algorithms: Collection[str] = ()) -> Writing:
        file = secrets.token_hex(16)
        self._unclaimed.add(file)
        return Writing(self._incoming / file, self.path(file), self._pool, algorithms)

    def _abandon(self, writing: Writing) -> None:
        """Remove what an error or a cancelled request left, without waiting for it."""
        self._unclaimed.discard(writing.file)
        self._pool.submit(writing.abandon)

    def _remove(self, files: tuple[str, ...]) -> None:
        self._leaving.difference_update(files)
        self._pool.submit(unlink, [self.path(file) for file in files])
        self._pool.submit(self._freed)

    def _run(self, work: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def _written(self, job: "asyncio.Future[T] | Future[T]") -> T:
        """Wait for a thread; only its own errors become ours, not those of who sends bytes."""
        try:
            if job.done():  # as it mostly is for a write beside MD5
                return job.result()
            return await (asyncio.wrap_future(job) if isinstance(job, Future) else job)
        except OSError as error:
            if error.errno in _FULL:
                raise NoSpace(
                    f"The store's disk is full ({error.strerror}); nothing was changed. Delete "
                    "objects, or make room on the disk."
                ) from error
            raise StoreError(f"{self._folder}: the disk refused: {error}") from error


class _Gathered:
    """Bytes as they come, until there are enough to be handed over."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._small = bytearray()
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Add what came; what is large is not copied."""
        self.size += len(chunk)
        if len(chunk) < _SMALL:
            self._small += chunk
        else:
            self._join()
            self._pieces.append(chunk)

    def taken(self) -> list[bytes]:
        """Return what was gathered, and begin again."""
        self._join()
        pieces, self._pieces, self.size = self._pieces, [], 0
        return pieces

    def _join(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()


def _digest(path: Path, algorithm: str) -> bytes:
    running = digests.begin(algorithm)
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_BATCH):
            running.update(piece)
    return running.digest()


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())
