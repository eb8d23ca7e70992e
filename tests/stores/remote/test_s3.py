"""Objects in a bucket: exact keys, streams, and servers that are away."""

import hashlib
import threading
from pathlib import Path

import pytest
from tests.stores.remote.conftest import Server

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

HARD_KEYS = [
    "a/../b",
    "a//b",
    "dir/",
    "sp ace+plus/ü%41#?&=.txt",
    "train",
    "train.csv",
    "train/x",
    "train2/y",
]


def test_keys_are_listed_as_they_are_by_plain_prefix(s3: Server) -> None:
    s3.put(**dict.fromkeys(HARD_KEYS, b"x"))
    objects = RemoteObjects(s3.access)
    listed = list(objects.list(parse("s3://bkt")))
    assert [(entry.key, entry.size) for entry in listed] == [(key, 1) for key in HARD_KEYS]
    assert {entry.etag for entry in listed} == {hashlib.md5(b"x").hexdigest()}
    found = [entry.key for entry in objects.list(parse("s3://bkt/train"))]
    assert found == ["train", "train.csv", "train/x", "train2/y"]
    assert [entry.key for entry in objects.list(parse("s3://bkt/train/"))] == ["train/x"]
    assert list(objects.list(parse("s3://bkt/none"))) == []
    assert [entry.key for entry in objects.list(parse("s3://bkt/sp ace+"))] == [HARD_KEYS[3]]


def test_an_object_is_fetched_and_put_whole(s3: Server, tmp_path: Path) -> None:
    objects = RemoteObjects(s3.access)
    big = bytes(range(256)) * (80 << 10)
    (tmp_path / "big").write_bytes(big)
    objects.put_file(parse("s3://bkt/a/big ü"), tmp_path / "big")
    objects.fetch(parse("s3://bkt/a/big ü"), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == big
    assert s3.client.head_object(Bucket="bkt", Key="a/big ü")["ContentLength"] == len(big)
    assert objects.read(parse("s3://bkt/a/big ü"), 3) == b"\0\1\2"


def test_an_empty_object_is_put_and_fetched(s3: Server, tmp_path: Path) -> None:
    objects = RemoteObjects(s3.access)
    objects.put(parse("s3://bkt/none"), lambda sink: None)
    objects.fetch(parse("s3://bkt/none"), tmp_path / "none")
    assert (tmp_path / "none").read_bytes() == b""
    assert objects.exists(parse("s3://bkt/none"))


def test_what_is_not_there_is_missing_at_once(s3: Server, tmp_path: Path) -> None:
    objects = RemoteObjects(s3.access)
    with pytest.raises(ObjectMissing, match="s3://bkt/x does not exist"):
        objects.fetch(parse("s3://bkt/x"), tmp_path / "x")
    with pytest.raises(ObjectMissing, match="NoSuchBucket"):
        list(objects.list(parse("s3://nowhere/x")))
    with pytest.raises(StoreError):
        objects.put(parse("s3://nowhere/x"), lambda sink: None)
    assert not objects.exists(parse("s3://bkt/x"))
    objects.delete(parse("s3://bkt/x"))


def test_a_failing_write_stores_nothing(s3: Server) -> None:
    def write(sink: Sink) -> None:
        sink.write(b"half")
        raise FileNotFoundError("the file went away")

    with pytest.raises(FileNotFoundError, match="went away"):
        RemoteObjects(s3.access).put(parse("s3://bkt/half"), write)
    assert not RemoteObjects(s3.access).exists(parse("s3://bkt/half"))


def test_a_server_that_is_away_is_waited_for(s3: Server, tmp_path: Path) -> None:
    s3.put(x=b"1")
    objects = RemoteObjects(s3.access)
    s3.stop()
    back = threading.Timer(1.0, s3.start)
    back.start()
    assert [(entry.key, entry.size) for entry in objects.list(parse("s3://bkt/x"))] == [("x", 1)]
    back.join()
    s3.stop()
    back = threading.Timer(1.0, s3.start)
    back.start()
    objects.fetch(parse("s3://bkt/x"), tmp_path / "x")
    back.join()
    assert (tmp_path / "x").read_bytes() == b"1"
    s3.stop()
    back = threading.Timer(1.0, s3.start)
    back.start()

    def write(sink: Sink) -> None:
        sink.write(b"2")

    objects.put(parse("s3://bkt/y"), write)
    back.join()
    assert objects.read(parse("s3://bkt/y"), 9) == b"2"


def test_patience_ends_and_can_be_cut_short(s3: Server, tmp_path: Path) -> None:
    s3.stop()
    with pytest.raises(StoreAway):
        list(RemoteObjects(s3.access, patience=Patience(seconds=0.2)).list(parse("s3://bkt/x")))
    with pytest.raises(StoreAway):
        RemoteObjects(s3.access, patience=Patience(seconds=0.2)).fetch(
            parse("s3://bkt/x"), tmp_path / "x"
        )
    stopped = threading.Event()
    objects = RemoteObjects(s3.access, patience=Patience(cancelled=stopped.is_set))
    threading.Timer(0.3, stopped.set).start()
    with pytest.raises(Cancelled):
        objects.read(parse("s3://bkt/x"), 1)
    s3.start()
