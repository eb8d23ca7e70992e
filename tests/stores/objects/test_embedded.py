"""The embedded store: objects, copies, conditions, and what is left on disk."""

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.stores.objects.embedded_fixtures import (
    chunks,
    content,
    files,
    opened,
    stored,
    until_files,
)

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import (
    Attributes,
    BucketExists,
    BucketMissing,
    BucketNotEmpty,
    Condition,
    ConditionFailed,
    Staged,
)
from trainshed.stores.records.base import Database


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Iterator[EmbeddedObjects]:
    with stored(database, tmp_path) as it:
        yield it


@pytest.fixture
async def bucket(store: EmbeddedObjects) -> str:
    return (await store.create_bucket("bkt", "eu-west-1")).name


async def test_what_was_put_is_found_again_after_a_restart(tmp_path: Path) -> None:
    attributes = Attributes(
        headers={"ContentType": "text/plain"}, metadata={"who": "ä"}, tags={"a": "b"}
    )
    with opened(tmp_path) as store:
        await store.create_bucket("bkt", "eu-west-1")
        written = await store.put("bkt", "k", chunks(b"ab", b"", b"c"), attributes=attributes)
    with opened(tmp_path) as store:
        assert await store.info("bkt", "k") == written
        assert await content(store, "bkt", "k") == b"abc"
    assert written.etag == hashlib.md5(b"abc").hexdigest()
    assert written.size == 3
    assert written.attributes == attributes


@pytest.mark.parametrize("size", [0, 1, 2 * 1024 * 1024, 2 * 1024 * 1024 + 1, 9_000_000])
async def test_every_size_arrives_whole(store: EmbeddedObjects, bucket: str, size: int) -> None:
    data = os.urandom(size)
    pieces = [data[at : at + 100_000] for at in range(0, size, 100_000)]
    info = await store.put(bucket, "k", chunks(*pieces))
    assert (info.size, info.etag) == (size, hashlib.md5(data).hexdigest())
    assert await content(store, bucket, "k") == data


async def test_memory_stays_small_whatever_the_size(store: EmbeddedObjects, bucket: str) -> None:
    async def many() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(65_536)

    tracemalloc.start()
    try:
        info = await store.put(bucket, "k", many())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert info.size == 65_536_000
    assert peak < 24 * 1024 * 1024


HOSTILE = [
    "../../etc/passwd",
    "..",
    ".",
    "/",
    "//",
    "/leading",
    "a//b",
    "a",
    "a/",
    "a/b",
    "a/b/c",
    "incoming/x",
    "nul\0inside",
    "new\nline",
    "ünïcødé/🔥",
    "%2e%2e/x",
    "x" * 1024,
    "é" * 512,
]


