"""Bytes on their way to the disk: all of them in order, few in memory, none left after an error."""

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.stores.objects.embedded_fixtures import chunks, content, opened, until_files

from trainshed.domain import digests
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.files import _BATCH, _SMALL, _THREADS
from trainshed.stores.objects.info import BucketExists, Staged
from trainshed.stores.objects.writing import _CACHED, _FLUSHED

MIB = 1 << 20
SIZES = st.sampled_from(
    [edge + by for edge in (_SMALL, _BATCH, 3 * _BATCH) for by in (-1, 0, 1)]
) | st.integers(0, 2 * _BATCH)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedObjects]:
    with opened(tmp_path) as it:
        yield it


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(sizes=st.lists(SIZES, max_size=12))
async def test_pieces_of_any_size_are_written_and_hashed_in_order(
    store: EmbeddedObjects, sizes: Sequence[int]
) -> None:
    with suppress(BucketExists):
        await store.create_bucket("bkt", "eu-west-1")
    pieces = [os.urandom(size) for size in sizes]
    staged: list[Staged] = []
    info = await store.put(
        "bkt", "k", chunks(*pieces), attributes=staged.append, algorithms=["CRC32", "SHA256"]
    )
    whole = b"".join(pieces)
    assert await content(store, "bkt", "k") == whole
    assert (info.size, info.etag) == (len(whole), hashlib.md5(whole).hexdigest())
    assert staged[0].digests == digests.digests(["MD5", "CRC32", "SHA256"], whole)


@given(pieces=st.lists(st.binary(max_size=300)))
def test_the_md5_of_something_long_is_the_md5(pieces: list[bytes]) -> None:
    running = digests.begin_long_md5()
    for piece in pieces:
        running.update(piece)
    assert running.digest() == hashlib.md5(b"".join(pieces)).digest()


async def test_many_writers_hold_little_while_the_disk_stands_still(
    store: EmbeddedObjects,
) -> None:
    await store.create_bucket("bkt", "eu-west-1")
    begun, taken = asyncio.Barrier(64), 0

    async def sent() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b"x"
        await begun.wait()  # all are under way before much has come of any
        for _ in range(24):
            taken += MIB // 4
            yield bytes(MIB // 4)

    still = threading.Event()
    for _ in range(_THREADS):
        store._files._pool.submit(still.wait)
    async with asyncio.TaskGroup() as group:
        for number in range(64):
            group.create_task(store.put("bkt", str(number), sent()))
        for _ in range(1000):  # nothing but the disk is waited for
            await asyncio.sleep(0)
        held = taken
        still.set()
    assert 32 * MIB <= held <= 100 * MIB
    assert taken == 64 * 6 * MIB
    assert (await store.info("bkt", "63")).size == 6 * MIB + 1


@pytest.mark.parametrize("size", [MIB // 2, 3 * MIB, 2 * _FLUSHED + 3 * MIB])
async def test_bytes_that_break_off_leave_no_file(
    tmp_path: Path, store: EmbeddedObjects, size: int
) -> None:
    await store.create_bucket("bkt", "eu-west-1")
    await store.put("bkt", "k", chunks(b"old"))

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(0, size, MIB // 2):
            yield bytes(MIB // 2)
        raise ConnectionError("the client has gone")

    with pytest.raises(ConnectionError):
        await store.put("bkt", "k", broken())
    await until_files(tmp_path, 1)
    assert await content(store, "bkt", "k") == b"old"


async def test_a_file_too_large_to_be_kept_in_memory_is_whole(
    store: EmbeddedObjects,
) -> None:
    await store.create_bucket("bkt", "eu-west-1")
    piece = os.urandom(MIB)
    pieces = [piece] * ((_CACHED + 2 * _FLUSHED) // MIB)
    info = await store.put("bkt", "k", chunks(*pieces, b"end"))
    _, path = await store.open("bkt", "k")
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "md5").hexdigest() == info.etag
    assert info.etag == hashlib.md5(piece * len(pieces) + b"end").hexdigest()
