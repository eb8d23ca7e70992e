"""The aws command and obstore against the real server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store
from tests.api.s3.served import ACCESS, SECRET, Served, serving

MIB = 1024 * 1024
AWS = Path(sys.executable).parent / "aws"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("data")) as it:
        it.client().create_bucket(Bucket="bkt")
        yield it


def aws(served: Served, *arguments: str, code: int = 0) -> str:
    """Run ``aws s3`` and return what it prints."""
    ended = subprocess.run(
        [str(AWS), "s3", *arguments, "--endpoint-url", served.url],
        env={"PATH": os.environ["PATH"], "HOME": str(served.folder), **served.environment()},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


def test_the_aws_command_makes_fills_lists_and_removes_a_bucket(
    served: Served, tmp_path: Path
) -> None:
    tree = {"a.csv": b"1,2\n", "sub/ü b.csv": b"3,4\n", "sub/large": os.urandom(9 * MIB)}
    for name, data in tree.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(data)
    aws(served, "mb", "s3://cli")
    aws(served, "sync", str(tmp_path / "up"), "s3://cli/data")
    assert aws(served, "sync", str(tmp_path / "up"), "s3://cli/data") == ""
    listed = aws(served, "ls", "s3://cli/data/", "--recursive")
    assert [line.split(maxsplit=3)[3] for line in listed.splitlines()] == [
        "data/a.csv",
        "data/sub/large",
        "data/sub/ü b.csv",
    ]
    assert "PRE sub/" in aws(served, "ls", "s3://cli/data/")
    aws(served, "cp", "s3://cli/data/", "s3://cli/copy/", "--recursive")
    aws(served, "cp", "s3://cli/copy", str(tmp_path / "down"), "--recursive")
    for name, data in tree.items():
        assert (tmp_path / "down" / name).read_bytes() == data
    assert "BucketNotEmpty" in aws(served, "rb", "s3://cli", code=1)
    aws(served, "rm", "s3://cli", "--recursive")
    assert aws(served, "ls", "s3://cli") == ""
    aws(served, "rb", "s3://cli")
    assert "NoSuchBucket" in aws(served, "ls", "s3://cli", code=255)


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


def test_obstore_lists_copies_and_deletes(store: S3Store) -> None:
    names = [f"many/{n:04}" for n in range(1100)]
    for name in [*names, "many/sub/x"]:
        obstore.put(store, name, b"x")
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
