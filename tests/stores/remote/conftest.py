"""S3 servers: ours, and two of other makes."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.stores.remote.breaking import Breaking

from trainshed.testing.server import Server as Trainshed

ACCESS = {"access_key": "key", "secret_key": "secret", "region": "us-east-1"}
BUCKET = "bkt"


class Server:
    """Can be stopped and started again on its port; what it holds stays."""

    def __init__(self) -> None:
        self._port = 0
        self.start()
        self.client = client(self.access)
        self.client.create_bucket(Bucket=BUCKET)

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]
        self.access = {**ACCESS, "endpoint": f"http://127.0.0.1:{self._port}"}

    def stop(self) -> None:
        self._server.stop()

    def put(self, **objects: bytes) -> None:
        for key, body in objects.items():
            self.client.put_object(Bucket=BUCKET, Key=key, Body=body)


class Ours:
    """A real server of this project, and a way to it that breaks."""

    def __init__(self, data: Path) -> None:
        self.server = Trainshed(data, "[backends.local]\nstop_seconds = 0.1\n").start()
        access_key, secret_key = self.server.keys
        self.direct = {
            "endpoint": self.server.url,
            "access_key": access_key,
            "secret_key": secret_key,
            "region": "us-east-1",
        }
        self.way = Breaking(self.server.address)
        self.access = {**self.direct, "endpoint": self.way.endpoint}
        self.client = client(self.direct)
        self.client.create_bucket(Bucket=BUCKET)

    def restart(self) -> None:
        """Kill it, and start it again on its port."""
        _, port = self.server.address
        self.server.kill()
        self.server.start(port)


def client(access: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=access["endpoint"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        region_name="us-east-1",
    )


@pytest.fixture
def s3() -> Iterator[Server]:
    server = Server()
    yield server
    listing = server.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for each in listing:
        server.client.delete_object(Bucket=BUCKET, Key=each["Key"])
    server.client.delete_bucket(Bucket=BUCKET)
    server.client.close()
    server.stop()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    made = Ours(tmp_path_factory.mktemp("server"))
    yield made
    made.way.close()
    made.client.close()
    made.server.stop()


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """How ``rclone serve s3`` is reached; it has one bucket."""
    folder = tmp_path_factory.mktemp("rclone")
    (folder / BUCKET).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    program = Path(sys.executable).with_name("rclone")
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "key,secret"]
    process = subprocess.Popen([*command, folder], stderr=subprocess.DEVNULL)
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    yield {**ACCESS, "endpoint": f"http://127.0.0.1:{port}"}
    process.terminate()
    process.wait(10)
