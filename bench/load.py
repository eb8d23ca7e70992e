"""A load of signed requests over a few keep-alive connections, cheap enough not to be the limit.

Every request is signed before the clock starts; while it runs, bytes are only sent and read.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import boto3
import uvloop
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(target, requests, connections))


async def _load(target: Target, requests: Sequence[bytes], connections: int) -> float:
    loop = asyncio.get_running_loop()
    lanes = [_Lane(target, requests[index::connections], loop) for index in range(connections)]
    for lane in lanes:
        await loop.create_connection(lambda lane=lane: lane, target.host, target.port)
    began = time.perf_counter()
    for lane in lanes:
        lane.begin()
    await asyncio.gather(*(lane.done for lane in lanes))
    took = time.perf_counter() - began
    for lane in lanes:
        lane.transport.close()
    failures = [failure for lane in lanes for failure in lane.failures]
    if failures:
        raise RuntimeError(f"{len(failures)} requests failed; the first: {failures[0][:400]!r}")
    return len(requests) / took


class _Lane(asyncio.Protocol):
    """One connection: sends a request, reads its answer, sends the next."""

    def __init__(
        self, target: Target, requests: Sequence[bytes], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._target = target
        self._left = iter(requests)
        self._loop = loop
        self._answer = b""
        self.failures: list[bytes] = []
        self.done: asyncio.Future[None] = loop.create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def begin(self) -> None:
        request = next(self._left, None)
        if request is None:
            self.done.set_result(None)
        else:
            self._answer = b""
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        length = int(lowered.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(body) < length:
            return
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            self.failures.append(self._answer)
        if b"connection: close" in lowered or head.startswith(b"HTTP/1.0"):
            self.transport.close()
            self._loop.create_task(self._again())
        else:
            self.begin()

    async def _again(self) -> None:
        """Go on over a new connection, for a server that closes each."""
        await self._loop.create_connection(lambda: self, self._target.host, self._target.port)
        self.begin()
