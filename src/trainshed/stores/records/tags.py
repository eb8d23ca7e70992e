"""Tags in the records database."""

from collections.abc import Mapping, Sequence
from typing import Final

from trainshed.stores.records.base import Connection, Database

PUT_TAG: Final = (
    "INSERT INTO tags (arn, key, value) VALUES (?, ?, ?) "
    "ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value"
)
DROP_TAGS: Final = "DELETE FROM tags WHERE arn = ?"


class SqlTags:
    """``TagRecords`` in a database."""

    def __init__(self, database: Database) -> None:
        """Keep tags in ``database``, beside the rows of the things they are on."""
        self._database = database

    async def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of one resource, ordered by key."""
        question = "SELECT key, value FROM tags WHERE arn = ? ORDER BY key"
        return dict(await self._database.read(question, (arn,)))

    async def set_tags(self, arn: str, tags: Mapping[str, str], limit: int) -> bool:
        """Add or overwrite tags; return False, changing nothing, if more than ``limit`` result."""

        def work(connection: Connection) -> bool:
            kept = connection.execute("SELECT key FROM tags WHERE arn = ?", (arn,))
            if len({key for (key,) in kept} | tags.keys()) > limit:
                return False
            connection.executemany(PUT_TAG, [(arn, key, tags[key]) for key in tags])
            return True

        return await self._database.write(work)

    async def remove_tags(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; keys that are not there are no error."""

        def work(connection: Connection) -> None:
            connection.executemany(
                "DELETE FROM tags WHERE arn = ? AND key = ?", [(arn, key) for key in keys]
            )

        await self._database.write(work)
