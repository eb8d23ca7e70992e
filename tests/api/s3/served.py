"""The S3 operations behind the real front, on a real socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import uvicorn
from botocore.config import Config

from trainshed.api.s3.operations import operations
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.testing.keys import FixedKeys
from trainshed.wire.front import Front

ACCESS, SECRET = "AKIATEST", "a-secret"


@dataclass(frozen=True)
class Served:
    """Where the server is, and the folder behind it."""

    url: str
    folder: Path

    def client(self, *, region: str = "us-east-1", **config: Any) -> Any:
        """Return boto3's client, with its own defaults but for retries."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def environment(self) -> dict[str, str]:
        """Return what tells other programs to come here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve the store of a data folder on a free loopback port."""
    database = SqliteDatabase(folder / "records.db")
    now = partial(datetime.now, UTC)
    store = EmbeddedObjects(database, folder / "objects", now)
    front = Front(operations(store, now), FixedKeys({ACCESS: SECRET}), now, "us-east-1")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(front, loop="uvloop", http="httptools", lifespan="off", log_config=None)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", folder)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        store.close()
        database.close()
