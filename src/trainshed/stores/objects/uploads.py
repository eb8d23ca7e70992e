"""Multipart uploads: parts arrive in any order and become one object at the end.

Unfinished uploads outlive a restart. A part sent again replaces the former one.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

from trainshed.domain import digests
from trainshed.stores.objects import events, index
from trainshed.stores.objects.commits import Commits
from trainshed.stores.objects.files import Files
from trainshed.stores.objects.info import (
    ALWAYS,
    Attributes,
    Condition,
    ObjectInfo,
    Part,
    PartsChanged,
    Staged,
    Upload,
    UploadMissing,
)
from trainshed.stores.objects.space import Space
from trainshed.stores.records.base import Connection, Database

_PUT_PART = """
    INSERT INTO parts (upload, number, file, size, etag, modified, checksums)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (upload, number) DO UPDATE SET
        file = excluded.file, size = excluded.size, etag = excluded.etag,
        modified = excluded.modified, checksums = excluded.checksums
"""

_ID_BYTES: Final = 24


class Uploads:
    """The multipart uploads of an ``EmbeddedObjects``."""

    def __init__(
        self,
        database: Database,
        files: Files,
        space: Space,
        commits: Commits,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._files = files
        self._space = space
        self._commits = commits
        self._clock = clock
        self._completing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By upload."""

    async def create(
        self,
        bucket: str,
        key: str,
        *,
        attributes: Attributes,
        checksum: str = "",
        invocation: str = "",
    ) -> Upload:
        """Begin an upload.

        Args:
            bucket: where the object is to be.
            key: its.
            attributes: what it will carry.
            checksum: the algorithm of the checksums that its parts carry; "" for none.
            invocation: what the caller calls this request. Asked again by that name, the same
                upload is meant: else one would be left whose name nobody ever heard.

        Raises:
            BucketMissing: there is no such bucket.
        """
        upload = Upload(
            id=_named(bucket, key, invocation) if invocation else secrets.token_urlsafe(_ID_BYTES),
            bucket=bucket,
            key=key,
            started=self._clock(),
            checksum=checksum,
            attributes=attributes,
        )

        def work(connection: Connection) -> dict[str, int]:
            index.need_bucket(connection, bucket)
            connection.execute(
                "INSERT INTO uploads (id, bucket, key, started, checksum, attributes) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (
                    upload.id,
                    bucket,
                    index.stored(key),
                    upload.started.timestamp(),
                    checksum,
                    index.attributes_text(attributes),
                ),
            )
            return {}

        await self._commits.change(work)
        return upload

    async def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an unfinished upload.

        Raises:
            BucketMissing, UploadMissing: there is none.
        """
        return await index.find_upload(self._database, bucket, key, upload_id)

    async def parts(self, upload: Upload) -> list[Part]:
        """Return an upload's parts, ordered by number."""
        return await index.find_parts(self._database, upload.id)

    async def put_part(
        self,
        upload: Upload,
        number: int,
        chunks: AsyncIterable[bytes],
        *,
        checksums: Callable[[Staged], Mapping[str, str]],
        algorithms: Collection[str] = (),
        length: int | None = None,
    ) -> Part:
        """Write a part, in place of one that has the same number.

        Args:
            upload: of which.
            number: its place in the object.
            chunks: its bytes.
            checksums: is asked once all bytes are on disk and may still refuse by raising.
            algorithms: of the digests that ``checksums`` looks at, beside MD5.
            length: how many bytes come; None when nobody knows.

        Raises:
            UploadMissing: the upload was finished or aborted meanwhile; nothing was written.
            NoSpace: there is no room for it; nothing was written.
            StoreError: the disk refused; nothing was written.
        """
        async with self._space.room(length) as room:
            staged = await self._files.stage(chunks, room, algorithms)
            async with self._files.discarded_on_error(staged):
                carried = checksums(staged)
            part = Part(
                number=number,
                size=staged.size,
                etag=staged.md5,
                modified=self._clock(),
                checksums=carried,
                file=staged.file,
            )
            await self._commits.change(lambda c: _put_part(c, upload, part), staged)
        return part

    async def copy_part(
        self,
        upload: Upload,
        number: int,
        source: ObjectInfo,
        stretch: tuple[int, int],
        *,
        checksums: Callable[[Staged], Mapping[str, str]],
        algorithms: Collection[str] = (),
    ) -> Part:
        """Write a part with bytes of an object, in place of one that has the same number.

        ``stretch`` is offset and length; all else is as in ``put_part``.

        Raises:
            UploadMissing: the upload was finished or aborted meanwhile; nothing was written.
            NoSpace: there is no room for it; nothing was written.
            StoreError: the disk refused, or the object is gone; nothing was written.
        """
        return await self.put_part(
            upload,
            number,
            self._files.read(source.file, *stretch),
            checksums=checksums,
            algorithms=algorithms,
            length=stretch[1],
        )

    async def complete(
        self,
        upload: Upload,
        parts: Sequence[Part],
        *,
        attributes: Attributes,
        condition: Condition = ALWAYS,
    ) -> ObjectInfo:
        """Make one object of ``parts``, in the order given; all others are dropped.

        Joining many gigabytes outlasts the patience of most callers. So it goes on when the caller
        is cancelled, and one that asks again meanwhile waits for it and finds the upload finished.

        Raises:
            UploadMissing: the upload was finished or aborted meanwhile.
            PartsChanged: one of ``parts`` was replaced meanwhile.
            NoSpace: the disk has no room for all of them once more; the upload stays.
            ObjectMissing, ConditionFailed: the upload stays as it was.
        """
        # No group can hold this: it must outlive its caller. What it waits for holds it.
        return await asyncio.shield(self._complete(upload, parts, attributes, condition))

    async def _complete(
        self, upload: Upload, parts: Sequence[Part], attributes: Attributes, condition: Condition
    ) -> ObjectInfo:
        async with self._completing.setdefault(upload.id, asyncio.Lock()):
            await self.find(upload.bucket, upload.key, upload.id)
            return await self._joined(upload, parts, attributes, condition)

    async def _joined(
        self, upload: Upload, parts: Sequence[Part], attributes: Attributes, condition: Condition
    ) -> ObjectInfo:
        size = sum(part.size for part in parts)
        async with self._space.room(0 if len(parts) == 1 else size, counted=True):
            staged = None if len(parts) == 1 else await self._files.join([p.file for p in parts])
        info = ObjectInfo(
            bucket=upload.bucket,
            key=upload.key,
            size=size,
            etag=joint_etag([part.etag for part in parts]),
            modified=self._clock(),
            attributes=replace(
                attributes, part_sizes=tuple(part.size for part in parts), upload_id=upload.id
            ),
            file=parts[0].file if staged is None else staged.file,
        )

        def work(connection: Connection) -> dict[str, int]:
            held = _parts(connection, upload)
            if any(held.get(part.number) != (part.file, part.size) for part in parts):
                raise PartsChanged(f"a part of the upload {upload.id} was replaced")
            replaced = index.put_object(connection, info, condition, event=events.MULTIPART)
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
            return {**replaced, **index.unnamed(connection, held.values())}

        await self._commits.change(work, staged)
        return info

    async def abort(self, upload: Upload) -> None:
        """Drop an upload and its parts.

        Raises:
            UploadMissing: it was finished or aborted meanwhile.
        """

        def work(connection: Connection) -> dict[str, int]:
            held = _parts(connection, upload)
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
            return index.unnamed(connection, held.values())

        await self._commits.change(work)

    async def abort_begun_before(self, moment: datetime) -> Sequence[Upload]:
        """Drop the uploads of all buckets that began before then; return those that were dropped.

        One that is being completed goes on.

        Raises:
            StoreError: the disk refused; those after the first that it refused are still there.
        """
        dropped = []
        for upload in await index.find_uploads_before(self._database, moment.timestamp()):
            if upload.id in self._completing:
                continue
            with contextlib.suppress(UploadMissing):
                await self.abort(upload)
                dropped.append(upload)
        return dropped

    async def list(self, bucket: str) -> list[Upload]:
        """Return a bucket's unfinished uploads, ordered by key, then by id.

        Raises:
            BucketMissing: there is no such bucket.
        """
        await index.find_bucket(self._database, bucket)
        return await index.find_uploads(self._database, bucket)


