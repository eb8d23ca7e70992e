"""The rows behind the bytes: which key of which bucket names which file.

Functions that take a connection run on the records writer's thread, inside a transaction.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects import events
from trainshed.stores.objects.info import (
    Attributes,
    Bucket,
    BucketMissing,
    Condition,
    ConditionFailed,
    ObjectInfo,
    Part,
    Upload,
    UploadMissing,
)
from trainshed.stores.records.base import Connection, Database

_OBJECT = "bucket, key, file, size, etag, modified, attributes"
_UPLOAD = "id, bucket, key, started, checksum, attributes"
_PART = "number, file, size, etag, modified, checksums"
_PUT_OBJECT = """
    INSERT INTO objects (bucket, key, file, size, etag, modified, storage_class, attributes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (bucket, key) DO UPDATE SET
        file = excluded.file, size = excluded.size, etag = excluded.etag,
        modified = excluded.modified, storage_class = excluded.storage_class,
        attributes = excluded.attributes
"""


async def find_bucket(database: Database, name: str) -> Bucket:
    """Return a bucket.

    Raises:
        BucketMissing: there is none of that name.
    """
    rows = await database.read("SELECT name, region, created FROM buckets WHERE name = ?", (name,))
    if not rows:
        raise BucketMissing(f"no bucket {name!r}")
    return _bucket(rows[0])


async def find_buckets(database: Database) -> list[Bucket]:
    """Return all buckets, ordered by name."""
    rows = await database.read("SELECT name, region, created FROM buckets ORDER BY name")
    return [_bucket(row) for row in rows]


async def find_object(database: Database, bucket: str, key: str) -> ObjectInfo:
    """Return an object.

    Raises:
        ObjectMissing: there is none under that key.
        BucketMissing: there is not even the bucket.
    """
    rows = await database.read(
        f"SELECT {_OBJECT} FROM objects WHERE bucket = ? AND key = ?",  # noqa: S608 - constants
        (bucket, stored(key)),
    )
    if rows:
        return _object(rows[0])
    await find_bucket(database, bucket)
    raise ObjectMissing(f"no object {key!r} in bucket {bucket!r}")


async def find_upload(database: Database, bucket: str, key: str, upload_id: str) -> Upload:
    """Return an unfinished upload.

    Raises:
        UploadMissing: that key has no such upload.
        BucketMissing: there is not even the bucket.
    """
    rows = await database.read(
        f"SELECT {_UPLOAD} FROM uploads WHERE id = ? AND bucket = ? AND key = ?",  # noqa: S608
        (upload_id, bucket, stored(key)),
    )
    if rows:
        return upload_of(rows[0])
    await find_bucket(database, bucket)
    raise UploadMissing(f"no unfinished upload {upload_id!r} of {key!r} in bucket {bucket!r}")


async def find_uploads(database: Database, bucket: str) -> list[Upload]:
    """Return a bucket's unfinished uploads, ordered by key, then by id."""
    rows = await database.read(
        f"SELECT {_UPLOAD} FROM uploads WHERE bucket = ? ORDER BY key, id",  # noqa: S608
        (bucket,),
    )
    return [upload_of(row) for row in rows]


async def find_uploads_before(database: Database, moment: float) -> list[Upload]:
    """Return the unfinished uploads of all buckets that began before so many seconds."""
    rows = await database.read(
        f"SELECT {_UPLOAD} FROM uploads WHERE started < ? ORDER BY started, id",  # noqa: S608
        (moment,),
    )
    return [upload_of(row) for row in rows]


async def find_parts(database: Database, upload_id: str) -> list[Part]:
    """Return an upload's parts, ordered by number."""
    rows = await database.read(
        f"SELECT {_PART} FROM parts WHERE upload = ? ORDER BY number",  # noqa: S608
        (upload_id,),
    )
    return [part_of(row) for row in rows]


async def named_files(database: Database, start: str) -> set[str]:
    """Return the files that rows name, of those whose name begins with two letters ``start``."""
    bounds = (start, start + "g", start, start + "g")  # names are hex: nothing sorts after "f…"
    rows = await database.read(
        "SELECT file FROM objects WHERE file >= ? AND file < ? "
        "UNION SELECT file FROM parts WHERE file >= ? AND file < ?",
        bounds,
    )
    return {file for (file,) in rows}


def get_object(connection: Connection, bucket: str, key: str) -> ObjectInfo:
    """Return an object, as the running transaction sees it.

    Raises:
        BucketMissing, ObjectMissing: there is none.
    """
    row = connection.execute(
        f"SELECT {_OBJECT} FROM objects WHERE bucket = ? AND key = ?",  # noqa: S608 - constants
        (bucket, stored(key)),
    ).fetchone()
    if row is None:
        need_bucket(connection, bucket)
        raise ObjectMissing(f"no object {key!r} in bucket {bucket!r}")
    return _object(row)


def put_object(
    connection: Connection,
    info: ObjectInfo,
    condition: Condition,
    *,
    event: str = events.PUT,
    at: datetime | None = None,
) -> dict[str, int]:
    """Write an object's row, and what happened; return the files that nothing names any more.

    Args:
        connection: the transaction's.
        info: the object.
        condition: what must hold before.
        event: what happens to it, for those who are told.
        at: when; None for when it was modified.

    Raises:
        BucketMissing, ObjectMissing, ConditionFailed: nothing was written.
    """
    old = _checked(connection, info.bucket, info.key, condition)
    connection.execute(
        _PUT_OBJECT,
        (
            info.bucket,
            stored(info.key),
            info.file,
            info.size,
            info.etag,
            info.modified.timestamp(),
            info.attributes.storage_class,
            attributes_text(info.attributes),
        ),
    )
    change = events.Change(
        name=event,
        at=at or info.modified,
        bucket=info.bucket,
        key=info.key,
        size=info.size,
        etag=info.etag,
    )
    events.note(connection, change)
    return unnamed(connection, old)


def delete_object(
    connection: Connection, bucket: str, key: str, condition: Condition, at: datetime
) -> dict[str, int]:
    """Remove an object's row, if there is one; return the files that nothing names any more.

    Raises:
        BucketMissing, ObjectMissing, ConditionFailed: nothing was removed.
    """
    old = _checked(connection, bucket, key, condition)
    connection.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, stored(key)))
    if old:
        gone = events.Change(name=events.DELETE, at=at, bucket=bucket, key=key)
        events.note(connection, gone)
    return unnamed(connection, old)


