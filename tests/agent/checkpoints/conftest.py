"""A bucket of a real server, which can be stopped and started."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from trainshed.testing.server import Server


class Store:
    """The bucket ``kept``."""

    def __init__(self, server: Server) -> None:
        self.server = server
        access_key, secret_key = server.keys
        self.access = {
            "endpoint": server.url,
            "access_key": access_key,
            "secret_key": secret_key,
            "region": "us-east-1",
        }
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(max_pool_connections=20),
        )
        self.client.create_bucket(Bucket="kept")

    def checkpoints(self, prefix: str) -> dict[str, bytes]:
        """Return what is kept below a prefix, without what the platform keeps there."""
        found = {}
        for each in self.client.list_objects_v2(Bucket="kept", Prefix=prefix).get("Contents", ()):
            if "/.trainshed/" not in each["Key"]:
                try:
                    body = self.client.get_object(Bucket="kept", Key=each["Key"])["Body"].read()
                except self.client.exceptions.NoSuchKey:
                    continue
                found[each["Key"].removeprefix(prefix)] = body
        return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Server(tmp_path_factory.mktemp("store") / "data") as server:
        yield Store(server)
