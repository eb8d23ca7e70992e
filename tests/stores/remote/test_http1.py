"""Answers of servers, however their bytes are cut up on the way, and wherever they end."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.connections import Connections
from trainshed.stores.objects.remote.http1 import BadAnswer, Connection, Incoming
from trainshed.stores.objects.remote.troubles import StoreAway

BODY = bytes(range(256)) * 4


def chunked(body: bytes, size: int) -> bytes:
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    pieces = [b"%x;name=value\r\n%b\r\n" % (len(piece), piece) for piece in cut]
    return b"".join(pieces) + b"0\r\nX-Trailer: t\r\n\r\n"


def told(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def cut_up(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 100)


def until_the_end(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


@contextmanager
def coming(pieces: list[bytes]) -> Iterator[socket.socket]:
    """Have pieces come, one after the other, and then the end."""
    near, far = socket.socketpair()

    def send() -> None:
        # Whoever has the whole answer may be gone before the last, empty piece.
        with far, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                far.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        near.settimeout(30)
        yield near
    finally:
        near.close()
        sender.join()


def answer(connected: socket.socket, method: str = "GET") -> Incoming:
    return Incoming(connected, bytearray(4096), method)


def taken(incoming: Incoming, most: int) -> bytes:
    """Return the body, read in pieces of up to ``most`` bytes."""
    got, buffer = b"", memoryview(bytearray(most))
    while count := incoming.into(buffer):
        got += buffer[:count]
    return got


@pytest.mark.parametrize("sent", [told, cut_up, until_the_end])
@given(cuts=st.lists(st.integers(0, 1500), max_size=6), most=st.integers(1, 2000))
@settings(max_examples=40)
def test_a_body_arrives_however_it_is_cut(
    sent: Callable[[bytes], bytes], cuts: list[int], most: int
) -> None:
    whole = sent(BODY)
    at = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    with coming([whole[a:b] for a, b in itertools.pairwise(at)]) as connected:
        incoming = answer(connected)
        assert (incoming.status, taken(incoming, most)) == (200, BODY)
        assert incoming.reusable == (sent is not until_the_end)


@pytest.mark.parametrize("sent", [told, cut_up])
@given(data=st.data())
@settings(max_examples=40)
def test_an_end_that_comes_too_early_is_noticed(
    sent: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    whole = sent(BODY)
    with coming([whole[: data.draw(st.integers(0, len(whole) - 1))]]) as connected:
        try:
            incoming = answer(connected)
        except BadAnswer:
            return
        assert not incoming.reusable
        with pytest.raises(BadAnswer):
            incoming.read()
        assert not incoming.reusable


def test_an_answer_that_only_says_to_go_on_is_passed_over() -> None:
    with coming([b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + told(b"x")]) as connected:
        incoming = answer(connected)
        assert (incoming.status, incoming.read()) == (200, b"x")
        assert "a" not in incoming.headers


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_is_at_its_end(method: str, head: bytes) -> None:
    with coming([head]) as connected:
        incoming = answer(connected, method)
        assert (incoming.read(), incoming.length, incoming.reusable) == (b"", 0, True)


def test_headers_are_told_by_their_names_in_small_letters() -> None:
    head = b"HTTP/1.1 200 OK\r\nETag: \xe4\r\nX-Two: a\r\nx-two: b\r\nContent-Length: 0\r\n\r\n"
    with coming([head]) as connected:
        assert answer(connected).headers == {
            "etag": "\xe4",
            "x-two": "a, b",
            "content-length": "0",
        }


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"",
    ],
)
def test_what_is_no_answer_is_refused(nonsense: bytes) -> None:
    with coming([nonsense]) as connected, pytest.raises(BadAnswer):
        answer(connected)


class Closing:
    """A server that closes each connection after an answer that promised otherwise."""

    def __init__(self, answers: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = 0
        self._answers = answers
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._socket:
            for _ in range(self._answers):
                connection, _ = self._socket.accept()
                with connection:
                    connection.recv(1 << 16)
                    self.asked += 1
                    connection.sendall(told(b"x"))

    def join(self) -> None:
        self._thread.join(30)


def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    server = Closing(3)
    access = Access.of(
        {"endpoint": server.endpoint, "access_key": "k", "secret_key": "s", "region": "r"}
    )
    connections = Connections(access)
    for _ in range(3):
        with connections.ask("GET", ("bkt", "key")) as got:
            assert got.read() == b"x"
    server.join()
    assert server.asked == 3
    with pytest.raises(StoreAway, match="does not answer"):
        connections.ask("GET", ("bkt", "key"))


def test_a_connection_sends_a_body_in_one_piece_or_in_many() -> None:
    bodies = [b"small", bytes(200_000), [memoryview(b"ab"), memoryview(b"cd")]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection("127.0.0.1", server.getsockname()[1], None, silence_s=30)
        far, _ = server.accept()
        with far, far.makefile("rb") as stream:
            for body in bodies:
                wanted = b"".join(body) if isinstance(body, list) else body
                headers = {"content-length": str(len(wanted))}
                sender = threading.Thread(
                    target=connection.send, args=("PUT", "/b/k?x=y", headers, body)
                )
                sender.start()
                head = [stream.readline() for _ in range(3)]
                assert head == [
                    b"PUT /b/k?x=y HTTP/1.1\r\n",
                    b"content-length: %d\r\n" % len(wanted),
                    b"\r\n",
                ]
                assert stream.read(len(wanted)) == wanted
                sender.join()
        connection.close()
