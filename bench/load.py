"""A load of signed requests over a few keep-alive connections, cheap enough not to be the limit.

Every request is signed before the clock starts; while it runs, bytes are only sent and read.
"""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True)
class Target:
    """A server that answers the SageMaker API."""

    host: str
    port: int
    access_key: str
    secret_key: str

    def bucket(self, name: str) -> None:
        """Make a bucket."""
        url = f"http://{self.host}:{self.port}"
        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(
            Bucket=name
        )

    def request(self, operation: str, body: bytes) -> bytes:
        """Return the bytes of one signed request."""
        asked = AWSRequest(
            method="POST",
            url=f"http://{self.host}:{self.port}/",
            data=body,
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": f"SageMaker.{operation}",
            },
        )
        credentials = Credentials(self.access_key, self.secret_key)
        SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(asked)
        headers = {**dict(asked.headers.items()), "Host": f"{self.host}:{self.port}"}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""])
        return head.encode() + body


def requests_per_second(target: Target, requests: Sequence[bytes], connections: int) -> float:
    """Send all requests, dealt over the connections; return how many were answered a second.

    Raises:
        RuntimeError: an answer was not 200.
    """
    failures: list[bytes] = []
    start = threading.Barrier(connections + 1)
    threads = [
        threading.Thread(
            target=_drive, args=(target, requests[index::connections], start, failures)
        )
        for index in range(connections)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failures:
        raise RuntimeError(f"{len(failures)} requests failed; the first: {failures[0][:400]!r}")
    return len(requests) / took


def _drive(
    target: Target, requests: Sequence[bytes], start: threading.Barrier, failures: list[bytes]
) -> None:
    connection = _connect(target)
    start.wait()
    for request in requests:
        connection.sendall(request)
        answer, closes = _read(connection)
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            failures.append(answer)
        if closes:
            connection.close()
            connection = _connect(target)
    connection.close()


def _connect(target: Target) -> socket.socket:
    connection = socket.create_connection((target.host, target.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _read(connection: socket.socket) -> tuple[bytes, bool]:
    """Return one answer, and whether the server closes the connection behind it."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = connection.recv(65536)
        if not more:
            return answer, True
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    lowered = head.lower()
    length = 0
    for line in lowered.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            break
        body += more
    closes = b"connection: close" in lowered or answer.startswith(b"HTTP/1.0")
    return head + b"\r\n\r\n" + body, closes
