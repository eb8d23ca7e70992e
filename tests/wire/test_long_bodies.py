"""Long bodies, which go past the HTTP parser: all of them and nothing else, whatever clients do."""

import contextlib
import random
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.toy_server import Server, serving

from trainshed.wire.connection import _LONG, _READ

BIG = random.Random(1).randbytes(3 * _READ + 1)
EDGES = [edge + by for edge in (_LONG, 2 * _LONG, _READ, 2 * _READ, 3 * _READ) for by in (-1, 0, 1)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("toy")) as running:
        yield running


def head(server: Server, method: str, key: str, *lines: str) -> bytes:
    """Return the head of a request for an object."""
    operation = {"PUT": "put_object", "GET": "get_object"}[method]
    s3 = server.client("s3", signature_version="s3v4")
    address = urlsplit(
        s3.generate_presigned_url(operation, Params={"Bucket": "b", "Key": key}, ExpiresIn=600)
    )
    first = f"{method} {address.path}?{address.query} HTTP/1.1"
    return "\r\n".join([first, f"Host: {address.netloc}", *lines, "", ""]).encode()


def put(server: Server, key: str, size: int, *lines: str) -> bytes:
    return head(server, "PUT", key, f"Content-Length: {size}", *lines)


def answered(stream: BinaryIO) -> tuple[int, bytes]:
    """Return the status and the body of the next answer."""
    status = int(stream.readline().split()[1])
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, stream.read(length)


@contextlib.contextmanager
def plugged(server: Server) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with (
        socket.create_connection(server.address, timeout=30) as plug,
        plug.makefile("rb") as stream,
    ):
        yield plug, stream


@settings(max_examples=30)
@given(
    size=st.sampled_from(EDGES) | st.integers(_LONG, len(BIG)),
    cuts=st.lists(st.integers(0, len(BIG)), max_size=6),
    with_head=st.booleans(),
)
def test_a_body_arrives_whole_however_it_is_cut_and_requests_behind_it_are_answered(
    server: Server, size: int, cuts: Sequence[int], with_head: bool
) -> None:
    body = BIG[-size:]
    first, again, last = put(server, "k", size), put(server, "k2", size), head(server, "GET", "k")
    sent = first + body + again + body + last
    at = [0, *([] if with_head else [len(first)]), *sorted(len(first) + cut for cut in cuts)]
    with plugged(server) as (plug, stream):
        for start, end in zip(at, [*at[1:], len(sent)], strict=True):
            plug.sendall(sent[start:end])
        assert answered(stream)[0] == 200
        assert answered(stream)[0] == 200
        assert answered(stream) == (200, body)
    assert server.toy.objects["b/k"] == server.toy.objects["b/k2"] == body


def test_a_body_that_waits_for_the_go_ahead_gets_it_once(server: Server) -> None:
    with plugged(server) as (plug, stream):
        plug.sendall(put(server, "k", len(BIG), "Expect: 100-continue"))
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        plug.sendall(BIG)
        assert answered(stream)[0] == 200
    assert server.toy.objects["b/k"] == BIG


def test_a_client_that_asks_to_close_is_answered_before_that(server: Server) -> None:
    with plugged(server) as (plug, stream):
        plug.sendall(put(server, "k", len(BIG), "Connection: close") + BIG)
        assert answered(stream)[0] == 200
        assert stream.read() == b""


def test_what_comes_behind_a_body_is_read_as_a_request(server: Server) -> None:
    with plugged(server) as (plug, stream):
        plug.sendall(put(server, "k", len(BIG)) + BIG)
        assert answered(stream)[0] == 200
        plug.sendall(b"no request\r\n\r\n")
        assert answered(stream)[0] == 400
        assert stream.read() == b""


def sockets() -> int:
    found = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(name.startswith("socket:") for name in found)


@pytest.mark.parametrize("sent", [0, 1000, _READ + 1, len(BIG) - 1])
@pytest.mark.parametrize("abruptly", [False, True])
def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    server: Server, sent: int, abruptly: bool
) -> None:
    server.toy.objects.pop("b/left", None)
    before = sockets()
    with plugged(server) as (plug, _):
        plug.sendall(put(server, "left", len(BIG)) + BIG[:sent])
        if abruptly:  # a reset, not an end
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    for _ in range(1000):
        if sockets() <= before:
            break
        threading.Event().wait(0.01)
    assert sockets() <= before
    assert "b/left" not in server.toy.objects


def test_clients_that_send_no_further_hold_up_nobody_and_no_threads(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(plugged(server)) for _ in range(60)]
        for number, (plug, _) in enumerate(waiting):
            plug.sendall(put(server, f"slow{number}", len(BIG)) + BIG[:-7])
        with plugged(server) as (plug, stream):
            plug.sendall(put(server, "quick", len(BIG)) + BIG)
            assert answered(stream)[0] == 200
        assert threading.active_count() < 40
        for plug, stream in waiting:
            plug.sendall(BIG[-7:])
            assert answered(stream)[0] == 200
    assert all(server.toy.objects[f"b/slow{number}"] == BIG for number in range(60))


def test_what_nobody_reads_is_refused_at_once_and_dropped(server: Server) -> None:
    first = put(server, "k", len(BIG)).replace(b"X-Amz-Signature=", b"X-Amz-Signature=0")
    with plugged(server) as (plug, stream):
        plug.sendall(first)
        status, said = answered(stream)
        assert (status, b"SignatureDoesNotMatch" in said) == (403, True)
        plug.sendall(BIG)
        assert stream.read() == b""


def test_a_body_comes_whole_over_tls_too(tmp_path: Path) -> None:
    certificate = Path(__file__).parent / "loopback.pem"
    trusting = ssl.create_default_context(cafile=certificate)
    body = BIG * 8  # so long that some of it always waits in the socket, encrypted
    with (
        serving(tmp_path, certificate=certificate) as server,
        socket.create_connection(server.address, timeout=30) as plain,
        trusting.wrap_socket(plain, server_hostname=server.address[0]) as plug,
        plug.makefile("rb") as stream,
    ):
        for _ in range(2):
            plug.sendall(put(server, "k", len(body)) + body)
            assert answered(stream)[0] == 200
            assert server.toy.objects.pop("b/k") == body
        with contextlib.suppress(ssl.SSLError):  # what the server still says
            plug.unwrap()
