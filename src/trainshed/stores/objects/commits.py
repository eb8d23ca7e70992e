"""Changes of rows, together with the files that they name or let go.

A change that has begun is carried through even when its caller is cancelled: otherwise nobody
would know whether the row was committed, and so whether its file may be removed.
"""

import asyncio
from collections.abc import Callable, Mapping

from trainshed.domain.errors import TrainshedError
from trainshed.stores.objects import index
from trainshed.stores.objects.files import Files
from trainshed.stores.objects.info import NoSpace, Staged
from trainshed.stores.objects.space import Space
from trainshed.stores.records.base import Connection, Database, DatabaseFull, MaybeWritten

_Work = Callable[[Connection], Mapping[str, int]]
"""Returns the files that nothing names any more, and their bytes."""


class Commits:
    """Writes rows; afterwards a file that no row names is removed."""

    def __init__(
        self, database: Database, files: Files, space: Space, ring: Callable[[], None]
    ) -> None:
        """``ring`` is called after each change."""
        self._database = database
        self._files = files
        self._space = space
        self._ring = ring

    async def change(self, work: _Work, staged: Staged | None = None) -> None:
        """Run ``work`` in a transaction.

        ``staged`` is the new file that ``work`` names; when ``work`` refuses, it is removed.
        Whatever ``work`` raises is raised here, and nothing was changed then. Without a new file
        the change is carried through on a full disk as well.

        Raises:
            NoSpace: the records file found no room on the disk; nothing was changed.
        """
        # No group can hold this: it must outlive its caller. It is not lost either, because the
        # writer's queue, and then the thread pool, hold what it waits for.
        await asyncio.shield(self._change(work, staged))

    async def _change(self, work: _Work, staged: Staged | None) -> None:
        def counted(connection: Connection) -> Mapping[str, int]:
            released = work(connection)
            more = 0 if staged is None else staged.size
            index.count_bytes(connection, more - sum(released.values()))
            return released

        try:
            try:
                released = await self._database.write(counted)
            except DatabaseFull as error:
                if staged is not None or not self._space.drop_ballast():
                    raise NoSpace(
                        "The disk of the store's records is full; nothing was changed. Make room "
                        "on it."
                    ) from error
                released = await self._database.write(counted)
        except MaybeWritten:
            # A row may name the file, and rows may name what it replaced: a sweep can tell.
            if staged is not None:
                self._files.claim(staged)
            raise
        except TrainshedError:
            if staged is not None:
                await self._files.discard(staged)
            raise
        if staged is not None:
            self._files.claim(staged)
        self._files.remove_later(released)
        self._ring()
