"""Groups and streams of log lines, as folders of append-only files.

``<root>/<group>/<stream>/<offset of its first byte>.log``. What was asked for is on disk when the
call returns, with one exception: what ``append`` keeps survives the server's death, but a power cut
may take the last seconds of it. Agents hear from ``append`` how much is held, and send the rest
again; flushing for every report would cost more than it saves.
"""

import asyncio
import os
import shutil
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from trainshed.domain.errors import StoreError
from trainshed.stores.flushing import flush_folder
from trainshed.stores.logs.folders import OURS, created, folder_name, names_in, write_label
from trainshed.stores.logs.format import decode, encode, pieces
from trainshed.stores.logs.reading import COPIED, UNORDERED, StreamReader, segment_name

P = ParamSpec("P")
T = TypeVar("T")

SEGMENT_BYTES: Final = 64 * 1024 * 1024


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
    """All groups and streams below one folder, which one server at a time may write."""

    def __init__(self, root: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Keep logs below ``root``; begin a new file after ``segment_bytes``."""
        self._root = root
        self._segment_bytes = segment_bytes
        self._lock = threading.RLock()
        """Held by whoever changes anything; readers need none, because files only grow."""
        self._names: dict[str, _Listing] = {}
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(f"{OURS}*"):  # by a crash in the middle of a deletion
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
        return await self._run(self._append, group, stream, offset, data)

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
        return await self._run(self._put, group, stream, events)

    async def create_group(self, group: str, ms: int) -> bool:
        """Make an empty group at the time ``ms``; return False when there is one."""
        return await self._run(self._create_group, group, ms)

    async def create_stream(self, group: str, stream: str, ms: int) -> bool:
        """Make an empty stream in a group that exists; return False when there is one."""
        return await self._run(self._create_stream, group, stream, ms)

    async def delete_group(self, group: str) -> bool:
        """Delete a group and its streams; return False when there is none."""
        return await self._run(self._delete, group, self._root / folder_name(group))

    async def delete_stream(self, group: str, stream: str) -> bool:
        """Delete a stream; return False when there is none."""
        return await self._run(self._delete, group, self._folder(group, stream))

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

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
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
        with self._lock:
            reader = self._reader(group, stream)
            held = reader.size if reader else 0
            if not offset <= held < offset + len(data):
                return held
            if reader is None:
                ms, _ = decode(data.split(b"\n", 1)[0])
                self._create_group(group, ms)
                self._create_stream(group, stream, ms, COPIED)
                reader = StreamReader(self._folder(group, stream))
            folder = self._folder(group, stream)
            self._extend(folder, reader, data[held - offset :], flush=False)
            return offset + len(data)

    def _put(self, group: str, stream: str, events: Iterable[tuple[int, str]]) -> bool:
        batch = sorted(events, key=lambda event: event[0])
        with self._lock:
            reader = self._reader(group, stream)
            if reader is None:
                return False
            if reader.copied:
                raise CopiedStream(f"{stream} in {group} is the copy of what a node wrote")
            folder = self._folder(group, stream)
            latest = reader.last_ms if reader.ordered else None
            if batch and latest is not None and batch[0][0] < latest:
                (folder / UNORDERED).touch()
                flush_folder(folder)  # before the line that makes it true
            lines = [
                encode(ms, part)
                for ms, text in batch
                for part in pieces(text.encode("utf-8", "replace"))
            ]
            if reader.size != reader.end:  # a crash left half a line: end it
                lines.insert(0, b"\n")
            self._extend(folder, reader, b"".join(lines), flush=True)
            return True

    def _extend(self, folder: Path, reader: StreamReader, data: bytes, *, flush: bool) -> None:
        """Write behind the last byte; begin a new segment where a full one ends with a line."""
        start, size = reader.segments[-1] if reader.segments else (0, 0)
        if size >= self._segment_bytes and reader.end == reader.size:
            start, size = start + size, 0
        while data:
            cut = data.find(b"\n", max(self._segment_bytes - size - 1, 0)) + 1
            # A full file is flushed before the next begins, so that no power cut leaves a hole.
            piece = data[: cut or len(data)]
            _write(folder / segment_name(start), piece, flush=flush or bool(cut))
            if flush and not size:
                flush_folder(folder)
            if not cut:
                return
            start, size, data = start + size + cut, 0, data[cut:]

    def _create_group(self, group: str, ms: int) -> bool:
        return self._create(self._root, group, ms)

    def _create_stream(self, group: str, stream: str, ms: int, *marks: str) -> bool:
        parent = self._root / folder_name(group)
        with self._lock:
            before = parent.stat().st_mtime_ns
            if not self._create(parent, stream, ms, *marks):
                return False
            listing = self._names.get(group)
            if listing and listing.changed == before:
                insort(listing.names, stream)
                listing.changed = parent.stat().st_mtime_ns
            return True

    def _create(self, parent: Path, name: str, ms: int, *marks: str) -> bool:
        """Make a labelled folder; whoever looks, even after a power cut, sees nothing or all."""
        with self._lock:
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

    def _delete(self, group: str, folder: Path) -> bool:
        with self._lock:
            self._names.pop(group, None)
            going = self._root / f"{OURS}going"
            shutil.rmtree(going, ignore_errors=True)
            try:
                folder.rename(going)
            except FileNotFoundError:
                return False
            flush_folder(folder.parent)
            shutil.rmtree(going)
            return True

    def _groups(self) -> list[Group]:
        return [
            Group(name, created(self._root / folder_name(name))) for name in names_in(self._root)
        ]

    def _stream_names(self, group: str, prefix: str) -> list[str] | None:
        folder = self._root / folder_name(group)
        with self._lock:
            try:
                changed = folder.stat().st_mtime_ns
                listing = self._names.get(group)
                if listing is None or listing.changed != changed:
                    listing = self._names[group] = _Listing(changed, names_in(folder))
            except FileNotFoundError:
                self._names.pop(group, None)
                return None
            names = listing.names
            first = end = bisect_left(names, prefix)
            while end < len(names) and names[end].startswith(prefix):
                end += 1
            return names[first:end]

    def _streams(self, group: str, names: Sequence[str]) -> list[Stream]:
        return [
            Stream(name, created(self._folder(group, name)), reader.first_ms, reader.last_ms)
            for name, reader in self._readers(group, names).items()
        ]


@dataclass(slots=True)
class _Listing:
    """A group's streams as they were when its folder was last changed."""

    changed: int
    names: list[str]


def _write(path: Path, data: bytes, *, flush: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