async def test_any_text_is_a_key_and_nothing_leaves_the_folder(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    before = {path for path in tmp_path.parent.rglob("*") if "objects" not in path.parts}
    for key in HOSTILE:
        await store.put(bucket, key, chunks(key.encode()))
    for key in HOSTILE:
        assert await content(store, bucket, key) == key.encode()
    page = await store.list(bucket)
    assert [listed.key for listed in page.objects] == sorted(HOSTILE, key=str.encode)
    assert len(files(tmp_path)) == len(HOSTILE)
    after = {path for path in tmp_path.parent.rglob("*") if "objects" not in path.parts}
    assert after == before


async def test_replaced_and_removed_bytes_leave_the_disk(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    await store.put(bucket, "k", chunks(b"old"))
    await store.put(bucket, "k", chunks(b"new"))
    await until_files(tmp_path, 1)
    assert await content(store, bucket, "k") == b"new"
    await store.delete(bucket, "k")
    await store.delete(bucket, "k")
    await until_files(tmp_path, 0)
    with pytest.raises(ObjectMissing):
        await store.info(bucket, "k")


async def test_a_reader_who_was_told_the_path_can_still_open_it_after_a_change(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, linger=3600.0) as store:
        await store.create_bucket("bkt", "us-east-1")
        await store.put("bkt", "k", chunks(b"old"))
        _, path = await store.open("bkt", "k")
        await store.put("bkt", "k", chunks(b"new"))
        assert path.read_bytes() == b"old"
        assert await store.sweep() == 0
    assert [file.read_bytes() for file in files(tmp_path)] == [b"new"]


async def test_a_copy_shares_bytes_until_the_last_of_them_goes(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    original = await store.put(
        bucket, "a", chunks(b"data"), attributes=Attributes(metadata={"x": "1"})
    )
    copy = await store.copy((bucket, "a"), (bucket, "b"))
    changed = await store.copy(
        (bucket, "a"), (bucket, "a"), attributes=lambda _: Attributes(metadata={"x": "2"})
    )
    assert copy.attributes == original.attributes
    assert (copy.etag, copy.size) == (original.etag, original.size)
    assert copy.modified > original.modified
    assert changed.attributes.metadata == {"x": "2"}
    assert len(files(tmp_path)) == 1
    await store.delete(bucket, "a")
    assert await content(store, bucket, "b") == b"data"
    await store.delete(bucket, "b")
    await until_files(tmp_path, 0)


async def test_copying_what_is_not_there_is_refused(store: EmbeddedObjects, bucket: str) -> None:
    with pytest.raises(ObjectMissing):
        await store.copy((bucket, "a"), (bucket, "b"))
    with pytest.raises(BucketMissing):
        await store.copy(("nowhere", "a"), (bucket, "b"))
    await store.put(bucket, "a", chunks(b"x"))
    with pytest.raises(BucketMissing):
        await store.copy((bucket, "a"), ("nowhere", "b"))


async def test_conditions_are_checked_with_the_write(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    first = await store.put(bucket, "k", chunks(b"1"), condition=Condition(absent=True))
    with pytest.raises(ConditionFailed):
        await store.put(bucket, "k", chunks(b"2"), condition=Condition(absent=True))
    with pytest.raises(ConditionFailed):
        await store.put(bucket, "k", chunks(b"2"), condition=Condition(etag="other"))
    with pytest.raises(ObjectMissing):
        await store.put(bucket, "new", chunks(b"2"), condition=Condition(etag="*"))
    with pytest.raises(ConditionFailed):
        await store.delete(bucket, "k", condition=Condition(etag="other"))
    assert await store.info(bucket, "k") == first
    await until_files(tmp_path, 1)
    await store.put(bucket, "k", chunks(b"2"), condition=Condition(etag=first.etag))
    assert await content(store, bucket, "k") == b"2"


async def test_of_many_writers_who_want_to_be_first_one_is(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    async def attempt(n: int) -> bool:
        try:
            await store.put(bucket, "k", chunks(b"%d" % n), condition=Condition(absent=True))
        except ConditionFailed:
            return False
        return True

    won = await asyncio.gather(*(attempt(n) for n in range(20)))
    assert sum(won) == 1
    assert await content(store, bucket, "k") == b"%d" % won.index(True)
    await until_files(tmp_path, 1)


async def test_a_payload_that_breaks_off_changes_nothing(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 5_000_000
        raise ConnectionError("gone")

    await store.put(bucket, "k", chunks(b"old"))
    with pytest.raises(ConnectionError):
        await store.put(bucket, "k", broken())
    assert await content(store, bucket, "k") == b"old"
    await until_files(tmp_path, 1)


async def test_a_writer_who_is_cancelled_changes_nothing(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 5_000_000
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(store.put(bucket, "k", endless()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_files(tmp_path, 0)
    with pytest.raises(ObjectMissing):
        await store.info(bucket, "k")


async def test_wherever_a_writer_is_cancelled_the_object_is_whole_or_not_there(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    for turns in range(40):
        key = f"k{turns}"
        task = asyncio.ensure_future(store.put(bucket, key, chunks(b"data", b"more")))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        task.cancel()
        await asyncio.wait([task])
    await store.put(bucket, "last", chunks(b"x"))  # every change before it has been carried out
    kept = (await store.list(bucket)).objects
    for listed in kept:
        if listed.key != "last":
            assert await content(store, bucket, listed.key) == b"datamore"
    await until_files(tmp_path, len(kept))


async def test_a_writer_may_refuse_once_all_bytes_are_there(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    def refuse(staged: Staged) -> Attributes:
        raise ValueError(staged.md5)

    with pytest.raises(ValueError, match=hashlib.md5(b"x").hexdigest()):
        await store.put(bucket, "k", chunks(b"x"), attributes=refuse)
    await until_files(tmp_path, 0)


async def test_a_disk_that_refuses_is_a_store_error(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    (tmp_path / "objects" / "incoming").rmdir()
    with pytest.raises(StoreError, match="the disk refused"):
        await store.put(bucket, "k", chunks(b"x"))
    with pytest.raises(ObjectMissing):
        await store.info(bucket, "k")


async def test_buckets_come_and_go(store: EmbeddedObjects) -> None:
    made = await store.create_bucket("b", "eu-west-1")
    await store.create_bucket("a", "us-east-1")
    with pytest.raises(BucketExists):
        await store.create_bucket("b", "us-east-1")
    assert await store.bucket("b") == made
    assert [bucket.name for bucket in await store.buckets()] == ["a", "b"]
    await store.put("b", "k", chunks(b""))
    with pytest.raises(BucketNotEmpty):
        await store.delete_bucket("b")
    await store.delete("b", "k")
    await store.delete_bucket("b")
    with pytest.raises(BucketMissing):
        await store.delete_bucket("b")
    for missing in (store.info("b", "k"), store.list("b"), store.delete("b", "k")):
        with pytest.raises(BucketMissing):
            await missing


async def test_an_object_put_into_a_missing_bucket_leaves_nothing(
    tmp_path: Path, store: EmbeddedObjects
) -> None:
    with pytest.raises(BucketMissing):
        await store.put("nowhere", "k", chunks(b"x"))
    assert files(tmp_path) == []


async def test_a_prefix_exists_when_a_key_begins_with_it(
    store: EmbeddedObjects, bucket: str
) -> None:
    await store.put(bucket, "data/train/a.csv", chunks(b"x"))
    assert await store.exists_prefix(bucket, "data/tr")
    assert await store.exists_prefix(bucket, "data/train/a.csv")
    assert await store.exists_prefix(bucket, "")
    assert not await store.exists_prefix(bucket, "data/trains")
    assert not await store.exists_prefix("nowhere", "")


async def test_tags_change_alone(store: EmbeddedObjects, bucket: str) -> None:
    before = await store.put(bucket, "k", chunks(b"x"))
    await store.set_tags(bucket, "k", {"a": "1"})
    after = await store.info(bucket, "k")
    assert after.attributes.tags == {"a": "1"}
    assert (after.file, after.modified) == (before.file, before.modified)


async def test_sweeping_beside_writers_removes_nothing_of_theirs(
    tmp_path: Path, store: EmbeddedObjects, bucket: str
) -> None:
    (tmp_path / "objects" / "incoming" / "left").write_bytes(b"x")
    (tmp_path / "objects" / "ab").mkdir()
    (tmp_path / "objects" / "ab" / ("ab" + "0" * 30)).write_bytes(b"x")
    puts = [store.put(bucket, f"{n}", chunks(b"a", b"b")) for n in range(50)]
    results = await asyncio.gather(*puts, *(store.sweep() for _ in range(5)))
    assert sum(result for result in results if isinstance(result, int)) == 2
    for n in range(50):
        assert await content(store, bucket, f"{n}") == b"ab"
