"""What other servers have written, heard through the database by which they share."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import sql

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import EVERYTHING
from trainshed.stores.records.changes import Marker
from trainshed.stores.records.postgres import PostgresDatabase

log = logging.getLogger(__name__)

_AGAIN: Final = 0.5
"""Seconds before a database that went away is listened to again."""


class News:
    """Marks the changes of jobs that other servers make.

    What was told while nobody listened is made up for by marking ``EVERYTHING``.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        changes: Marker,
        topics: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        """Hear what ``database`` tells, and mark it in ``changes``.

        ``topics`` are called, in place of that, when their name is told; and whenever something
        may have gone unheard.
        """
        self._database = database
        self._changes = changes
        self._topics = topics

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._listen()
            except (StoreError, psycopg.Error) as error:
                log.warning("changes by other servers are not heard for a moment: %s", error)
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        session = await self._database.place.reader()
        async with session:
            channel = sql.Identifier(self._database.place.channel)
            await session.execute(sql.SQL("LISTEN {}").format(channel).as_bytes(session))
            self._tell(EVERYTHING)
            async for told in session.notifies():
                if told.pid != self._database.pid:  # this process has marked its own
                    self._tell(told.payload)

    def _tell(self, told: str) -> None:
        for name, ring in self._topics.items():
            if told in {name, EVERYTHING}:
                ring()
        if told not in self._topics:
            self._changes.mark(told)
