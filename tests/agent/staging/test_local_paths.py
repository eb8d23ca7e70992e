"""Where objects lie below their channel: every trap of keys, from a bucket and from a list."""

import json
from collections.abc import Callable, Iterator

import pytest
from tests.agent.staging.conftest import Source

from trainshed.agent.channels.items import BadInput, Item, items, local_path
from trainshed.agent.channels.order import Order
from trainshed.stores.objects.remote.store import RemoteObjects

DOWNLOAD = "ClientError: Data download failed:"
ALL = Order(seed=None, rank=0, share=1)


@pytest.fixture
def paths(store: Source) -> Callable[..., list[str]]:
    """Return what gives the local paths of a channel, as text for each object."""

    def given(uri: str, kind: str = "S3Prefix") -> list[str]:
        return [item.path for item in listed(store, uri, kind)]

    return given


def listed(store: Source, uri: str, kind: str = "S3Prefix") -> Iterator[Item]:
    return items({"S3DataType": kind, "S3Uri": uri}, RemoteObjects(store.access), ALL)


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("a/b/", "a/b/x/y.csv", "x/y.csv"),
        ("a/b", "a/b/x.csv", "x.csv"),
        ("a/b", "a/b/scripts/x.py", "scripts/x.py"),
        ("a/data.csv", "a/data.csv", "data.csv"),
        ("a/b", "a/b", "b"),
        ("b", "b", "b"),
        ("a/tr", "a/train/x", "train/x"),
        ("train", "train2/x", "train2/x"),
        ("train", "train.csv", "train.csv"),
        ("", "a/b", "a/b"),
        ("", "a", "a"),
        ("a/b/", "a/b/", ""),
        ("a/b", "a/b/", ""),
        ("a", "a/b/", "b/"),
        ("a/", "a/B", "B"),
        ("ä/", "ä/ö", "ö"),
    ],
)
def test_where_a_key_lies_below_its_channel(prefix: str, key: str, path: str) -> None:
    assert local_path(prefix, key) == path


@pytest.mark.parametrize(
    ("keys", "prefix", "found"),
    [
        (["d/train/x", "d/train.csv", "d/train2/x", "d/tra"], "d/train",
         ["train.csv", "x", "train2/x"]),
        (["d/x", "d/y/z"], "d/", ["x", "y/z"]),
        (["d/x", "d/y/z"], "d", ["x", "y/z"]),
        (["one.csv"], "one.csv", ["one.csv"]),
        (["d/one.csv", "d/one.csv.bak"], "d/one.csv", ["one.csv", "one.csv.bak"]),
        (["a", "b/c"], "", ["a", "b/c"]),
        (["d/A", "d/a"], "d/", ["A", "a"]),
        (["d/ü", "d/日本", "d/🚂"], "d/", ["ü", "日本", "🚂"]),
        (["d/a b", "d/a%20b", "d/a+b", 'd/"q"', "d/<&>"], "d/",
         ['"q"', "<&>", "a b", "a%20b", "a+b"]),
        (["d/.hidden", "d/...", "d/a..b"], "d/", ["...", ".hidden", "a..b"]),
    ],
)  # fmt: skip
def test_keys_of_a_bucket_lie_where_people_expect_them(
    store: Source, paths: Callable[..., list[str]], keys: list[str], prefix: str, found: list[str]
) -> None:
    store.put(dict.fromkeys(keys, b"x"))
    assert paths(store.uri(prefix)) == found


def test_the_marker_of_a_folder_is_a_folder(store: Source, paths: Callable[..., list[str]]) -> None:
    store.put({"d/": b"", "d/empty/": b"", "d/x": b"1"})
    assert paths(store.uri("d/")) == ["empty/", "x"]
    assert paths(store.uri("d")) == ["empty/", "x"]


@pytest.mark.parametrize(
    ("key", "prefix", "said"),
    [
        ("d/a//b", "d", "Failed to download data. S3 key: {key} has an illegal char sub-sequence"),
        ("d//", "d", "Failed to download data. S3 key: {key} has an illegal char sub-sequence"),
        ("/lead", "", "Failed to download data. S3 key: {key} has an illegal char sub-sequence"),
        ("d/../x", "d/", "S3 key: {key} would lie outside the folder of its channel as '../x'"),
        ("d/x/../../y", "d/", "S3 key: {key} would lie outside the folder"),
        ("d/./x", "d/", "S3 key: {key} has '.' or '..' between slashes in it, which no file"),
        ("d/x/..", "d/", "S3 key: {key} has '.' or '..' between slashes in it, which no file"),
        ("d/x\0", "d/", "S3 key: {key} has a NUL character in it, which no file"),
        ("..", "", "S3 key: {key} would lie outside the folder"),
        ("d/full/", "d", "S3 key: {key} has content, but the name of a folder"),
        ("d/", "d/", "S3 key: {key} has content, but the name of a folder"),
    ],
)  # fmt: skip
def test_keys_that_no_folder_takes_are_told(
    store: Source, paths: Callable[..., list[str]], key: str, prefix: str, said: str
) -> None:
    store.put({key: b"x"})
    with pytest.raises(BadInput) as caught:
        paths(store.uri(prefix))
    assert str(caught.value).startswith(DOWNLOAD + said.format(key=store.uri(key)))


