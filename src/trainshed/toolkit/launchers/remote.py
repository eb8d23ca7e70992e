"""How the first host of an MPI job has commands run on the others, without an SSH server.

Both sides prove that they know the secret of the attempt, over numbers used once::

    worker -> first   32 random bytes
    first  -> worker  32 random bytes, HMAC over both and the request, the request's size, itself
    worker -> first   HMAC over both: I am the worker you meant; then frames
    frames            one letter, size, data: o stdout, e stderr, x exit code (the last)

Whoever lacks the secret can neither have a command run nor pretend to be a worker. What follows is
not hidden from who can read the job's network; the job's own MPI messages are not, either.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

from trainshed.contract.script_mode import MPI_PORT
from trainshed.toolkit.launchers.job import SHARED_PORTS

_NONCE: Final = 32
_MAC: Final = 32
_SIZE: Final = struct.Struct(">I")
_HEAD: Final = struct.Struct(">cI")
_MOST_REQUEST: Final = 1024 * 1024
"""Bytes; the longest command line of a system is shorter."""
_MOST_FRAME: Final = 1024 * 1024
SHAKE_WITHIN: Final = 10.0
"""Seconds for each step of the introduction."""
_GET_ADDRESS: Final = 0x8915
"""SIOCGIFADDR of Linux."""


class Refused(Exception):
    """The other side does not know the secret, or does not speak as agreed."""


def listen(host: str, interface: str, secret: str) -> socket.socket:
    """Return a socket that listens where the job's other hosts reach this one, and nowhere else.

    Raises:
        OSError: the port is taken, or neither name nor interface has an address.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    address = _own_address(host, interface)
    listener.bind((address, port(address, secret)))
    listener.listen(16)
    return listener


def port(address: str, secret: str) -> int:
    """Return the port for an address: fixed, but on loopback, which all jobs of a machine share."""
    if not address.startswith("127."):
        return MPI_PORT
    drawn = int.from_bytes(prove(secret, b"port")[:4], "big")
    return SHARED_PORTS[drawn % len(SHARED_PORTS)]


def ask(
    host: str, secret: str, request: Mapping[str, Any], within: float = SHAKE_WITHIN
) -> socket.socket:
    """Send a request to a worker; return the connection, from which ``frames`` reads the answer.

    Args:
        host: the worker's name.
        secret: the attempt's.
        request: ``{"do": "ping" | "run" | "end", ...}``.
        within: seconds for each step.

    Raises:
        OSError: it cannot be reached, or has no time.
        Refused: one of the two does not know the secret.
    """
    address = socket.gethostbyname(host)
    connection = socket.create_connection((address, port(address, secret)), within)
    with ExitStack() as undo:
        undo.callback(connection.close)
        _keep_alive(connection)
        theirs, ours = _read(connection, _NONCE), os.urandom(_NONCE)
        body = json.dumps(request).encode()
        proof = prove(secret, b"request", theirs, ours, body)
        connection.sendall(ours + proof + _SIZE.pack(len(body)) + body)
        _check_answer(host, connection, prove(secret, b"answer", ours, theirs))
        undo.pop_all()
    connection.settimeout(None)
    return connection


def _check_answer(host: str, connection: socket.socket, expected: bytes) -> None:
    try:
        answer = _read(connection, _MAC)
    except ConnectionError as error:
        raise Refused(f"{host} does not take this job's secret") from error
    if not hmac.compare_digest(answer, expected):
        raise Refused(f"{host} does not know this job's secret")


def admit(connection: socket.socket, secret: str) -> dict[str, Any]:
    """Return the request that a connection brings, once it has proved itself.

    Raises:
        OSError: it broke, or took too long.
        Refused: it does not know the secret.
    """
    connection.settimeout(SHAKE_WITHIN)
    _keep_alive(connection)
    ours = os.urandom(_NONCE)
    connection.sendall(ours)
    theirs, proof = _read(connection, _NONCE), _read(connection, _MAC)
    (size,) = _SIZE.unpack(_read(connection, _SIZE.size))
    if size > _MOST_REQUEST:
        raise Refused(f"a request of {size} bytes")
    body = _read(connection, size)
    if not hmac.compare_digest(proof, prove(secret, b"request", ours, theirs, body)):
        raise Refused("it does not know this job's secret")
    connection.sendall(prove(secret, b"answer", theirs, ours))
    connection.settimeout(None)
    found = json.loads(body.decode())
    return found if isinstance(found, dict) else {}


def send(connection: socket.socket, kind: bytes, data: bytes) -> None:
    """Send one frame."""
    connection.sendall(_HEAD.pack(kind, len(data)) + data)


def frames(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Yield frames up to the one with the exit code.

    Raises:
        OSError: the connection broke, or ended before.
        Refused: it does not speak as agreed.
    """
    kind = b""
    while kind != b"x":
        kind, size = _HEAD.unpack(_read(connection, _HEAD.size))
        if size > _MOST_FRAME:
            raise Refused(f"a frame of {size} bytes")
        yield kind, _read(connection, size)


def tell(host: str, secret: str, request: Mapping[str, Any], tries: int = 5) -> bool:
    """Have a worker take a request that has no output; tell whether it did."""
    for attempt in range(tries):
        try:
            with ask(host, secret, request) as connection:
                return any(kind == b"x" for kind, _ in frames(connection))
        except (OSError, Refused):
            if attempt + 1 < tries:
                time.sleep(1)
    return False


def _own_address(host: str, interface: str) -> str:
    """Return the address of this host's name, but never loopback where the network is another."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        address = ""  # then the interface alone tells
    if address and (interface == "lo" or not address.startswith("127.")):
        return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("256s", interface.encode()[:15])
        return socket.inet_ntoa(fcntl.ioctl(any_socket, _GET_ADDRESS, asked)[20:24])


def prove(secret: str, *parts: bytes) -> bytes:
    """Return 32 bytes that only who knows the secret can make of these parts."""
    told = b"".join(_SIZE.pack(len(part)) + part for part in parts)
    return hmac.new(secret.encode(), told, hashlib.sha256).digest()


def _read(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        data = connection.recv(size - len(found))
        if not data:
            raise ConnectionError("the connection ended too early")
        found += data
    return bytes(found)


def _keep_alive(connection: socket.socket) -> None:
    """Notice within half a minute when the other host is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
