"""What happens to objects, kept until those who asked for it have been told.

An event is written in the transaction of the change it tells of, so neither is ever there without
the other, whatever dies. It goes once its webhook has taken it.
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from trainshed.stores.objects.info import BucketMissing
from trainshed.stores.records.base import Connection, Database

PUT = "ObjectCreated:Put"
POST = "ObjectCreated:Post"
COPY = "ObjectCreated:Copy"
MULTIPART = "ObjectCreated:CompleteMultipartUpload"
DELETE = "ObjectRemoved:Delete"
TAGGED = "ObjectTagging:Put"
UNTAGGED = "ObjectTagging:Delete"
TOPIC = "objects"
"""What other servers are told when there are new events."""
TEST = "TestEvent"
"""Told once to a new webhook, so that its owner sees that it is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who is told of what in a bucket."""

    id: str
    webhook: str
    """Its name in the settings."""
    events: tuple[str, ...]
    """Such as ``ObjectCreated:Put`` or ``ObjectCreated:*``."""
    prefix: str = ""
    suffix: str = ""

    def wants(self, event: str, key: str) -> bool:
        """Tell whether this event of this object is asked for."""
        named = event in self.events or f"{event.partition(':')[0]}:*" in self.events
        return named and key.startswith(self.prefix) and key.endswith(self.suffix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, and one webhook that is to be told of it."""

    n: int
    """Counts up in the order of the changes."""
    webhook: str
    tries: int
    """How often telling it failed."""
    name: str
    """Such as ``ObjectCreated:Put``."""
    at: float
    """Seconds since the epoch."""
    subscription: str
    bucket: str
    region: str
    """The bucket's."""
    key: str
    size: int
    """Bytes; 0 for what is gone."""
    etag: str
    """"" for what is gone."""


class EventLog:
    """Subscriptions, and the events that are still to be told. Used on one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: list[asyncio.Event] = []

    def watch(self) -> asyncio.Event:
        """Return what is set whenever there may be new events; the waiter clears it."""
        watcher = asyncio.Event()
        self._watchers.append(watcher)
        return watcher

    def ring(self) -> None:
        """Tell those who watch that objects have changed; call it once that is on disk."""
        for watcher in self._watchers:
            watcher.set()

    async def configuration(self, bucket: str) -> dict[str, Any]:
        """Return a bucket's configuration as it was put; {} when none was."""
        rows = await self._database.read(
            "SELECT configuration FROM notifications WHERE bucket = ?", (bucket,)
        )
        found: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return found

    async def configure(
        self,
        bucket: str,
        configuration: Mapping[str, Any],
        subscriptions: Sequence[Subscription],
        at: datetime,
    ) -> None:
        """Replace a bucket's subscriptions, and tell each of its webhooks that it is reached.

        Raises:
            BucketMissing: there is none of that name.
        """
        kept = json.dumps([asdict(each) for each in subscriptions]).encode()

        def work(connection: Connection) -> None:
            row = connection.execute(
                "SELECT region FROM buckets WHERE name = ?", (bucket,)
            ).fetchone()
            if row is None:
                raise BucketMissing(f"no bucket {bucket!r}")
            connection.execute("DELETE FROM notifications WHERE bucket = ?", (bucket,))
            if subscriptions:
                connection.execute(
                    "INSERT INTO notifications (bucket, subscriptions, configuration) "
                    "VALUES (?, ?, ?)",
                    (bucket, kept, json.dumps(configuration).encode()),
                )
            for webhook in sorted({each.webhook for each in subscriptions}):
                body = {"name": TEST, "at": at.timestamp(), "bucket": bucket, "region": row[0]}
                _insert(connection, webhook, at.timestamp(), body)

        await self._database.write(work)
        self.ring()

    async def due(self, webhook: str, now: datetime, limit: int) -> list[Event]:
        """Return the first events that a webhook may be told now, in order."""
        rows = await self._database.read(
            "SELECT n, webhook, tries, body FROM events WHERE webhook = ? AND due <= ? "
            "ORDER BY n LIMIT ?",
            (webhook, now.timestamp(), limit),
        )
        return [_event(*row) for row in rows]

    async def next_due(self, webhook: str) -> float | None:
        """Return when the next event is due, in seconds since the epoch; None without events."""
        rows = await self._database.read(
            "SELECT min(due) FROM events WHERE webhook = ?", (webhook,)
        )
        due: float | None = rows[0][0]
        return due

    async def waiting(self) -> dict[str, int]:
        """Return how many events wait, by webhook."""
        rows = await self._database.read("SELECT webhook, count(*) FROM events GROUP BY webhook")
        return dict(rows)

    async def forget(self, event: Event) -> None:
        """Remove an event: it was told, or is given up."""
        await self._database.write(
            lambda c: c.execute("DELETE FROM events WHERE n = ?", (event.n,)).rowcount
        )

    async def drop(self, before: datetime, besides: Collection[str]) -> int:
        """Remove events that were due before a time, but those of the webhooks named.

        Returns:
            How many.
        """
        named = list(besides)
        unnamed = " AND webhook <> ?" * len(named)
        change = f"DELETE FROM events WHERE due < ?{unnamed}"  # noqa: S608 - marks only
        values = (before.timestamp(), *named)
        return await self._database.write(lambda c: c.execute(change, values).rowcount)

    async def postpone(self, event: Event, until: datetime) -> None:
        """Note that telling an event failed, and when it may be tried again."""
        change = "UPDATE events SET tries = tries + 1, due = ? WHERE n = ?"
        await self._database.write(
            lambda c: c.execute(change, (until.timestamp(), event.n)).rowcount
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to an object, as those who change it say it."""

    name: str
    """Such as ``PUT``."""
    at: datetime
    bucket: str
    key: str
    size: int = 0
    etag: str = ""


def note(connection: Connection, change: Change) -> None:
    """Write what happened for all who asked, within the change's own transaction."""
    row = connection.execute(
        "SELECT subscriptions, region FROM notifications JOIN buckets ON bucket = name "
        "WHERE bucket = ?",
        (change.bucket,),
    ).fetchone()
    if row is None:
        return
    at = change.at.timestamp()
    for members in json.loads(row[0]):
        subscription = Subscription(**{**members, "events": tuple(members["events"])})
        if subscription.wants(change.name, change.key):
            body = {
                "name": change.name,
                "at": at,
                "subscription": subscription.id,
                "bucket": change.bucket,
                "region": row[1],
                "key": change.key,
                "size": change.size,
                "etag": change.etag,
            }
            _insert(connection, subscription.webhook, at, body)


def _insert(connection: Connection, webhook: str, due: float, body: Mapping[str, Any]) -> None:
    connection.execute(
        "INSERT INTO events (webhook, due, tries, body) VALUES (?, ?, 0, ?)",
        (webhook, due, json.dumps(body).encode()),
    )
    connection.tell(TOPIC)


def _event(n: int, webhook: str, tries: int, body: bytes) -> Event:
    empty = {"subscription": "", "key": "", "size": 0, "etag": ""}
    return Event(n=n, webhook=webhook, tries=tries, **{**empty, **json.loads(body)})