def delete_uploads(connection: Connection, bucket: str) -> dict[str, int]:
    """Remove a bucket's unfinished uploads; return the files that nothing names any more."""
    files = connection.execute(
        "SELECT file, size FROM parts JOIN uploads ON upload = id WHERE bucket = ?", (bucket,)
    ).fetchall()
    connection.execute("DELETE FROM uploads WHERE bucket = ?", (bucket,))
    return unnamed(connection, files)


def unnamed(connection: Connection, files: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return those of ``files`` that no row names, and their bytes."""
    question = "SELECT 1 FROM objects WHERE file = ? UNION ALL SELECT 1 FROM parts WHERE file = ?"
    return {
        file: size
        for file, size in files
        if connection.execute(question, (file, file)).fetchone() is None
    }


async def bytes_held(database: Database) -> int:
    """Return the bytes of all files that rows name; those that several name count once."""
    rows = await database.read("SELECT bytes FROM object_space")
    return int(rows[0][0])


def count_bytes(connection: Connection, more: int) -> None:
    """Note that the files which rows name have so many more bytes."""
    if more:
        connection.execute("UPDATE object_space SET bytes = bytes + ?", (more,))


def need_bucket(connection: Connection, name: str) -> None:
    """Raise ``BucketMissing`` unless there is a bucket of that name."""
    if connection.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone() is None:
        raise BucketMissing(f"no bucket {name!r}")


def _checked(
    connection: Connection, bucket: str, key: str, condition: Condition
) -> Collection[tuple[str, int]]:
    """Return the file (or none) that the key names now, if the condition allows a change."""
    need_bucket(connection, bucket)
    row = connection.execute(
        "SELECT file, etag, size FROM objects WHERE bucket = ? AND key = ?", (bucket, stored(key))
    ).fetchone()
    if row is None:
        if condition.etag is not None:
            raise ObjectMissing(f"no object {key!r} in bucket {bucket!r}")
        return ()
    if condition.absent:
        raise ConditionFailed(f"{key!r} in bucket {bucket!r} is there already")
    if condition.etag not in (None, "*", row[1]):
        raise ConditionFailed(f"{key!r} in bucket {bucket!r} has the ETag {row[1]}")
    return ((row[0], row[2]),)


def stored(key: str) -> bytes:
    """Return a key as it stands in the rows: ordered by its UTF-8 bytes."""
    return key.encode("utf-8", "surrogatepass")


def key_of(data: bytes) -> str:
    """Return the key that ``stored`` wrote."""
    return data.decode("utf-8", "surrogatepass")


def moment(seconds: float) -> datetime:
    """Return the time that a row holds."""
    return datetime.fromtimestamp(seconds, UTC)


def attributes_text(attributes: Attributes) -> bytes:
    """Return attributes as a row holds them."""
    return json.dumps({name: value for name, value in asdict(attributes).items() if value}).encode()


def upload_of(row: tuple[Any, ...]) -> Upload:
    """Return the upload of a row."""
    upload_id, bucket, key, started, checksum, attributes = row
    return Upload(
        id=upload_id,
        bucket=bucket,
        key=key_of(key),
        started=moment(started),
        checksum=checksum,
        attributes=_attributes(attributes),
    )


def part_of(row: tuple[Any, ...]) -> Part:
    """Return the part of a row."""
    number, file, size, etag, modified, checksums = row
    return Part(
        number=number,
        file=file,
        size=size,
        etag=etag,
        modified=moment(modified),
        checksums=json.loads(checksums),
    )


def _bucket(row: tuple[Any, ...]) -> Bucket:
    name, region, created = row
    return Bucket(name=name, region=region, created=moment(created))


def _object(row: tuple[Any, ...]) -> ObjectInfo:
    bucket, key, file, size, etag, modified, attributes = row
    return ObjectInfo(
        bucket=bucket,
        key=key_of(key),
        file=file,
        size=size,
        etag=etag,
        modified=moment(modified),
        attributes=_attributes(attributes),
    )


def _attributes(text: bytes) -> Attributes:
    members: Mapping[str, Any] = json.loads(text)
    lists = {name: tuple(members.get(name, ())) for name in ("part_sizes", "part_checksums")}
    return Attributes(**{**members, **lists})
