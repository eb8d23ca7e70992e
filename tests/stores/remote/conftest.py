"""An S3 server of another make, in this process."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

ACCESS = {"access_key": "key", "secret_key": "secret", "region": "us-east-1"}


class Server:
    """Can be stopped and started again on its port; what it holds stays."""

    def __init__(self) -> None:
        self._port = 0
        self.start()
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.access["endpoint"],
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket="bkt")

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]
        self.access = {**ACCESS, "endpoint": f"http://127.0.0.1:{self._port}"}

    def stop(self) -> None:
        self._server.stop()

    def put(self, **objects: bytes) -> None:
        for key, body in objects.items():
            self.client.put_object(Bucket="bkt", Key=key, Body=body)


@pytest.fixture
def s3() -> Iterator[Server]:
    server = Server()
    yield server
    listing = server.client.list_objects_v2(Bucket="bkt").get("Contents", [])
    for each in listing:
        server.client.delete_object(Bucket="bkt", Key=each["Key"])
    server.client.delete_bucket(Bucket="bkt")
    server.client.close()
    server.stop()
