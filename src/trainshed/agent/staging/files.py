"""Brings channels in as files: lists them, has a crew fetch them, and keeps a record."""

import contextlib
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from trainshed.agent.channels.items import BadInput, Item, gone, items, source_of
from trainshed.agent.channels.order import Order
from trainshed.agent.crew import Crew
from trainshed.agent.node import Node
from trainshed.agent.staging import space
from trainshed.agent.staging.objects import CachedObjects
from trainshed.agent.staging.progress import Progress
from trainshed.agent.staging.record import Record, version
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import ObjectChanged

_WORKERS: Final = 16
_TRIES: Final = 3
"""How often an object may be replaced just while it is read."""
_MODE: Final = 0o644
_CLASHES: Final = (FileExistsError, NotADirectoryError, IsADirectoryError)
_PREFIX: Final = "ClientError: Data download failed:"


class Staging:
    """Brings a node's channels, one after the other. A context: within it, progress is told."""

    def __init__(self, node: Node, *, patience_s: float) -> None:
        """Bring to ``node``; wait ``patience_s`` seconds for a store that is away."""
        self.node = node
        self.objects = RemoteObjects.for_node(
            node.plan, cancelled=self._left, patience_s=patience_s, complain=node.log.say
        )
        self.cached = CachedObjects(node.plan, self.objects, cancelled=self._left, say=node.log.say)
        self.parts = node.folder / "staged" / "parts"
        self.progress = Progress(node.journal, self.parts)
        self._channel: _Channel | None = None
        self.parts.parent.mkdir(exist_ok=True)

    def __enter__(self) -> "Staging":
        self.progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.__exit__()

    def bring(self, channel: Mapping[str, Any]) -> None:
        """Have all files of a channel in its folder, and the list of them beside it.

        What an agent before us brought is kept where the store still has the same. When this
        raises, nothing is left that might be taken for the channel.

        Raises:
            BadInput: the channel, or this machine's disk, is at fault.
            StoreError: the store refused, or stayed away.
        """
        self._channel = _Channel(self, channel)
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(self._channel.remove)
                self._channel.bring()
                undo.pop_all()
        finally:
            self._channel = None

    def _left(self) -> bool:
        """Tell whether what is under way is of no use any more."""
        return self.node.stop.called_off or (self._channel is not None and self._channel.failed)


class _Unlike(Exception):
    """What an agent before us brought is not what is there now."""


