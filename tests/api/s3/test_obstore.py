"""What obstore asks for that other clients do not, on a real socket."""

import os
from collections.abc import Iterator

import obstore
import pytest
from obstore.store import S3Store
from tests.api.s3.served import ACCESS, SECRET, Served, serving
from tests.stores.objects.embedded_fixtures import copied

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("data")) as it:
        it.client().create_bucket(Bucket="bkt")
        yield it


@pytest.fixture
def store(served: Served) -> S3Store:
    return S3Store(
        "bkt",
        endpoint=served.url,
        access_key_id=ACCESS,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )


def test_obstore_puts_and_gets(store: S3Store) -> None:
    obstore.put(store, "dir/k", b"0123456789", attributes={"Content-Type": "x/y", "mine": "1"})
    answer = obstore.get(store, "dir/k")
    assert bytes(answer.bytes()) == b"0123456789"
    assert answer.attributes["Content-Type"] == "x/y"
    assert answer.attributes["mine"] == "1"
    assert bytes(obstore.get_range(store, "dir/k", start=2, end=5)) == b"234"
    ranges = obstore.get_ranges(store, "dir/k", starts=[0, 8], ends=[1, 10])
    assert [bytes(one) for one in ranges] == [b"0", b"89"]
    assert obstore.head(store, "dir/k")["size"] == 10
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "gone")


def test_obstore_uploads_in_parts(store: S3Store) -> None:
    data = os.urandom(17 * MIB)
    obstore.put(store, "large", data, use_multipart=True, chunk_size=5 * MIB, max_concurrency=3)
    assert bytes(obstore.get(store, "large").bytes()) == data
    assert (obstore.head(store, "large")["e_tag"] or "").endswith('-4"')


def test_obstore_writes_only_what_is_new_or_unchanged(store: S3Store) -> None:
    first = obstore.put(store, "only", b"1", mode="create")
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "only", b"2", mode="create")
    obstore.put(store, "only", b"2", mode={"e_tag": first["e_tag"]})
    with pytest.raises(obstore.exceptions.PreconditionError):
        obstore.put(store, "only", b"3", mode={"e_tag": first["e_tag"]})
    with pytest.raises(obstore.exceptions.NotModifiedError):
        obstore.get(store, "only", options={"if_none_match": "*"})


def test_obstore_lists_copies_and_deletes(served: Served, store: S3Store) -> None:
    names = [f"many/{n:04}" for n in range(1100)]
    obstore.put(store, "many/sub/x", b"x")
    copied(served.folder / "records.db", "bkt", "many/sub/x", names)
    found = [one["path"] for page in obstore.list(store, "many") for one in page]
    assert found == [*names, "many/sub/x"]
    level = obstore.list_with_delimiter(store, "many")
    assert list(level["common_prefixes"]) == ["many/sub"]
    assert len(level["objects"]) == 1100
    after = [one["path"] for page in obstore.list(store, "many", offset=names[-1]) for one in page]
    assert after == ["many/sub/x"]
    obstore.copy(store, "many/0000", "copied/a b")
    assert bytes(obstore.get(store, "copied/a b").bytes()) == b"x"
    obstore.delete(store, [*found, "copied/a b"])
    assert [one for page in obstore.list(store, "many") for one in page] == []
