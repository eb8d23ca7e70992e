"""What has arrived stays, whatever breaks; what is wrong is found out."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stores.remote.breaking import noted, until_noted
from tests.stores.remote.conftest import BUCKET, Ours

from trainshed.domain.errors import StoreError
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.partial import partial
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, ObjectChanged

LARGE = parse(f"s3://{BUCKET}/large")
MIB = 1 << 20


@pytest.fixture(scope="module")
def large(ours: Ours) -> bytes:
    """The bytes of an object of five pieces."""
    data = os.urandom(MIB) * 70 + b"tail"
    ours.client.put_object(Bucket=BUCKET, Key=LARGE.key, Body=data)
    return data


def test_a_download_goes_on_where_its_connections_broke(
    ours: Ours, large: bytes, tmp_path: Path
) -> None:
    before = ours.way.passed
    ours.way.cut_after(5 * MIB, 20 * MIB, 3 * MIB, 30 * MIB)
    RemoteObjects(ours.access).fetch(LARGE, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == large
    # What is on its way when a connection is cut is lost; it is far less than the object.
    assert ours.way.passed - before < len(large) + 45 * MIB
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_a_download_outlives_a_server_that_is_killed(
    ours: Ours, large: bytes, tmp_path: Path
) -> None:
    objects = RemoteObjects(ours.access)
    before = ours.way.passed
    fetching = threading.Thread(target=objects.fetch, args=(LARGE, tmp_path / "got"))
    fetching.start()
    _until(lambda: ours.way.passed > before + 10 * MIB)
    ours.restart()
    fetching.join()
    assert (tmp_path / "got").read_bytes() == large


def test_a_killed_process_leaves_what_has_arrived(ours: Ours, large: bytes, tmp_path: Path) -> None:
    target = tmp_path / "got"
    program = (
        "import sys; from pathlib import Path\n"
        "from trainshed.stores.objects.addresses import parse\n"
        "from trainshed.stores.objects.remote.store import RemoteObjects\n"
        "objects = RemoteObjects(dict(zip(sys.argv[1::2], sys.argv[2::2])))\n"
        f"objects.fetch(parse({str(LARGE)!r}), Path({str(target)!r}))\n"
    )
    words = [word for pair in ours.access.items() for word in pair]
    # It hangs near the end: what it asks for after that much is never answered.
    ours.way.stop_after(60 * MIB)
    fetching = subprocess.Popen([sys.executable, "-c", program, *words])
    try:
        until_noted(target, len(large), 40 * MIB)
    finally:
        fetching.send_signal(signal.SIGKILL)
        fetching.wait()
        ours.way.go_on()
    assert not target.exists()
    left = len(large) - noted(target, len(large))
    before = ours.way.passed
    RemoteObjects(ours.access).fetch(LARGE, target)
    assert target.read_bytes() == large
    assert left <= ours.way.passed - before < left + MIB
    assert list(tmp_path.iterdir()) == [target]


def test_wrong_bytes_are_found_out(ours: Ours, large: bytes, tmp_path: Path) -> None:
    marked = b"0123456789abcdef" * MIB * 2
    ours.client.put_object(Bucket=BUCKET, Key="marked", Body=marked)
    ours.client.put_object(Bucket=BUCKET, Key="small", Body=marked[:4096])
    ours.way.change = lambda data: data.replace(b"789abcdef0123", b"789abXdef0123")
    try:
        for key in ("marked", "small"):
            address = parse(f"s3://{BUCKET}/{key}")
            with pytest.raises(StoreError, match=r"arrived with the \w+ \S+, but the store says"):
                RemoteObjects(ours.access).fetch(address, tmp_path / key)
    finally:
        ours.way.change = lambda data: data
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_were_wrong_once_are_fetched_again(
    ours: Ours, large: bytes, tmp_path: Path
) -> None:
    ours.client.put_object(Bucket=BUCKET, Key="again", Body=b"right" * 10_000)
    spoilt: list[bytes] = []

    def spoil(data: bytes) -> bytes:
        if spoilt or b"rightright" not in data:
            return data
        spoilt.append(data)
        return data.replace(b"rightright", b"rightwrong")

    ours.way.change = spoil
    RemoteObjects(ours.access).fetch(parse(f"s3://{BUCKET}/again"), tmp_path / "again")
    ours.way.change = lambda data: data
    assert spoilt
    assert (tmp_path / "again").read_bytes() == b"right" * 10_000


def test_an_object_that_is_replaced_meanwhile_is_never_mixed(ours: Ours, tmp_path: Path) -> None:
    address = parse(f"s3://{BUCKET}/changing")
    old, new = b"a" * 40 * MIB, b"b" * 40 * MIB
    objects = RemoteObjects(ours.access)
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=old)
    entry = objects.stat(address)
    pieces = objects.stream(address)
    first = next(pieces)
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=new)
    ours.way.cut_after(0)
    with pytest.raises(ObjectChanged):
        for piece in pieces:
            assert bytes(piece[:1]) == b"a"
    assert bytes(first[:1]) == b"a"
    with pytest.raises(ObjectChanged):
        objects.fetch(address, tmp_path / "pinned", entry)
    objects.fetch(address, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == new


def test_what_has_arrived_of_another_version_is_not_used(ours: Ours, tmp_path: Path) -> None:
    address, target = parse(f"s3://{BUCKET}/versions"), tmp_path / "got"
    stop = threading.Event()
    objects = RemoteObjects(ours.access, patience=Patience(cancelled=stop.is_set))
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=b"a" * 70 * MIB)
    before = ours.way.passed

    def fetch() -> None:
        with pytest.raises(Cancelled):
            objects.fetch(address, target)

    ours.way.stop_after(60 * MIB)
    fetching = threading.Thread(target=fetch)
    fetching.start()
    _until(lambda: ours.way.passed >= before + 60 * MIB)
    stop.set()
    ours.way.go_on()
    fetching.join()
    assert partial(target).exists()
    ours.client.put_object(Bucket=BUCKET, Key=address.key, Body=b"b" * 70 * MIB)
    RemoteObjects(ours.access).fetch(address, target)
    assert set(target.read_bytes()) == {ord("b")}


def test_who_has_cancelled_need_not_wait_for_a_server_that_is_silent(
    ours: Ours, large: bytes, tmp_path: Path
) -> None:
    stop = threading.Event()
    objects = RemoteObjects(ours.access, patience=Patience(cancelled=stop.is_set))
    ended: list[type[BaseException]] = []

    def fetch() -> None:
        try:
            objects.fetch(LARGE, tmp_path / "got")
        except Cancelled as error:
            ended.append(type(error))

    before = ours.way.passed
    ours.way.stop_after(20 * MIB)
    fetching = threading.Thread(target=fetch)
    fetching.start()
    _until(lambda: ours.way.passed >= before + 20 * MIB)
    stop.set()
    objects.cut()
    fetching.join(30)  # half of the silence that is borne
    ours.way.go_on()
    assert ended == [Cancelled]
    with pytest.raises(Cancelled):
        objects.stat(LARGE)


def test_an_upload_goes_on_where_its_connections_broke(ours: Ours) -> None:
    address = parse(f"s3://{BUCKET}/up")
    data = os.urandom(MIB) * 50
    written = []

    def write(sink: Sink) -> None:
        written.append(1)
        for at in range(0, len(data), 3 * MIB):
            sink.write(data[at : at + 3 * MIB])

    before = ours.way.sent
    ours.way.cut_after(5 * MIB, 20 * MIB, 3 * MIB, 10 * MIB)
    RemoteObjects(ours.access).put(address, write, {"content-type": "text/x-test"})
    assert written == [1]
    assert ours.way.sent - before < len(data) + 70 * MIB
    got = ours.client.get_object(Bucket=BUCKET, Key="up")
    assert got["Body"].read() == data
    assert got["ContentType"] == "text/x-test"


def test_an_upload_outlives_a_server_that_is_killed(ours: Ours) -> None:
    address = parse(f"s3://{BUCKET}/up2")
    data = os.urandom(MIB) * 50
    written = []

    def write(sink: Sink) -> None:
        written.append(1)
        sink.write(data[: 30 * MIB])
        ours.restart()
        sink.write(data[30 * MIB :])

    RemoteObjects(ours.access).put(address, write)
    assert written == [1]
    assert ours.client.get_object(Bucket=BUCKET, Key="up2")["Body"].read() == data


def test_an_upload_that_fails_leaves_nothing(ours: Ours) -> None:
    def write(sink: Sink) -> None:
        sink.write(b"x" * 30 * MIB)
        raise FileNotFoundError("the file went away")

    objects = RemoteObjects(ours.access)
    with pytest.raises(FileNotFoundError):
        objects.put(parse(f"s3://{BUCKET}/failing"), write)
    assert not objects.exists(parse(f"s3://{BUCKET}/failing"))
    assert "Uploads" not in ours.client.list_multipart_uploads(Bucket=BUCKET)


def test_the_headers_of_an_object_reach_the_store(ours: Ours) -> None:
    headers = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "a-key",
    }
    for key, size in (("kms", 10), ("kms-large", 20 * MIB)):
        data = b"k" * size
        RemoteObjects(ours.direct).put(
            parse(f"s3://{BUCKET}/{key}"),
            lambda sink, data=data: sink.write(data),  # type: ignore[misc]
            headers,
        )
        told = ours.client.head_object(Bucket=BUCKET, Key=key)
        assert (told["ServerSideEncryption"], told["SSEKMSKeyId"]) == ("aws:kms", "a-key")
        assert told["ContentLength"] == size


def _until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        threading.Event().wait(0.005)
