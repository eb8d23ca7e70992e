"""FastFile: a channel whose objects are read as the program reads their files.

The prefix is listed once, before the container starts. What that list told is what the container
sees for as long as it runs: an object that is replaced meanwhile can't be read any more (EIO), and
one that is added is not seen.

    program -> kernel's cache -> libfuse -> Files -> Reading -> object store, or a file of it
"""

import contextlib
import errno
import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from trainshed.agent.channels.items import items, source_of
from trainshed.agent.channels.order import Order
from trainshed.agent.channels.prefix import as_folder
from trainshed.agent.feeding import mounting
from trainshed.agent.feeding.catalogue import Catalogue, Found
from trainshed.agent.feeding.reading import (
    WORKERS,
    LateReading,
    LocalReading,
    Reading,
    RemoteReading,
    Room,
)
from trainshed.agent.feeding.view import Mounted, View
from trainshed.contract.tree import Tree
from trainshed.domain.errors import StoreError
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled

_END_S: Final = 3.0
_DOTS: Final = 2
"""Offsets that "." and ".." have in every folder."""
_LONGEST_NAME: Final = 1024
"""Bytes; a key's longest."""
_BLOCK: Final = 4096


class FastFile:
    """The feed of one channel; see ``base.Feed``."""

    def __init__(
        self, channel: Mapping[str, Any], tree: Tree, plan: NodePlan, objects: RemoteObjects
    ) -> None:
        """Show ``channel`` below ``tree``.

        Args:
            channel: as the request has it.
            tree: where the node's tree lies.
            plan: the node's.
            objects: where the objects are; to be cancelled when the feed is to be closed.
        """
        self._name = str(channel["ChannelName"])
        self._channel, self._plan, self._objects = channel, plan, objects
        self._place, self._base = tree.channel(self._name), tree.base
        self._kept = tree.base.parent / f"fastfile-{self._name}.db"
        self._catalogue: Catalogue | None = None
        self._files: Files | None = None
        self._mounted: Mounted | None = None
        self._closing = threading.Event()

    def open(self) -> None:
        """List the prefix, and mount the view; see ``base.Feed``."""
        mounting.unmount_below(self._place, self._base)
        self._place.mkdir(parents=True, exist_ok=True, mode=0o755)
        order = Order.of(self._channel, self._plan)
        source = as_folder(source_of(self._channel), self._objects)
        self._catalogue = Catalogue(self._kept)
        self._catalogue.fill(items(source, self._objects, order))
        self._files = Files(self._catalogue, _base(parse(source["S3Uri"])), self._objects)
        self._mounted = Mounted(self._files, self._place)

    def serve(self) -> None:
        """Return when it was closed; see ``base.Feed``.

        Raises:
            OSError: somebody else has unmounted the view.
        """
        if self._mounted is None:
            raise RuntimeError("a feed is opened before it serves")
        self._mounted.wait()
        if not self._closing.is_set():
            raise OSError(errno.ENOTCONN, f"the view at {self._place} was unmounted by somebody")

    def close(self) -> None:
        """Take the view away, also from whoever looks at it; see ``base.Feed``."""
        self._closing.set()
        with contextlib.suppress(OSError):  # whoever removes the node tries again, and says so
            mounting.unmount_below(self._place, self._base)
        # Where another mount namespace has the view still, it ends with our process.
        if self._mounted is not None and self._mounted.ended(_END_S):
            if self._files is not None:
                self._files.end()
            if self._catalogue is not None:
                self._catalogue.close()
        self._kept.unlink(missing_ok=True)


class Files(View):
    """The channel's files, as libfuse asks for them."""

    def __init__(self, catalogue: Catalogue, base: Address, objects: RemoteObjects) -> None:
        """Show what is in ``catalogue``; its paths are keys behind ``base``."""
        super().__init__()
        self._catalogue, self._base, self._objects = catalogue, base, objects
        self._room = Room()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="fastfile")
        self._open: dict[int, Reading] = {}
        self._handles = itertools.count(1)
        self._told: set[str] = set()

    def end(self) -> None:
        """Let go of all; nobody asks any more."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Return what stat tells of a path."""
        found = self._found(path)
        if found.is_folder:
            return self.folder(found.modified, found.number)
        return self.file(found.size, found.modified, found.number)

    def readdir_with_offset(
        self, path: str, offset: int, fh: int
    ) -> Iterator[tuple[str, dict[str, int], int]]:
        """Yield (name, kind, offset) of what is in a folder, from behind an offset."""
        folder = self._found(path)
        for at, dots in enumerate((".", ".."), start=1):
            if offset < at:
                yield dots, self.folder(folder.modified, folder.number), at
        after = max(offset - _DOTS, 0)
        for number, name, is_folder in self._catalogue.children(folder.number, after):
            kind = self.folder(0.0, number) if is_folder else self.file(0, 0.0, number)
            yield name, kind, number + _DOTS

    def open(self, path: str, flags: int) -> int:
        """Return a handle of a file."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        found = self._found(path)
        handle = next(self._handles)
        self._open[handle] = LateReading(lambda: self._reading(path, found))
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Return bytes of a file."""
        try:
            return self._open[fh].read(offset, size)
        except StoreError as error:
            self._tell(path, error)
            raise OSError(errno.EIO, str(error)) from error

    def release(self, path: str, fh: int) -> int:
        """Let go of a handle."""
        self._open.pop(fh).close()
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """Return what df tells: all is in use."""
        count, size = self._catalogue.count()
        return {"f_bsize": _BLOCK, "f_frsize": _BLOCK, "f_blocks": -(-size // _BLOCK),
                "f_files": count, "f_namemax": _LONGEST_NAME}  # fmt: skip

    def _found(self, path: str) -> Found:
        found = self._catalogue.find(path.removeprefix("/"))
        if found is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found

    def _reading(self, path: str, found: Found) -> Reading:
        key = self._base.key + path.removeprefix("/")
        address = self._base.at(key)
        entry = Entry(key, found.size, found.etag, found.modified)
        fd = self._objects.opened(address, entry)
        if fd is not None:
            return LocalReading(fd, address)
        return RemoteReading(self._objects, address, entry, room=self._room, workers=self._workers)

    def _tell(self, path: str, error: StoreError) -> None:
        """Say once in the job's log why a file can't be read."""
        if path not in self._told and not isinstance(error, Cancelled):
            self._told.add(path)
            self._objects.complain(f"{path.removeprefix('/')} cannot be read any more: {error}")


def _base(prefix: Address) -> Address:
    """Return the address that paths below the channel's folder are put behind."""
    return prefix.at(prefix.key[: prefix.key.rfind("/") + 1])
