"""Groups and streams of log lines, as folders of append-only files.

``<root>/<group>/<stream>/<offset of its first byte>.log``. Several servers may share one root: each
change is made under the lock of the folder it changes, and begins with what the files say then;
nothing is remembered that another server could change.

What was asked for is on disk when the call returns, with one exception: what ``append`` keeps
survives the server's death, but a power cut may take the last seconds of it. Agents hear from
``append`` how much is held, and send the rest again; flushing for every report would cost more than
it saves.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple, Unpack

from trainshed.domain.errors import StoreError
from trainshed.stores.flushing import flush_folder
from trainshed.stores.logs.folders import OURS, created, folder_name, names_in, write_label
from trainshed.stores.logs.format import decode, encode, pieces
from trainshed.stores.logs.listing import Listing, note
from trainshed.stores.logs.locking import FolderBusy, locked, stands
from trainshed.stores.logs.reading import COPIED, UNORDERED, StreamDeleted, StreamReader
from trainshed.stores.logs.writing import extend, last_segment

A = TypeVarTuple("A")
T = TypeVar("T")

SEGMENT_BYTES: Final = 64 * 1024 * 1024
_PATIENCE_S: Final = 10.0
"""How long a change waits for another server that changes the same."""
_BUSY_S: Final = 0.02
_WRITERS: Final = 2
"""Threads that append. They hold up the one that answers everybody whenever they run Python, and
more of them would hold up each other."""
_TRIES: Final = 100
"""How often a stream that somebody deletes all the time is made again for one report."""
_GOING: Final = f"{OURS}going"


class CopiedStream(StoreError):
    """The stream is the copy of an agent's file, and takes nothing but that file's bytes."""


@dataclass(frozen=True, slots=True)
class Group:
    """A log group."""

    name: str
    created: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A log stream. Times are milliseconds since the epoch."""

    name: str
    created: int
    first: int | None
    """The time of the first event; None when there is none yet."""
    last: int | None
    """The latest time of an event."""


