"""Stores of several makes that channels are staged from."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from trainshed.testing.server import Server

RCLONE = Path(sys.executable).with_name("rclone")


class Source:
    """A store with a bucket for each test."""

    def __init__(self, make: str, access: dict[str, str]) -> None:
        self.make = make
        self.access = access
        self._buckets = 0
        self.bucket = ""
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=access["endpoint"],
            aws_access_key_id=access["access_key"],
            aws_secret_access_key=access["secret_key"],
            region_name="us-east-1",
            config=Config(
                retries={"max_attempts": 5}, request_checksum_calculation="when_required"
            ),
        )

    def renew(self) -> None:
        """Have an empty bucket."""
        self._buckets += 1
        self.bucket = f"data-{self._buckets}"
        self.client.create_bucket(Bucket=self.bucket)

    def put(self, objects: dict[str, bytes]) -> None:
        for key, body in objects.items():
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_many(self, objects: dict[str, bytes]) -> None:
        """Put objects side by side; keys must be such that obstore takes them."""
        store = S3Store(
            self.bucket,
            endpoint=self.access["endpoint"],
            access_key_id=self.access["access_key"],
            secret_access_key=self.access["secret_key"],
            region="us-east-1",
            client_options={"allow_http": True},
        )

        async def put_all() -> None:
            waiting = iter(objects.items())

            async def put() -> None:
                for key, body in waiting:
                    await store.put_async(key, body)

            await asyncio.gather(*(put() for _ in range(16)))

        asyncio.run(put_all())

    def uri(self, key: str = "") -> str:
        return f"s3://{self.bucket}/{key}"


def moto() -> Iterator[Source]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    source = Source("moto", _access(f"http://127.0.0.1:{port}", "key", "secret"))
    yield source
    source.client.close()
    server.stop()


def rclone(folder: Path) -> Iterator[Source]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = folder / "rclone"
    served.mkdir()
    process = subprocess.Popen(
        [RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "key,secret", served],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"HOME": str(folder), "PATH": ""},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b"Starting s3 server" in line:
            break
    source = Source("rclone", _access(f"http://127.0.0.1:{port}", "key", "secret"))
    yield source
    source.client.close()
    process.terminate()
    process.stderr.close()
    process.wait(30)


def embedded(folder: Path) -> Iterator[Source]:
    with Server(folder / "own") as server:
        source = Source("embedded", _access(server.url, *server.keys))
        yield source
        source.client.close()


def _access(endpoint: str, access_key: str, secret_key: str) -> dict[str, str]:
    return {
        "endpoint": endpoint,
        "access_key": access_key,
        "secret_key": secret_key,
        "region": "us-east-1",
    }


@pytest.fixture(scope="module", params=["moto", "rclone", "embedded"])
def any_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("store")
    match request.param:
        case "moto":
            yield from moto()
        case "rclone":
            yield from rclone(folder)
        case _:
            yield from embedded(folder)


@pytest.fixture
def source(any_store: Source) -> Source:
    """Return a store of each make in turn, with an empty bucket."""
    any_store.renew()
    return any_store


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    yield from embedded(tmp_path_factory.mktemp("store"))


@pytest.fixture
def store(own_store: Source) -> Source:
    """Return the embedded store, which takes every key, with an empty bucket."""
    own_store.renew()
    return own_store
