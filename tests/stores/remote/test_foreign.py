"""S3 servers of other makes, and several at once."""

import os
from pathlib import Path

import pytest
from tests.stores.remote.conftest import BUCKET, Ours, Server, client

from trainshed.domain.errors import StoreError
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.store import RemoteObjects

MIB = 1 << 20
ODD = ["a b+c", "ü/%41#?&=", "x/y/z"]


@pytest.fixture(params=["moto", "rclone", "ours"])
def access(request: pytest.FixtureRequest) -> dict[str, str]:
    """How each server is reached; each has a bucket."""
    if request.param == "moto":
        server: Server = request.getfixturevalue("s3")
        return server.access
    if request.param == "ours":
        ours: Ours = request.getfixturevalue("ours")
        return ours.direct
    found: dict[str, str] = request.getfixturevalue("rclone")
    return found


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, 40 * MIB])
def test_an_object_goes_out_and_comes_back(
    access: dict[str, str], tmp_path: Path, size: int
) -> None:
    data = (os.urandom(MIB) * (size // MIB + 1))[:size]
    address = parse(f"s3://{BUCKET}/back/{size}")
    objects = RemoteObjects(access)
    (tmp_path / "out").write_bytes(data)
    objects.put_file(address, tmp_path / "out")
    entry = objects.stat(address)
    assert (entry.key, entry.size) == (address.key, size)
    objects.fetch(address, tmp_path / "back", entry)
    assert (tmp_path / "back").read_bytes() == data
    assert b"".join(objects.stream(address)) == data
    assert b"".join(objects.stream(address, offset=3, length=2 * MIB)) == data[3 : 2 * MIB + 3]
    assert objects.read(address, 5) == data[:5]
    objects.delete(address)
    assert not objects.exists(address)


def test_odd_keys_go_out_and_come_back(access: dict[str, str], tmp_path: Path) -> None:
    objects = RemoteObjects(access)
    for number, key in enumerate(ODD):
        address = parse(f"s3://{BUCKET}/odd/{key}")
        objects.put(address, lambda sink, key=key: sink.write(key.encode()))  # type: ignore[misc]
        objects.fetch(address, tmp_path / str(number))
        assert (tmp_path / str(number)).read_text() == key
    found = [entry.key for entry in objects.list(parse(f"s3://{BUCKET}/odd/"))]
    assert found == sorted(f"odd/{key}" for key in ODD)


@pytest.mark.parametrize("key", ["a/../b", "./a", "a//b", "/a", "dir/", "tab\there", "\x7f\x01"])
def test_keys_that_are_no_paths_go_out_and_come_back(ours: Ours, tmp_path: Path, key: str) -> None:
    address = parse(f"s3://{BUCKET}/{key}")
    objects = RemoteObjects(ours.direct)
    objects.put(address, lambda sink: sink.write(b"x"))
    objects.fetch(address, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"x"
    assert ours.client.get_object(Bucket=BUCKET, Key=key)["ContentLength"] == 1
    objects.delete(address)
    assert not objects.exists(address)


def test_each_address_is_asked_of_the_store_with_the_longest_prefix(
    ours: Ours, s3: Server, rclone: dict[str, str]
) -> None:
    s3.put(**{"x/here": b"moto", "deep/here": b"moto"})
    ours.client.put_object(Bucket=BUCKET, Key="x/here", Body=b"ours")
    client(rclone).put_object(Bucket=BUCKET, Key="deep/here", Body=b"rclone")
    stores = [
        {"prefix": f"s3://{BUCKET}/", **s3.access},
        {"prefix": f"s3://{BUCKET}/deep/", **rclone},
        {"prefix": "s3://other/", **ours.direct},
    ]
    objects = RemoteObjects(ours.direct, stores=stores)
    assert objects.read(parse(f"s3://{BUCKET}/x/here"), 9) == b"moto"
    assert objects.read(parse(f"s3://{BUCKET}/deep/here"), 9) == b"rclone"
    assert RemoteObjects(ours.direct).read(parse(f"s3://{BUCKET}/x/here"), 9) == b"ours"
    with pytest.raises(StoreError, match="no store is configured for it"):
        objects.read(parse("gs://bucket/key"), 1)
