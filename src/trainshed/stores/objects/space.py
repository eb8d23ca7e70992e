"""Whether there is room for what comes: on the disk, and within what the store may hold.

Asked before the first byte and again while bytes come, so that nobody sends a gigabyte in vain and
the disk never runs full by us. What is held is counted in the database with each change; here is
only what is on its way.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from trainshed.domain.sizes import in_binary
from trainshed.stores.objects import index
from trainshed.stores.objects.info import NoSpace
from trainshed.stores.records.base import Database

_BALLAST: Final = 16 * 1024 * 1024
"""Bytes kept to be given up when even the row of a deletion finds no room; the records file's log
has 4 MiB at most times."""


class Space:
    """The room of one store. Used on one event loop's thread, but for the ballast."""

    def __init__(self, database: Database, folder: Path, *, limit: int, reserve: int) -> None:
        """Keep within ``limit`` bytes (0: any), and ``reserve`` bytes of the disk free."""
        self._database = database
        self._folder = folder
        self._limit = limit
        self._reserve = reserve
        self._rooms: set[Room] = set()
        self._ballast = _ballast_of(folder)

    @contextlib.asynccontextmanager
    async def room(self, expected: int | None, *, counted: bool = False) -> AsyncIterator["Room"]:
        """Keep room for bytes that come until the block is left.

        Args:
            expected: how many; None when nobody knows.
            counted: they are held already, and are written once more in another order.

        Raises:
            NoSpace: there is none.
        """
        room = Room(self, counted=counted)
        self._rooms.add(room)
        try:
            await room.widen(expected or 0)
            yield room
        finally:
            self._rooms.discard(room)

    def check_disk(self, more: int) -> None:
        """Refuse when the disk has no room for ``more`` bytes than have been granted.

        Raises:
            NoSpace: the message says what was asked, what is there and what to do.
        """
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize - sum(room.awaited for room in self._rooms)
        if free - more < self._reserve:
            raise NoSpace(
                f"There is no room for {in_binary(more)} more: the store's disk has "
                f"{in_binary(free)} left, of which {in_binary(self._reserve)} are kept free "
                "(objects.reserve in its settings). Delete objects, or make room on the disk."
            )

    async def check_limit(self, more: int) -> None:
        """Refuse when the ``more`` bytes that were granted last are beyond what the store may hold.

        Raises:
            NoSpace: the message says what was asked, what is there and what to do.
            StoreError: the records could not be read.
        """
        if not self._limit:
            return
        held = await index.bytes_held(self._database)
        held += sum(room.granted for room in self._rooms if not room.counted) - more
        if held + more > self._limit:
            raise NoSpace(
                f"There is no room for {in_binary(more)} more: the store holds "
                f"{in_binary(held)} of the {in_binary(self._limit)} that it may (objects.limit "
                "in its settings). Delete objects or unfinished uploads, or have the limit "
                "raised."
            )

    def keep_ballast(self) -> None:
        """Take the ballast's room on the disk, where there is some."""
        if self._ballast.exists():
            return
        with contextlib.suppress(OSError):  # a disk without room for it, or even for its name
            self._take_ballast()

    def _take_ballast(self) -> None:
        # Under another name until it has its room: one that has none must not be taken for it.
        new = _unready(self._ballast)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _BALLAST)
        except OSError:
            new.unlink()
            raise
        finally:
            os.close(descriptor)
        new.rename(self._ballast)

    def drop_ballast(self) -> bool:
        """Give up the ballast; tell whether there was any."""
        try:
            self._ballast.unlink()
        except FileNotFoundError:
            return False
        return True


def make_room_to_start(folder: Path) -> None:
    """Give up the ballast of the store in ``folder`` if the disk has less room than that.

    For before anything is opened: a server that can't start can't make room either.
    """
    with contextlib.suppress(OSError):
        disk = os.statvfs(folder.parent)
        if disk.f_bavail * disk.f_frsize < _BALLAST:
            ballast = _ballast_of(folder)
            _unready(ballast).unlink(missing_ok=True)  # of a server that was killed
            ballast.unlink()


def _ballast_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.ballast")


def _unready(ballast: Path) -> Path:
    return ballast.with_name(f"{ballast.name}.new")


class Room:
    """What one writer has been granted."""

    def __init__(self, space: Space, *, counted: bool) -> None:
        self._space = space
        self.counted = counted
        self.granted = 0
        """Bytes."""
        self._come = 0

    @property
    def awaited(self) -> int:
        """Bytes that were granted and have not come yet, so the disk does not show them."""
        return max(0, self.granted - self._come)

    async def widen(self, total: int) -> None:
        """Have room for ``total`` bytes; raise ``NoSpace`` when there is none: the room is over."""
        if total > self.granted:
            more = total - self.granted
            self._space.check_disk(more)
            # Before it is checked: whoever asks meanwhile must not be granted the same room.
            self.granted = total
            if not self.counted:
                await self._space.check_limit(more)

    async def come(self, total: int) -> None:
        """Note that so many bytes have come; raise ``NoSpace`` when they find no room."""
        self._come = total
        await self.widen(total)
