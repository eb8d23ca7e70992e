"""What clients may do to a connection, and how answers leave it."""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.wire.toy_server import Server, serving

from trainshed.wire.connection import MOST_HEAD, _Joined


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("toy")) as running:
        yield running


@pytest.mark.parametrize(
    "endless",
    [b"x-many: " + b"a" * 900 + b"\r\n", b"x-long" + b"g" * 900],
    ids=["headers", "a name"],
)
def test_a_head_without_end_closes_the_connection(server: Server, endless: bytes) -> None:
    with socket.create_connection(server.address, timeout=60) as plug:
        answer = b""
        with contextlib.suppress(ConnectionError):  # it may be reset before all is sent
            plug.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for _ in range(2 * MOST_HEAD // len(endless)):
                plug.sendall(endless)
            answer = plug.recv(1000)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert server.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]


def test_an_address_without_end_closes_the_connection(server: Server) -> None:
    with socket.create_connection(server.address, timeout=60) as plug:
        answer = b""
        with contextlib.suppress(ConnectionError):
            plug.sendall(b"GET /")
            for _ in range(2 * MOST_HEAD // 1000):
                plug.sendall(b"a" * 1000)
            answer = plug.recv(1000)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_requests_sent_one_behind_the_other_are_answered_in_order(server: Server) -> None:
    padding = b"a" * 50_000
    requests = [
        b"GET /b/%d HTTP/1.1\r\nHost: x\r\nx-pad: %b\r\n\r\n" % (n, padding) for n in range(9)
    ]
    with socket.create_connection(server.address, timeout=60) as plug:
        plug.sendall(b"".join(requests))
        answers = b""
        while answers.count(b"</Error>") < len(requests):
            piece = plug.recv(100_000)
            assert piece, answers
            answers += piece
    places = [answers.index(b"<Resource>/b/%d</Resource>" % n) for n in range(len(requests))]
    assert places == sorted(places)


BIG = random.Random(1).randbytes(9_000_001)


def asked_for(server: Server) -> bytes:
    """Return a request for a large file."""
    server.toy.objects["b/big"] = BIG
    named = {"Bucket": "b", "Key": "big", "VersionId": "file"}
    s3 = server.client("s3", signature_version="s3v4")
    address = urlsplit(s3.generate_presigned_url("get_object", Params=named))
    return f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()


@pytest.mark.parametrize("at_once", [1, 3])
def test_large_files_come_whole_and_in_order(server: Server, at_once: int) -> None:
    request = asked_for(server)
    with socket.create_connection(server.address, timeout=60) as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)  # the server must wait often
        with plug.makefile("rb") as stream:
            for _ in range(3 // at_once):
                plug.sendall(request * at_once)
                for _ in range(at_once):
                    while stream.readline().strip():
                        pass
                    assert stream.read(len(BIG)) == BIG


def test_a_client_that_goes_away_within_a_file_leaves_nothing_open(server: Server) -> None:
    request = asked_for(server)

    def sockets() -> int:
        found = [
            str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
        ]
        return sum(name.startswith("socket:") or name.endswith("/object") for name in found)

    before = sockets()
    for _ in range(5):
        with socket.create_connection(server.address, timeout=20) as plug:
            plug.sendall(request)
            assert plug.recv(1000)
    for _ in range(1000):
        if sockets() <= before:
            break
        threading.Event().wait(0.01)
    assert sockets() <= before


class Wire(asyncio.Transport):
    """A transport that remembers what reached it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_head_and_body_leave_together() -> None:
    wire = Wire()
    joined = _Joined(wire, asyncio.get_running_loop())
    joined.write(b"head ")
    joined.write(b"body")
    assert wire.pieces == []
    await asyncio.sleep(0)
    assert wire.pieces == [b"head body"]


async def test_what_is_large_does_not_wait_and_nothing_is_left_behind_at_the_end() -> None:
    wire = Wire()
    joined = _Joined(wire, asyncio.get_running_loop())
    joined.write(b"a" * 100_000)
    assert wire.pieces == [b"a" * 100_000]
    joined.write(b"end")
    joined.close()
    assert wire.pieces[1:] == [b"end"]
    assert wire.closed
    await asyncio.sleep(0)
    assert len(wire.pieces) == 2
