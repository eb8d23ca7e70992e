"""The real front over a table of operations, on a loopback port, for real clients."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import uvicorn
from botocore.client import BaseClient
from botocore.config import Config
from starlette.types import ASGIApp

from trainshed.api.operations import Operation
from trainshed.testing.keys import FixedKeys
from trainshed.wire.connection import Connection
from trainshed.wire.front import Front
from trainshed.wire.keys import Keys

KEYS = {"AKIASHED": "secret"}


@dataclass(frozen=True)
class Server:
    """Where the front is."""

    url: str

    def client(self, service: str, **config: Any) -> BaseClient:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="AKIASHED",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, **config),
        )


@contextmanager
def serving(
    operations: Mapping[tuple[str, str], Operation], keys: Keys | None = None
) -> Iterator[Server]:
    """Serve ``operations`` until the block ends, to those who have ``keys``."""
    front = Front(operations, keys or FixedKeys(KEYS), lambda: datetime.now(UTC), "us-east-1")
    with serving_at_all(front) as server:
        yield server


@contextmanager
def serving_at_all(application: ASGIApp) -> Iterator[Server]:
    """Serve an application until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, loop="uvloop", http=Connection, ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
