"""Multipart uploads of the embedded store."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tests.stores.objects.embedded_fixtures import (
    NOON,
    chunks,
    content,
    files,
    opened,
    stored,
    until_files,
)

from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import (
    Attributes,
    BucketExists,
    BucketMissing,
    Condition,
    ConditionFailed,
    Part,
    PartsChanged,
    Upload,
    UploadMissing,
)
from trainshed.stores.records.base import Database


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Iterator[EmbeddedObjects]:
    with stored(database, tmp_path) as it:
        yield it


async def begun(store: EmbeddedObjects, key: str = "k") -> Upload:
    with suppress(BucketExists):
        await store.create_bucket("bkt", "us-east-1")
    return await store.uploads.create("bkt", key, attributes=Attributes(metadata={"m": "1"}))


async def sent(store: EmbeddedObjects, upload: Upload, number: int, data: bytes) -> Part:
    return await store.uploads.put_part(upload, number, chunks(data), checksums=lambda _: {})


async def test_parts_become_one_object_in_the_order_given(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    upload = await begun(store)
    three, one, two = [await sent(store, upload, n, b"%d" % n * 1000) for n in (3, 1, 2)]
    info = await store.uploads.complete(upload, [one, three], attributes=upload.attributes)
    assert await content(store, "bkt", "k") == b"1" * 1000 + b"3" * 1000
    digests = hashlib.md5(b"1" * 1000).digest() + hashlib.md5(b"3" * 1000).digest()
    assert info.etag == hashlib.md5(digests).hexdigest() + "-2"
    assert info.attributes.part_sizes == (1000, 1000)
    assert info.attributes.metadata == {"m": "1"}
    assert await store.info("bkt", "k") == info
    await until_files(tmp_path, 1)  # part two is gone as well
    assert two.number == 2
    with pytest.raises(UploadMissing):
        await store.uploads.find("bkt", "k", upload.id)


async def test_an_upload_of_one_part_copies_nothing(tmp_path: Path, store: EmbeddedObjects) -> None:
    upload = await begun(store)
    part = await sent(store, upload, 7, b"data")
    info = await store.uploads.complete(upload, [part], attributes=upload.attributes)
    assert info.file == part.file
    assert info.etag.endswith("-1")
    await until_files(tmp_path, 1)


async def test_an_upload_goes_on_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        upload = await begun(store)
        one = await sent(store, upload, 1, b"one")
    with opened(tmp_path) as store:
        assert await store.sweep() == 0
        assert await store.uploads.find("bkt", "k", upload.id) == upload
        assert await store.uploads.parts(upload) == [one]
        two = await sent(store, upload, 2, b"two")
        await store.uploads.complete(upload, [one, two], attributes=upload.attributes)
        assert await content(store, "bkt", "k") == b"onetwo"


async def test_a_part_sent_again_replaces_the_former(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    upload = await begun(store)
    former = await sent(store, upload, 1, b"former")
    latter = await sent(store, upload, 1, b"latter")
    assert await store.uploads.parts(upload) == [latter]
    await until_files(tmp_path, 1)
    with pytest.raises(PartsChanged):
        await store.uploads.complete(upload, [former], attributes=upload.attributes)
    await store.uploads.complete(upload, [latter], attributes=upload.attributes)
    assert await content(store, "bkt", "k") == b"latter"


async def test_an_aborted_upload_leaves_nothing(tmp_path: Path, store: EmbeddedObjects) -> None:
    upload = await begun(store)
    await sent(store, upload, 1, b"one")
    await store.uploads.abort(upload)
    await until_files(tmp_path, 0)
    with pytest.raises(UploadMissing):
        await store.uploads.abort(upload)
    with pytest.raises(UploadMissing):
        await sent(store, upload, 2, b"late")
    await until_files(tmp_path, 0)
    with pytest.raises(ObjectMissing):
        await store.info("bkt", "k")
    await store.delete_bucket("bkt")


async def test_uploads_that_are_too_old_are_given_up_with_their_parts(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    old, other = await begun(store), await begun(store, "other")
    await sent(store, old, 1, b"one")
    await store.create_bucket("second", "us-east-1")
    third = await store.uploads.create("second", "k", attributes=Attributes())
    kept = await sent(store, third, 1, b"kept")
    await until_files(tmp_path, 2)
    assert await store.uploads.abort_begun_before(old.started) == []
    assert await store.uploads.abort_begun_before(third.started) == [old, other]
    await until_files(tmp_path, 1)
    with pytest.raises(UploadMissing):
        await sent(store, old, 2, b"late")
    await store.uploads.complete(third, [kept], attributes=Attributes())
    assert await store.uploads.abort_begun_before(NOON + timedelta(days=1)) == []


async def test_an_upload_that_is_being_completed_is_not_given_up(store: EmbeddedObjects) -> None:
    upload = await begun(store)
    parts = [await sent(store, upload, n, bytes(1 << 20)) for n in range(1, 9)]
    completing = asyncio.create_task(
        store.uploads.complete(upload, parts, attributes=upload.attributes)
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await store.uploads.abort_begun_before(NOON + timedelta(days=1)) == []
    assert (await completing).size == 8 << 20


async def test_a_removed_bucket_takes_its_unfinished_uploads_along(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    upload = await begun(store)
    await sent(store, upload, 1, b"one")
    await store.delete_bucket("bkt")
    await until_files(tmp_path, 0)
    await store.create_bucket("bkt", "us-east-1")
    assert await store.uploads.list("bkt") == []
    with pytest.raises(UploadMissing):
        await sent(store, upload, 2, b"late")


async def test_a_condition_that_fails_keeps_the_upload(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    upload = await begun(store)
    parts = [await sent(store, upload, n, b"x") for n in (1, 2)]
    await store.put("bkt", "k", chunks(b"first"))
    with pytest.raises(ConditionFailed):
        await store.uploads.complete(
            upload, parts, attributes=upload.attributes, condition=Condition(absent=True)
        )
    assert await store.uploads.parts(upload) == parts
    await until_files(tmp_path, 3)


async def test_of_two_who_complete_at_once_one_does(tmp_path: Path, store: EmbeddedObjects) -> None:
    upload = await begun(store)
    parts = [await sent(store, upload, n, b"x") for n in (1, 2)]
    ends = await asyncio.gather(
        *(store.uploads.complete(upload, parts, attributes=upload.attributes) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in ends) == ["ObjectInfo", "UploadMissing"]
    assert await content(store, "bkt", "k") == b"xx"
    await until_files(tmp_path, 1)


async def test_an_upload_is_completed_although_who_asked_has_gone(store: EmbeddedObjects) -> None:
    upload = await begun(store)
    parts = [await sent(store, upload, n, b"x") for n in (1, 2)]
    asked = asyncio.ensure_future(
        store.uploads.complete(upload, parts, attributes=upload.attributes)
    )
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(UploadMissing):  # the second waits for the first
        await store.uploads.complete(upload, parts, attributes=upload.attributes)
    assert await content(store, "bkt", "k") == b"xx"


async def test_uploads_are_listed_by_key(store: EmbeddedObjects) -> None:
    uploads = [await begun(store, key) for key in ("b", "a", "a/x", "a")]
    assert [u.key for u in await store.uploads.list("bkt")] == ["a", "a", "a/x", "b"]
    assert {u.id for u in await store.uploads.list("bkt")} == {u.id for u in uploads}
    for missing in (store.uploads.list("nowhere"), store.uploads.find("nowhere", "k", "id")):
        with pytest.raises(BucketMissing):
            await missing


async def test_a_large_object_of_many_parts_is_joined_whole(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    upload = await begun(store)
    data = [bytes([n]) * 3_000_001 for n in range(1, 9)]
    parts = [await sent(store, upload, n, piece) for n, piece in enumerate(data, 1)]
    await store.uploads.complete(upload, parts, attributes=upload.attributes)
    assert await content(store, "bkt", "k") == b"".join(data)
    await until_files(tmp_path, 1)
    assert len(files(tmp_path)) == 1
