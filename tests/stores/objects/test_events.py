"""What is still to be told of changes."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.stores.objects.embedded_fixtures import NOON, chunks, stored

from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.events import TEST, Subscription
from trainshed.stores.records.base import Database


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Iterator[EmbeddedObjects]:
    with stored(database, tmp_path) as it:
        yield it


async def test_what_nobody_can_be_told_any_more_goes_and_the_rest_stays(
    store: EmbeddedObjects,
) -> None:
    await store.create_bucket("bkt", "us-east-1")
    asked = [
        Subscription(id=name, webhook=name, events=("ObjectCreated:*",))
        for name in ("here", "gone")
    ]
    await store.events.configure("bkt", {}, asked, NOON)
    await store.put("bkt", "k", chunks(b"x"))
    assert await store.events.waiting() == {"here": 2, "gone": 2}
    assert await store.events.drop(NOON - timedelta(days=1), ["here"]) == 0
    assert await store.events.drop(NOON + timedelta(days=1), ["here"]) == 2
    assert await store.events.waiting() == {"here": 2}
    told = await store.events.due("here", NOON + timedelta(days=1), 10)
    assert [event.name for event in told] == [TEST, "ObjectCreated:Put"]
