"""Opens the records where the settings say: a file of this server's own, or a shared database."""

import secrets
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from trainshed.app.private import make_private
from trainshed.app.settings import Records, SettingsError
from trainshed.stores.records.base import Connection, Database
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase

_MARK = "records.id"
"""File of a folder that several servers share: says which records belong to it."""

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


async def check_folder(database: Database, folder: Path) -> None:
    """See that a database that several servers share tells of what is in this folder.

    Raises:
        SettingsError: it belongs to another one; whoever served would find objects without bytes.
    """
    mark = folder / _MARK
    if not mark.exists():
        make_private(mark, secrets.token_hex(16))
    own = mark.read_text()

    def work(connection: Connection) -> str:
        insert = "INSERT INTO shared_folder (one, id) VALUES (1, ?) ON CONFLICT (one) DO NOTHING"
        connection.execute(insert, (own,))
        row = connection.execute("SELECT id FROM shared_folder").fetchone()
        return str(row[0]) if row else own

    if await database.write(work) != own:
        raise SettingsError(
            f"the records of records.url belong to another folder than {str(folder)!r}: all their "
            "servers must have the same one (records.shared), or a database of their own"
        )
