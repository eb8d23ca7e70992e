"""Opens the records where the settings say: a file of this server's own, or a shared database."""

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from trainshed.app.settings import Records, SettingsError
from trainshed.stores.records.base import Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase

Topics = Mapping[str, Callable[[], None]]
"""Who is told of what is no job, by its name."""
Hearing = Callable[[], Coroutine[Any, Any, None]]
"""Hears, until cancelled, what other servers write."""
Listening = Callable[[InProcessChanges, Topics], Hearing]
"""Makes what hears them, and marks the jobs that they change."""


def opened(records: Records, data: Path) -> tuple[Database, Listening | None]:
    """Open the records.

    Args:
        records: what the settings say of them.
        data: where a file is kept.

    Returns:
        The database, and what makes who hears the other servers; None where there are none.

    Raises:
        SettingsError: what they need is not installed.
        StoreError: the database can't be reached or used.
    """
    if not records.url:
        return SqliteDatabase(data / "trainshed.db"), None
    try:
        # An extra, and 60 ms of loading that a server with a file of its own never pays.
        from trainshed.stores.records.news import News  # noqa: PLC0415
        from trainshed.stores.records.postgres import PostgresDatabase  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"records.url names a PostgreSQL database, and what speaks to it is not installed "
            f"({error}); have it with: pip install 'trainshed[postgres]'"
        ) from error
    database = PostgresDatabase(records.url)
    return database, lambda changes, topics: News(database, changes, topics).run