class Logs:
    """All groups and streams below one folder."""

    def __init__(self, root: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Keep logs below ``root``; begin a new file after ``segment_bytes``."""
        self._root = root
        self._segment_bytes = segment_bytes
        self._listings: dict[str, Listing] = {}
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="logs")
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(f"{_GOING}*"):  # by a crash in the middle of a deletion
            shutil.rmtree(left, ignore_errors=True)

    async def append(self, group: str, stream: str, offset: int, data: bytes) -> int:
        """Keep ``data``, which is what an agent's file holds from ``offset`` on.

        Bytes that are held already are passed over, and data that would leave a gap is not taken;
        so any report may be repeated. Group and stream are made with the first byte.

        Returns:
            How many bytes of the file are held now.

        Raises:
            StoreError: the disk refused; how much is held, ``held`` tells.
        """
        return await self._run(self._append, group, stream, offset, data, threads=self._writers)

    async def held(self, group: str, stream: str) -> int:
        """Return how many bytes of a stream are held; 0 when there is no such stream."""
        reader = await self.reader(group, stream)
        return reader.size if reader else 0

    async def put(self, group: str, stream: str, events: Iterable[tuple[int, str]]) -> bool:
        """Add events (milliseconds since the epoch, text) to a stream, sorted by time.

        Returns:
            False, with nothing added, when there is no such stream.

        Raises:
            CopiedStream: the stream is the copy of an agent's file.
            StoreError: the disk refused; the first of the events may have been kept.
        """
        batch = sorted(events, key=lambda event: event[0])
        return await self._run(self._put, group, stream, batch)

    async def create_group(self, group: str, ms: int) -> bool:
        """Make an empty group at the time ``ms``; return False when there is one."""
        return await self._run(self._create_group, group, ms)

    async def create_stream(self, group: str, stream: str, ms: int) -> bool:
        """Make an empty stream in a group that exists; return False when there is one."""
        return await self._run(self._create_stream, group, stream, ms)

    async def delete_group(self, group: str) -> bool:
        """Delete a group and its streams; return False when there is none."""
        return await self._run(self._delete_group, group)

    async def delete_stream(self, group: str, stream: str) -> bool:
        """Delete a stream; return False when there is none."""
        return await self._run(self._delete_stream, group, stream)

    async def groups(self) -> list[Group]:
        """Return all groups, sorted by name."""
        return await self._run(self._groups)

    async def has_group(self, group: str) -> bool:
        """Tell whether there is such a group."""
        return await self._run((self._root / folder_name(group)).is_dir)

    async def stream_names(self, group: str, prefix: str = "") -> list[str] | None:
        """Return the names of a group's streams that begin with ``prefix``, sorted.

        None when there is no such group.
        """
        return await self._run(self._stream_names, group, prefix)

    async def streams(self, group: str, names: Sequence[str]) -> list[Stream]:
        """Return what is known of the streams of these names; missing ones are left out."""
        return await self._run(self._streams, group, names)

    async def reader(self, group: str, stream: str) -> StreamReader | None:
        """Return a view of a stream as it stands; None when there is none."""
        return await self._run(self._reader, group, stream)

    async def readers(self, group: str, names: Sequence[str]) -> dict[str, StreamReader]:
        """Return views of the streams of these names, missing ones left out."""
        return await self._run(self._readers, group, names)

    async def _run(
        self,
        work: Callable[[Unpack[A]], T],
        *args: *A,
        threads: ThreadPoolExecutor | None = None,
    ) -> T:
        loop = asyncio.get_running_loop()
        end = time.monotonic() + _PATIENCE_S
        try:
            while True:
                try:
                    return await loop.run_in_executor(threads, work, *args)
                except FolderBusy:
                    if time.monotonic() > end:
                        raise
                await asyncio.sleep(_BUSY_S)
        except OSError as error:
            raise StoreError(f"the logs below {self._root} cannot be used: {error}") from error

    def _folder(self, group: str, stream: str) -> Path:
        return self._root / folder_name(group) / folder_name(stream)

    def _reader(self, group: str, stream: str) -> StreamReader | None:
        try:
            return StreamReader(self._folder(group, stream))
        except FileNotFoundError:
            return None

    def _readers(self, group: str, names: Sequence[str]) -> dict[str, StreamReader]:
        found = ((name, self._reader(group, name)) for name in names)
        return {name: reader for name, reader in found if reader}

    def _append(self, group: str, stream: str, offset: int, data: bytes) -> int:
        folder = self._folder(group, stream)
        for _ in range(_TRIES):
            try:
                return self._extended(folder, offset, data)
            except FileNotFoundError:
                if offset or not data:
                    return 0
            ms, _text = decode(data[: data.find(b"\n") + 1])
            self._create_group(group, ms)
            with contextlib.suppress(FileNotFoundError):  # the group is gone already
                self._create_stream(group, stream, ms, COPIED)
        raise StoreError(f"{stream} in {group} is deleted again and again")

    def _extended(self, folder: Path, offset: int, data: bytes) -> int:
        """Keep what is new of ``data``; return how much is held.

        Raises:
            FileNotFoundError: there is no such stream, or it was deleted meanwhile.
        """
        with locked(folder) as lock:
            last = last_segment(folder, lock, self._segment_bytes)
            if offset <= last.end < offset + len(data):
                new = memoryview(data)[last.end - offset :]
                extend(folder, lock, last, new, limit=self._segment_bytes)
                if not stands(folder, lock):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
                return offset + len(data)
            return last.end

    def _put(self, group: str, stream: str, batch: Sequence[tuple[int, str]]) -> bool:
        folder = self._folder(group, stream)
        try:
            with locked(folder) as lock:
                reader = StreamReader(folder)
                if reader.copied:
                    raise CopiedStream(f"{stream} in {group} is the copy of what a node wrote")
                self._put_behind(reader, folder, lock, batch)
        except FileNotFoundError:
            return False
        return True

    def _put_behind(
        self, reader: StreamReader, folder: Path, lock: int, batch: Sequence[tuple[int, str]]
    ) -> None:
        latest = reader.last_ms if reader.ordered else None
        if batch and latest is not None and batch[0][0] < latest:
            (folder / UNORDERED).touch()
            flush_folder(folder)  # before the line that makes it true
        lines = [
            encode(ms, part)
            for ms, text in batch
            for part in pieces(text.encode("utf-8", "replace"))
        ]
        last = last_segment(folder, lock, self._segment_bytes)
        if last.end != reader.end:  # a crash left half a line: end it
            lines.insert(0, b"\n")
        data = memoryview(b"".join(lines))
        extend(folder, lock, last, data, limit=self._segment_bytes, flush=True)

    def _create_group(self, group: str, ms: int) -> bool:
        with locked(self._root):
            return _create(self._root, group, ms)

    def _create_stream(self, group: str, stream: str, ms: int, *marks: str) -> bool:
        parent = self._root / folder_name(group)
        with locked(parent):
            if (parent / folder_name(stream)).exists():
                return False
            note(parent, stream, made=True)
            return _create(parent, stream, ms, *marks)

    def _delete_group(self, group: str) -> bool:
        folder = self._root / folder_name(group)
        try:
            with locked(self._root), locked(folder):
                going = self._take_away(folder)
        except FileNotFoundError:
            return False
        shutil.rmtree(going, ignore_errors=True)  # what can't be removed now, the next start does
        return True

    def _delete_stream(self, group: str, stream: str) -> bool:
        folder = self._folder(group, stream)
        try:
            with locked(folder.parent), locked(folder):
                going = self._take_away(folder)
                note(folder.parent, stream, made=False)
        except FileNotFoundError:
            return False
        shutil.rmtree(going, ignore_errors=True)
        return True

    def _take_away(self, folder: Path) -> Path:
        """Have a folder stand for nothing any more; return where it is now."""
        going = self._root / f"{_GOING}-{secrets.token_hex(8)}"
        folder.rename(going)
        flush_folder(folder.parent)
        return going

    def _groups(self) -> list[Group]:
        return [
            Group(name, created(self._root / folder_name(name))) for name in names_in(self._root)
        ]

    def _stream_names(self, group: str, prefix: str) -> list[str] | None:
        listing = self._listings.setdefault(group, Listing(self._root / folder_name(group)))
        try:
            return listing.names(prefix)
        except FileNotFoundError:
            self._listings.pop(group, None)
            return None

    def _streams(self, group: str, names: Sequence[str]) -> list[Stream]:
        found = []
        for name, reader in self._readers(group, names).items():
            with contextlib.suppress(FileNotFoundError, StreamDeleted):
                made = created(self._folder(group, name))
                found.append(Stream(name, made, reader.first_ms, reader.last_ms))
        return found


def _create(parent: Path, name: str, ms: int, *marks: str) -> bool:
    """Make a labelled folder; whoever looks, even after a power cut, sees nothing or all.

    The parent's lock is held.
    """
    folder, making = parent / folder_name(name), parent / f"{OURS}making"
    if folder.exists():
        return False
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    write_label(making, name, ms)
    for mark in marks:
        (making / mark).touch()
    flush_folder(making)
    making.rename(folder)
    flush_folder(parent)
    return True