class _Channel:
    """One channel on its way."""

    def __init__(self, staging: Staging, channel: Mapping[str, Any]) -> None:
        node = staging.node
        self._name = str(channel["ChannelName"])
        self._source = source_of(channel)
        self._order = Order.of(channel, node.plan)
        self._node, self._objects, self._cached = node, staging.objects, staging.cached
        self._folder = node.tree.channel(self._name)
        self._record_path = node.folder / "staged" / f"{self._name}.record"
        self._list_path = node.folder / "staged" / f"{self._name}.list"
        self._parts, self._progress = staging.parts, staging.progress
        self._crew: Crew[Item] | None = None
        self._lock = threading.Lock()
        self._listed = self._under_way = self._done = 0
        """Bytes: known to come, being fetched, fetched."""
        self._free = 0

    @property
    def failed(self) -> bool:
        """Whether there was trouble: what is under way is of no use then."""
        return self._crew is not None and self._crew.failed

    def bring(self) -> None:
        try:
            self._bring()
        except OSError as error:
            raise self._unwritten(error, f"{self._folder} cannot be written to") from error

    def _bring(self) -> None:
        record = Record(self._record_path, self._folder)
        resumed = bool(record)
        try:
            self._run(record)
        except (BadInput, _Unlike):
            if not resumed:
                raise
            # Two versions of the data, one over the other, are no reason yet.
            self._record_path.unlink(missing_ok=True)
            self._run(Record(self._record_path, self._folder))

    def remove(self) -> None:
        """Leave nothing of it that might be taken for the whole."""
        for path in (self._record_path, self._list_path):
            path.unlink(missing_ok=True)
        for folder in (self._folder, self._parts):
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, record: Record) -> None:
        self._parts.mkdir(exist_ok=True, mode=0o700)
        self._listed = self._under_way = self._done = 0
        self._free = self._cached.free(self._folder)
        with record, self._list_path.open("w", errors="surrogateescape") as listed:
            kept = self._hand_out(record, listed)
        if kept != len(record):
            raise _Unlike
        if (final := self._list()) is not None:
            self._list_path.replace(final)
        shutil.rmtree(self._parts)

    def _hand_out(self, record: Record, listed: TextIO) -> int:
        """Have everything fetched; return how many files were there already."""
        kept, folder_of_last = 0, ""
        wanted = items(self._source, self._objects, self._order)
        with Crew[Item](lambda item: self._fetch(item, record), _WORKERS) as crew:
            self._crew = crew
            for item in wanted:
                folder = item.path.rpartition("/")[0]
                if folder != folder_of_last:
                    self._make_folder(item, folder)
                    folder_of_last = folder
                if item.path.endswith("/"):
                    continue
                listed.write(f"{item.path}\n")
                if record.has(item):
                    kept += 1
                    self._progress.add(max(item.size, 0))
                    continue
                self._claim(item)
                crew.take(item)
        return kept

    def _claim(self, item: Item) -> None:
        """Count an object in; find out early that not all will fit."""
        self._listed += max(item.size, 0)
        if self._listed <= self._free:
            return
        with self._lock:
            to_come = self._listed - self._done - self._under_way
        if to_come > self._cached.free(self._folder) and not space.clones(self._folder):
            raise space.no_room(self._name, self._folder, self._listed)

    def _make_folder(self, item: Item, folder: str) -> None:
        try:
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritten(error, _unfit(item, error)) from error

    def _fetch(self, item: Item, record: Record) -> None:
        size = max(item.size, 0)
        with self._lock:
            self._under_way += size
        try:
            got = self._fetched(item, record)
        except ObjectMissing as error:
            raise gone(item.address, self._source) from error
        except OSError as error:
            raise self._unwritten(error, _unfit(item, error)) from error
        with self._lock:
            self._under_way -= size
            self._done += got

    def _fetched(self, item: Item, record: Record) -> int:
        """Fetch an object, whichever version of it stays long enough; return its size."""
        entry, size = item.entry, None
        for _ in range(_TRIES - 1):
            try:
                size = self._brought(item, entry)
                break
            except ObjectChanged:
                entry = self._objects.stat(item.address)
        if size is None:
            size = self._brought(item, entry)
        record.add(item, size)
        self._progress.add(size)
        return size

    def _brought(self, item: Item, entry: Entry | None) -> int:
        target = f"{self._folder}/{item.path}"
        if entry is not None:
            content = self._cached.whole(item.address, entry, self._folder)
            if content is not None:
                # Until it is in the record, an agent after us takes it for nothing.
                _write(target, content)
                return len(content)
        # Not where it belongs yet: what has arrived of it stays for an agent after us.
        part = self._parts / f"{version(item):016x}"
        part.unlink(missing_ok=True)
        entry = self._cached.fetch(item.address, part, entry)
        size = _checked(item, part, entry)
        part.chmod(_MODE)
        os.link(part, target)
        part.unlink()
        return size

    def _unwritten(self, error: OSError, otherwise: str) -> BadInput:
        """Return the reason for something that could not be written."""
        if space.is_full(error):
            return space.no_room(self._name, self._folder, self._listed)
        why = "" if isinstance(error, _CLASHES) else f": {error.strerror}"
        return BadInput(f"{_PREFIX}{otherwise}{why}")

    def _list(self) -> Path | None:
        """Return where the list of the files goes; nowhere if another channel is called so."""
        found = self._folder.with_name(f"{self._folder.name}-manifest")
        taken = any(channel["ChannelName"] == found.name for channel in self._node.plan.channels)
        return None if taken else found


def _write(path: str, content: bytes | bytearray) -> None:
    """Make a file that is not there yet."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(file, _MODE)  # whatever the mask
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _checked(item: Item, target: Path, entry: Entry | None) -> int:
    """Return the size of what was fetched.

    Raises:
        ObjectChanged: it is not what was listed.
    """
    got = os.stat(target).st_size  # noqa: PTH116 - for each of a million
    if entry is not None and got != entry.size:
        raise ObjectChanged(
            f"{item.address} came with {got} bytes; it was listed with {entry.size}"
        )
    return got


def _unfit(item: Item, error: OSError) -> str:
    """Return what is wrong with a key that the channel's folder does not take, without an end."""
    if isinstance(error, _CLASHES):
        return (
            f"S3 key: {item.address} would be written to {item.path!r}, where another object of "
            "the channel lies"
        )
    return f"S3 key: {item.address} cannot be written to {item.path!r}"
