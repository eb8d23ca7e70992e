"""The object store inside the server: bytes in files, everything else in the records database.

A crash at any point leaves the old object or the new: bytes are whole and on disk before the row
that names them is committed, and the old bytes go only after that. Copies share bytes. Keys are
any text; they never become paths.
"""

from collections.abc import AsyncIterable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from trainshed.stores.objects import events, index
from trainshed.stores.objects.commits import Commits
from trainshed.stores.objects.events import EventLog
from trainshed.stores.objects.files import Files
from trainshed.stores.objects.info import (
    ALWAYS,
    Attributes,
    Bucket,
    BucketExists,
    BucketNotEmpty,
    Condition,
    ObjectInfo,
    Page,
    Staged,
)
from trainshed.stores.objects.names import list_names
from trainshed.stores.objects.space import Space
from trainshed.stores.objects.uploads import Uploads
from trainshed.stores.records.base import Connection, Database


class EmbeddedObjects:
    """Buckets and objects of one server. Made and used on one event loop's thread.

    Every change is on disk when its call returns, and each is whole or not there. Objects change
    only as a whole; the last of two simultaneous writers wins.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        clock: Callable[[], datetime],
        *,
        linger: float = 10.0,
        limit: int = 0,
        reserve: int = 0,
    ) -> None:
        """Keep bytes below ``folder``.

        Args:
            database: where everything else is kept.
            folder: made when missing.
            clock: the time.
            linger: seconds for which replaced bytes stay readable: a reader who was just told a
                path opens it. It is far above the moment between an answer and its first byte.
            limit: bytes that all objects and unfinished uploads may have; 0 for any number.
            reserve: bytes of the disk that are left free.
        """
        self._database = database
        self._space = Space(database, folder, limit=limit, reserve=reserve)
        self._files = Files(folder, linger=linger, freed=self._space.keep_ballast)
        self._space.keep_ballast()
        self._clock = clock
        self.events = EventLog(database)
        """What is to be told of changes."""
        self._commits = Commits(database, self._files, self._space, self.events.ring)
        self.uploads = Uploads(database, self._files, self._space, self._commits, clock)
        """Multipart uploads."""

    async def sweep(self) -> int:
        """Remove files that a crash left behind; return how many. Call it once at the start."""
        return await self._files.sweep(lambda start: index.named_files(self._database, start))

    def in_hand(self) -> frozenset[str]:
        """Return the names of files that no row names and that are in use all the same."""
        return self._files.in_hand()

    def close(self) -> None:
        """End the threads. The database is the caller's to close."""
        self._files.close()

    async def buckets(self) -> list[Bucket]:
        """Return all buckets, ordered by name."""
        return await index.find_buckets(self._database)

    async def bucket(self, name: str) -> Bucket:
        """Return a bucket.

        Raises:
            BucketMissing: there is none of that name.
        """
        return await index.find_bucket(self._database, name)

    async def create_bucket(self, name: str, region: str) -> Bucket:
        """Make a bucket. The caller has checked its name.

        Raises:
            BucketExists: there is one of that name.
        """
        bucket = Bucket(name=name, region=region, created=self._clock())
        row = (name, region, bucket.created.timestamp())

        def insert(connection: Connection) -> int:
            return connection.execute(
                "INSERT INTO buckets (name, region, created) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                row,
            ).rowcount

        if not await self._database.write(insert):
            raise BucketExists(f"a bucket {name!r} is there already")
        return bucket

    async def delete_bucket(self, name: str) -> None:
        """Remove a bucket that holds no objects; its unfinished uploads go with it, as in S3.

        Raises:
            BucketMissing: there is none of that name.
            BucketNotEmpty: it holds objects.
        """

        def work(connection: Connection) -> dict[str, int]:
            index.need_bucket(connection, name)
            objects = connection.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,))
            if objects.fetchone() is not None:
                raise BucketNotEmpty(f"bucket {name!r} holds objects")
            connection.execute("DELETE FROM buckets WHERE name = ?", (name,))
            return index.delete_uploads(connection, name)

        await self._commits.change(work)

    async def put(
        self,
        bucket: str,
        key: str,
        chunks: AsyncIterable[bytes],
        *,
        attributes: Attributes | Callable[[Staged], Attributes] | None = None,
        condition: Condition = ALWAYS,
        event: str = events.PUT,
        algorithms: Collection[str] = (),
        length: int | None = None,
    ) -> ObjectInfo:
        """Write an object; its ETag is the MD5 of its bytes. Memory stays within 24 MiB.

        Args:
            bucket: where.
            key: what it will be called; any text.
            chunks: its bytes; an error raised by them leaves everything as it was.
            attributes: what it will carry. A function is asked once all bytes are on disk and
                may still refuse by raising.
            condition: what must hold at the moment of writing.
            event: how it came, for those who are told of it.
            algorithms: of the digests that ``attributes`` looks at, beside MD5.
            length: how many bytes come; None when nobody knows.

        Raises:
            BucketMissing, ObjectMissing, ConditionFailed: nothing was written.
            NoSpace: there is no room for it; nothing was written.
            StoreError: the disk refused; nothing was written.
        """
        await self.bucket(bucket)
        async with self._space.room(length) as room:
            staged = await self._files.stage(chunks, room, algorithms)
            async with self._files.discarded_on_error(staged):
                carried = attributes(staged) if callable(attributes) else attributes
            info = ObjectInfo(
                bucket=bucket,
                key=key,
                size=staged.size,
                etag=staged.md5,
                modified=self._clock(),
                attributes=carried or Attributes(),
                file=staged.file,
            )
            await self._commits.change(
                lambda c: index.put_object(c, info, condition, event=event), staged
            )
        return info

    async def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        *,
        attributes: Callable[[ObjectInfo], Attributes] | None = None,
        condition: Condition = ALWAYS,
    ) -> ObjectInfo:
        """Write an object with another's bytes and ETag, at once, whatever the size.

        Args:
            source: bucket and key.
            target: bucket and key; may be the source, to change its attributes.
            attributes: makes what the copy will carry of the source; None keeps what that carries.
                It runs inside the transaction: it must be quick, and only use what it is given.
            condition: what must hold of the target at the moment of writing.

        Raises:
            BucketMissing, ObjectMissing, ConditionFailed: nothing was written.
        """
        bucket, key = target
        await self.bucket(bucket)
        modified = self._clock()
        copies: list[ObjectInfo] = []

        def work(connection: Connection) -> dict[str, int]:
            original = index.get_object(connection, *source)
            carried = attributes(original) if attributes else original.attributes
            copies.append(
                replace(original, bucket=bucket, key=key, modified=modified, attributes=carried)
            )
            return index.put_object(connection, copies[-1], condition, event=events.COPY)

        await self._commits.change(work)
        return copies[-1]

    async def digest(self, info: ObjectInfo, algorithm: str) -> bytes:
        """Return a digest of an object's bytes, by its name in ``domain.digests``.

        Raises:
            StoreError: the object was replaced meanwhile.
        """
        return await self._files.digest(info.file, algorithm)

    async def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Give an object other tags; nothing else about it changes.

        Raises:
            BucketMissing, ObjectMissing: nothing was changed.
        """
        now = self._clock()

        def work(connection: Connection) -> dict[str, int]:
            info = index.get_object(connection, bucket, key)
            tagged = replace(info, attributes=replace(info.attributes, tags=tags))
            event = events.TAGGED if tags else events.UNTAGGED
            return index.put_object(connection, tagged, ALWAYS, event=event, at=now)

        await self._commits.change(work)

    async def delete(self, bucket: str, key: str, *, condition: Condition = ALWAYS) -> None:
        """Remove an object. Removing what is not there is no error.

        Raises:
            BucketMissing, ObjectMissing, ConditionFailed: nothing was removed.
        """
        await self.delete_all(bucket, [key], condition=condition)

    async def delete_all(
        self, bucket: str, keys: Sequence[str], *, condition: Condition = ALWAYS
    ) -> None:
        """Remove several objects in one transaction. What is not there is no error.

        Raises:
            BucketMissing, ObjectMissing, ConditionFailed: nothing was removed.
        """
        now = self._clock()

        def work(connection: Connection) -> dict[str, int]:
            index.need_bucket(connection, bucket)
            released: dict[str, int] = {}
            for key in keys:
                released.update(index.delete_object(connection, bucket, key, condition, now))
            return released

        await self._commits.change(work)

    async def info(self, bucket: str, key: str) -> ObjectInfo:
        """Return what is known about an object.

        Raises:
            BucketMissing, ObjectMissing: there is none.
        """
        return await index.find_object(self._database, bucket, key)

    async def open(self, bucket: str, key: str) -> tuple[ObjectInfo, Path]:
        """Return an object and the file with its bytes, to be opened now and only read.

        The file never changes; once opened it stays readable even when the object is replaced.

        Raises:
            BucketMissing, ObjectMissing: there is none.
        """
        found = await self.info(bucket, key)
        return found, self.path(found)

    def path(self, found: ObjectInfo) -> Path:
        """Return the file with an object's bytes, to be opened now and only read."""
        return self._files.path(found.file)

    async def list(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str = "",
        after: str = "",
        limit: int = 1000,
    ) -> Page:
        """Return names that begin with ``prefix`` and come after ``after``, in byte order.

        With a delimiter, keys that have it after the prefix are named together, by the part up to
        and including it.

        Raises:
            BucketMissing: there is no such bucket.
        """
        await self.bucket(bucket)
        return await list_names(
            self._database, bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )

    async def exists_prefix(self, bucket: str, prefix: str) -> bool:
        """Tell whether any key begins with ``prefix``; False also when there is no such bucket."""
        page = await list_names(
            self._database, bucket, prefix=prefix, delimiter="", after="", limit=1
        )
        return bool(page.objects)
