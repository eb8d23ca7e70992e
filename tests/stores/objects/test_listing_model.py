"""The embedded store beside a plain dict, through whatever Hypothesis thinks of."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.stores.objects.embedded_fixtures import chunks, content, copied, files, opened

from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.index import stored
from trainshed.stores.objects.names import list_names, successor
from trainshed.stores.records.base import Connection, Database

TEXT = st.text(st.sampled_from("ab/.é\U0010ffff\0"), max_size=5)
KEYS = TEXT.filter(bool)


def names(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """Return what a listing should name: the plain reading of S3's documentation."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            found.add(prefix + head + cut if cut else key)
    return sorted(found, key=str.encode)


class StoreBesideDict(RuleBasedStateMachine):
    """Does the same to a store and to a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.context = opened(Path(self.folder.name), linger=0.0)
        self.store: EmbeddedObjects = self.context.__enter__()
        self.model: dict[str, bytes] = {}

    @initialize()
    def begin(self) -> None:
        self.loop.run_until_complete(self.store.create_bucket("bkt", "us-east-1"))

    @rule(key=KEYS, data=st.binary(max_size=20))
    def put(self, key: str, data: bytes) -> None:
        self.loop.run_until_complete(self.store.put("bkt", key, chunks(data)))
        self.model[key] = data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.loop.run_until_complete(self.store.delete("bkt", key))
        self.model.pop(key, None)

    @rule(original=KEYS, duplicate=KEYS)
    def copy(self, original: str, duplicate: str) -> None:
        copying = self.store.copy(("bkt", original), ("bkt", duplicate))
        try:
            self.loop.run_until_complete(copying)
        except ObjectMissing:
            assert original not in self.model
        else:
            self.model[duplicate] = self.model[original]

    @rule(prefix=TEXT, delimiter=st.sampled_from(["", "/", "a", "./"]), limit=st.integers(1, 4))
    def list_all_pages(self, prefix: str, delimiter: str, limit: int) -> None:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = self.loop.run_until_complete(
                self.store.list("bkt", prefix, delimiter=delimiter, after=after, limit=limit)
            )
            named = [*(listed.key for listed in page.objects), *page.prefixes]
            assert len(named) == limit or page.next is None
            found += sorted(named, key=str.encode)
            after = page.next
        assert found == names(list(self.model), prefix, delimiter)

    @rule(prefix=TEXT, after=TEXT, delimiter=st.sampled_from(["", "/", "a"]))
    def list_after(self, prefix: str, after: str, delimiter: str) -> None:
        page = self.loop.run_until_complete(
            self.store.list("bkt", prefix, delimiter=delimiter, after=after)
        )
        named = sorted([*(x.key for x in page.objects), *page.prefixes], key=str.encode)
        wanted = names(list(self.model), prefix, delimiter)
        assert named == [name for name in wanted if name.encode() > after.encode()]

    @invariant()
    def bytes_are_the_same(self) -> None:
        for key, data in self.model.items():
            assert self.loop.run_until_complete(content(self.store, "bkt", key)) == data

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)
        on_disk = len(files(Path(self.folder.name)))
        distinct_at_least = len(set(self.model.values()))
        assert distinct_at_least <= on_disk <= len(self.model)
        self.loop.close()
        self.folder.cleanup()


StoreBesideDict.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestStoreBesideDict = StoreBesideDict.TestCase


@settings(max_examples=40)
@given(
    keys=st.sets(KEYS, max_size=12),
    prefix=TEXT,
    delimiter=st.sampled_from(["", "/", "a", "./"]),
    after=TEXT,
    limit=st.integers(1, 4),
)
async def test_every_database_lists_names_in_the_order_of_their_bytes(
    one_for_all: Database, keys: set[str], prefix: str, delimiter: str, after: str, limit: int
) -> None:
    insert = (
        "INSERT INTO objects (bucket, key, file, size, etag, modified, storage_class, attributes) "
        "VALUES ('bkt', ?, 'file', 1, 'etag', 1.5, 'STANDARD', ?)"
    )

    def work(connection: Connection) -> None:
        connection.execute("DELETE FROM objects")
        connection.executemany(insert, [(stored(key), b"{}") for key in keys])

    await one_for_all.write(work)
    found: list[str] = []
    last: str | None = after
    while last is not None:
        page = await list_names(
            one_for_all, "bkt", prefix=prefix, delimiter=delimiter, after=last, limit=limit
        )
        found += sorted([*(x.key for x in page.objects), *page.prefixes], key=str.encode)
        last = page.next
    wanted = names(list(keys), prefix, delimiter)
    assert found == [name for name in wanted if name.encode() > after.encode()]


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_the_successor_of_a_prefix_parts_the_keys(prefix: bytes, key: bytes) -> None:
    end = successor(prefix)
    below = key >= prefix and (end is None or key < end)
    assert below == key.startswith(prefix)


async def test_a_thousand_full_prefixes_are_listed_by_a_few_looks(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        await store.create_bucket("bkt", "us-east-1")
        await store.put("bkt", "seed", chunks(b"x"))
        names = (f"d{n // 200:03}/{n:05}" for n in range(20_000))
        copied(tmp_path / "records.db", "bkt", "seed", names)
        page = await store.list("bkt", delimiter="/")
        assert page.prefixes == tuple(f"d{n:03}/" for n in range(100))
        assert [x.key for x in page.objects] == ["seed"]
        flat = await store.list("bkt", after="d042/08599", limit=1000)
        assert [x.key for x in flat.objects][:2] == ["d043/08600", "d043/08601"]
        assert flat.next == "d047/09599"
