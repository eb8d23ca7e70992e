"""A front on a real socket, with a few toy operations behind it."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import uvicorn
from botocore.config import Config

from trainshed.domain.digests import digests
from trainshed.domain.errors import RequestRejected, StoreError
from trainshed.testing.keys import FixedKeys
from trainshed.wire.connection import Connection
from trainshed.wire.front import Front
from trainshed.wire.message import Call, File, Reply

KEYS = {"AKIATOY": "a-secret"}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Toy:
    """Operations with a memory: what was put can be got, what was called can be asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[Call] = []
        self.objects: dict[str, bytes] = {}

    def table(self) -> Mapping[tuple[str, str], Any]:
        return {
            ("sagemaker", "ListTrainingJobs"): self.list_jobs,
            ("sagemaker", "DescribeTrainingJob"): self.describe,
            ("sagemaker", "StopTrainingJob"): self.stop,
            ("sagemaker-runtime", "InvokeEndpoint"): self.invoke,
            ("logs", "DescribeLogGroups"): self.groups,
            ("sts", "GetCallerIdentity"): self.who,
            ("s3", "PutObject"): self.put,
            ("s3", "GetObject"): self.get,
            ("s3", "HeadObject"): self.head,
            ("s3", "DeleteObject"): self.delete,
            ("s3", "DeleteObjects"): self.delete_many,
            ("s3", "UploadPart"): self.ignore_payload,
        }

    async def list_jobs(self, call: Call) -> dict[str, Any]:
        self.calls.append(call)
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": call.params.get("NameContains", "any"),
                    "TrainingJobArn": f"arn:{call.region}:{call.access_key}",
                    "CreationTime": NOON,
                    "TrainingJobStatus": "Completed",
                }
            ]
        }

    async def describe(self, call: Call) -> dict[str, Any]:
        if call.params["TrainingJobName"] == "bug":
            raise ZeroDivisionError("a bug")
        if call.params["TrainingJobName"] == "disk-full":
            raise StoreError("nothing was written: the disk is full")
        raise RequestRejected("ValidationException", "Requested resource not found.")

    async def stop(self, call: Call) -> dict[str, Any]:
        self.calls.append(call)
        return {}

    async def invoke(self, call: Call) -> dict[str, Any]:
        return {"Body": call.params["Body"][::-1], "ContentType": "text/plain"}

    async def groups(self, call: Call) -> dict[str, Any]:
        return {"logGroups": []}

    async def who(self, call: Call) -> dict[str, Any]:
        return {"Account": "123456789012", "UserId": str(call.access_key), "Arn": "arn:x"}

    async def put(self, call: Call) -> dict[str, Any]:
        self.calls.append(call)
        if call.params["Bucket"] == "nobody-reads":
            raise RequestRejected("NoSuchBucket", "The specified bucket does not exist", 404)
        data = b"".join([piece async for piece in call.params["Body"]])
        call.params["Body"].check(digests(call.params["Body"].digests, data))
        self.objects[f"{call.params['Bucket']}/{call.params['Key']}"] = data
        return {"ETag": '"toy"'}

    async def ignore_payload(self, call: Call) -> dict[str, Any]:
        return {"ETag": '"ignored"'}

    async def get(self, call: Call) -> Reply:
        name = f"{call.params['Bucket']}/{call.params['Key']}"
        if name not in self.objects:
            raise RequestRejected("NoSuchKey", "The specified key does not exist.", 404)
        if call.params.get("IfNoneMatch"):
            raise RequestRejected("NotModified", "Not Modified", 304)
        data = self.objects[name]
        headers = {"x-disposition": call.params.get("ResponseContentDisposition", "")}
        match call.params.get("VersionId"):
            case "file":
                path = self.folder / "object"
                path.write_bytes(b"before" + data)
                body: object = File(path, 6, len(data))
            case "replaced":
                body = File(self.folder / "gone", 0, len(data))
            case "short":
                (self.folder / "short").write_bytes(data)
                body = File(self.folder / "short", 0, 2 * len(data))
            case "stream":
                body = self.pieces(data)
            case _:
                body = data
        return Reply(result={"Body": body, "ETag": '"toy"'}, headers=headers)

    async def pieces(self, data: bytes) -> Any:
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    async def head(self, call: Call) -> dict[str, Any]:
        name = f"{call.params['Bucket']}/{call.params['Key']}"
        if name not in self.objects:
            raise RequestRejected("NoSuchKey", "The specified key does not exist.", 404)
        return {"ContentLength": len(self.objects[name]), "ETag": '"toy"'}

    async def delete(self, call: Call) -> Reply:
        self.objects.pop(f"{call.params['Bucket']}/{call.params['Key']}", None)
        return Reply(result={}, status=204)

    async def delete_many(self, call: Call) -> dict[str, Any]:
        self.calls.append(call)
        return {"Deleted": [{"Key": one["Key"]} for one in call.params["Delete"]["Objects"]]}


@dataclass(frozen=True)
class Server:
    """Where the front is, and what is behind it."""

    url: str
    toy: Toy

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def client(
        self,
        service: str,
        *,
        secret: str = KEYS["AKIATOY"],
        verify: str | None = None,
        **config: Any,
    ) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="AKIATOY",
            aws_secret_access_key=secret,
            verify=verify,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )


@contextmanager
def serving(
    folder: Path,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    certificate: Path | None = None,
) -> Iterator[Server]:
    """Serve a toy on a free loopback port, over TLS when a certificate (with key) is given."""
    toy = Toy(folder)
    front = Front(toy.table(), FixedKeys(KEYS), clock, "us-east-1")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        front,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        ssl_certfile=certificate,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    scheme = "https" if certificate else "http"
    try:
        yield Server(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", toy)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
