"""Changes of rows, together with the files that they name or let go.

A change that has begun is carried through even when its caller is cancelled: otherwise nobody
would know whether the row was committed, and so whether its file may be removed.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection

from trainshed.domain.errors import TrainshedError
from trainshed.stores.objects.files import Files
from trainshed.stores.objects.info import Staged
from trainshed.stores.records.database import Database


class Commits:
    """Writes rows; afterwards a file that no row names is removed."""

    def __init__(self, database: Database, files: Files, ring: Callable[[], None]) -> None:
        """``ring`` is called after each change."""
        self._database = database
        self._files = files
        self._ring = ring

    async def change(
        self,
        work: Callable[[sqlite3.Connection], Collection[str]],
        staged: Staged | None = None,
    ) -> None:
        """Run ``work`` in a transaction; it returns the files that nothing names any more.

        ``staged`` is the new file that ``work`` names; when ``work`` refuses, it is removed.
        Whatever ``work`` raises is raised here, and nothing was changed then.
        """
        # No group can hold this: it must outlive its caller. It is not lost either, because the
        # writer's queue, and then the thread pool, hold what it waits for.
        await asyncio.shield(self._change(work, staged))

    async def _change(
        self, work: Callable[[sqlite3.Connection], Collection[str]], staged: Staged | None
    ) -> None:
        try:
            released = await self._database.write(work)
        except (TrainshedError, sqlite3.Error):
            if staged is not None:
                await self._files.discard(staged)
            raise
        if staged is not None:
            self._files.claim(staged)
        self._files.remove_later(released)
        self._ring()