@pytest.mark.parametrize("keys", [["other"], ["d/"]])
def test_a_channel_without_a_single_file_is_told(
    store: Source, paths: Callable[..., list[str]], keys: list[str]
) -> None:
    store.put(dict.fromkeys(keys, b""))
    with pytest.raises(BadInput, match=f"S3 key: {store.uri('d/')} matched no files on s3"):
        paths(store.uri("d/"))


def test_a_bucket_that_is_not_there_is_told(paths: Callable[..., list[str]]) -> None:
    with pytest.raises(BadInput, match=f"^{DOWNLOAD}s3://no-such-bucket/.*does not exist"):
        paths("s3://no-such-bucket/x")


def manifest(store: Source, *elements: object) -> str:
    text = json.dumps(elements)
    return text.replace("PREFIX", store.uri("p/"))


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ([{"prefix": "PREFIX"}, "a", "sub/b"], ["a", "sub/b"]),
        ([{"prefix": "PREFIX"}, "sub/b", "a"], ["sub/b", "a"]),
        ([{"prefix": "PREFIX", "more": [1, {"prefix": 2}]}, "a"], ["a"]),
        ([{"prefix": "PREFIX"}, "empty/", "a"], ["empty/", "a"]),
        ([{"prefix": "PREFIX"}, "Ähre 🌾"], ["Ähre 🌾"]),
    ],
)
def test_a_manifests_names_are_paths(
    store: Source, paths: Callable[..., list[str]], elements: list[object], found: list[str]
) -> None:
    store.put({"p/empty/": b"", "m": manifest(store, *elements).encode()})
    assert paths(store.uri("m"), "ManifestFile") == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not valid JSON: parse error: premature EOF"),
        ("[]", "is empty"),
        ("{}", "is an object where a JSON array is expected"),
        ("[", "is not valid JSON: parse error: premature EOF"),
        ('["a", "b"]', 'begins with a text where {"prefix": "s3://…"} is expected'),
        ("[{}]", 'does not begin with {"prefix": "s3://…"}'),
        ('[{"prefix": 1}, "a"]', 'does not begin with {"prefix": "s3://…"}'),
        ('[{"prefix": "p/"}, "a"]', "has no usable prefix: 'p/' is not an address"),
        ('[{"prefix": "PREFIX"}]', "has a prefix, but names no object"),
        ('[{"prefix": "PREFIX"}, "a", 3]', "has a number as element 3, where a name should be"),
        ('[{"prefix": "PREFIX"}, ""]', "has an empty name as element 2, where a name should be"),
        ('[{"prefix": "PREFIX"}, ["a"]]', "has an array as element 2, where a name should be"),
        ('[{"prefix": "PREFIX"}, null]', "has null as element 2, where a name should be"),
        ('[{"prefix": "PREFIX"}, "a", ]', "is not valid JSON: parse error: unallowed token"),
        ('[{"prefix": "PREFIX"}, "a"] x', "is not valid JSON: "),
        ('[{"prefix": "PREFIX"}, "gone/"]', "names PREFIXgone/, which does not exist"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_told(
    store: Source, paths: Callable[..., list[str]], text: str, said: str
) -> None:
    store.put({"m": text.replace("PREFIX", store.uri("p/")).encode()})
    with pytest.raises(BadInput) as caught:
        paths(store.uri("m"), "ManifestFile")
    expected = f"{DOWNLOAD}the manifest {store.uri('m')} " + said.replace("PREFIX", store.uri("p/"))
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "./x", "a//b", "/etc/passwd"])
def test_a_manifests_name_that_no_folder_takes_is_told_with_the_manifest(
    store: Source, paths: Callable[..., list[str]], name: str
) -> None:
    store.put({"m": manifest(store, {"prefix": "PREFIX"}, name).encode()})
    with pytest.raises(BadInput) as caught:
        paths(store.uri("m"), "ManifestFile")
    assert f"S3 key: {store.uri('p/' + name)}" in str(caught.value)
    assert str(caught.value).endswith(f"(the manifest {store.uri('m')} names it)")


def test_a_manifest_that_is_not_there_is_told(
    store: Source, paths: Callable[..., list[str]]
) -> None:
    with pytest.raises(BadInput, match=f"^{DOWNLOAD}{store.uri('m')} does not exist"):
        paths(store.uri("m"), "ManifestFile")


def test_lists_are_read_only_as_far_as_they_are_used(store: Source) -> None:
    names = [f"{number:07}" for number in range(200_000)]
    body = json.dumps([{"prefix": store.uri("p/")}, *names])
    store.put({"m": body.encode()[:-100_000]})
    lazy = listed(store, store.uri("m"), "ManifestFile")
    first = [next(lazy) for _ in range(3)]
    assert [item.path for item in first] == names[:3]
    assert first[0] == Item(first[0].address, names[0])
    with pytest.raises(BadInput, match="is not valid JSON: parse error: premature EOF"):
        list(lazy)


def test_a_list_tells_sizes_and_versions(store: Source) -> None:
    store.put({"p/a": b"123"})
    (found,) = listed(store, store.uri("p/"))
    told = store.client.head_object(Bucket=store.bucket, Key="p/a")
    assert (found.size, found.etag) == (3, told["ETag"].strip('"'))
    assert found.entry is not None
    assert found.entry[:3] == ("p/a", 3, found.etag)