def joint_etag(etags: Sequence[str]) -> str:
    """Return S3's ETag of an object made of parts: the MD5 of their MD5s, and their number."""
    every = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{digests.digest('MD5', every).hex()}-{len(etags)}"


def _parts(connection: Connection, upload: Upload) -> dict[int, tuple[str, int]]:
    """Return the file of each part and its bytes, by number."""
    _need_upload(connection, upload)
    rows = connection.execute("SELECT number, file, size FROM parts WHERE upload = ?", (upload.id,))
    return {number: (file, size) for number, file, size in rows}


def _put_part(connection: Connection, upload: Upload, part: Part) -> dict[str, int]:
    _need_upload(connection, upload)
    place = (upload.id, part.number)
    question = "SELECT file, size FROM parts WHERE upload = ? AND number = ?"
    files = connection.execute(question, place).fetchall()
    row = (
        part.file,
        part.size,
        part.etag,
        part.modified.timestamp(),
        json.dumps(dict(part.checksums)).encode(),
    )
    connection.execute(_PUT_PART, (*place, *row))
    return index.unnamed(connection, files)


def _need_upload(connection: Connection, upload: Upload) -> None:
    row = connection.execute("SELECT 1 FROM uploads WHERE id = ?", (upload.id,)).fetchone()
    if row is None:
        raise UploadMissing(f"no unfinished upload {upload.id!r} of {upload.key!r}")


def _named(*what: str) -> str:
    """Return the id of the upload that a call of this name has begun, or begins."""
    digest = hashlib.sha256("\0".join(what).encode()).digest()
    return base64.urlsafe_b64encode(digest[:_ID_BYTES]).decode()
