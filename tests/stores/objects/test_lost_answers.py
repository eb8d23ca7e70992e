"""A database that does not tell whether it kept a change: what a row names is always there."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from tests.stores.objects.embedded_fixtures import chunks, content, files, stored

from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Attributes
from trainshed.stores.records.base import Connection, MaybeWritten
from trainshed.stores.records.sqlite import SqliteDatabase

T = TypeVar("T")


class Silent(SqliteDatabase):
    """Tells of no change that it was kept; and keeps it, or not."""

    silent = False
    keeps = True

    async def write(
        self, work: Callable[[Connection], T], after: Callable[[T], None] | None = None
    ) -> T:
        """Write, and have nobody know."""
        if not self.silent:
            return await super().write(work, after)
        if self.keeps:
            await super().write(work)
        raise MaybeWritten("nobody can tell")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Silent]:
    database = Silent(tmp_path / "records.db")
    yield database
    database.close()


@pytest.fixture
async def store(tmp_path: Path, database: Silent) -> AsyncIterator[EmbeddedObjects]:
    with stored(database, tmp_path) as store:
        await store.create_bucket("bkt", "us-east-1")
        await store.put("bkt", "k", chunks(b"old"))
        yield store


@pytest.mark.parametrize("keeps", [True, False])
async def test_an_object_is_the_old_or_the_new_and_a_sweep_finds_what_is_neither(
    tmp_path: Path, store: EmbeddedObjects, database: Silent, keeps: bool
) -> None:
    database.silent, database.keeps = True, keeps
    with pytest.raises(MaybeWritten):
        await store.put("bkt", "k", chunks(b"new"))
    with pytest.raises(MaybeWritten):
        await store.put("bkt", "other", chunks(b"other"))
    database.silent = False
    assert await content(store, "bkt", "k") == (b"new" if keeps else b"old")
    if keeps:
        assert await content(store, "bkt", "other") == b"other"
    else:
        with pytest.raises(ObjectMissing):
            await store.info("bkt", "other")
    named = 2 if keeps else 1
    assert len(files(tmp_path)) == 3
    assert await store.sweep() == 3 - named
    assert await content(store, "bkt", "k") == (b"new" if keeps else b"old")


@pytest.mark.parametrize("keeps", [True, False])
async def test_an_upload_can_be_finished_or_was(
    store: EmbeddedObjects, database: Silent, keeps: bool
) -> None:
    upload = await store.uploads.create("bkt", "k", attributes=Attributes())
    parts = [
        await store.uploads.put_part(upload, n, chunks(b"%d" % n), checksums=lambda _: {})
        for n in (1, 2)
    ]
    database.silent, database.keeps = True, keeps
    with pytest.raises(MaybeWritten):
        await store.uploads.complete(upload, parts, attributes=Attributes())
    database.silent = False
    if not keeps:
        await store.uploads.complete(upload, parts, attributes=Attributes())
    assert await content(store, "bkt", "k") == b"12"
    assert await store.uploads.list("bkt") == []
