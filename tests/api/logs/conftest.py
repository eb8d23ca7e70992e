"""A server of nothing but logs, and clients of it."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config

from trainshed.api.logs.operations import LogOperations
from trainshed.stores.logs.format import encode
from trainshed.stores.logs.segments import Logs
from trainshed.testing.keys import FixedKeys
from trainshed.wire.front import Front

KEYS = {"AKIALOGS": "a-secret"}
REGION = "eu-west-1"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_MS = 1767268800000
GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True)
class LogServer:
    """Where the server is, and the logs behind it."""

    url: str
    logs: Logs

    def client(self) -> Any:
        return boto3.client(
            "logs",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="AKIALOGS",
            aws_secret_access_key=KEYS["AKIALOGS"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def aws(self, *words: str) -> str:
        """Run the AWS command line and return what it printed."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIALOGS",
            "AWS_SECRET_ACCESS_KEY": KEYS["AKIALOGS"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        command = [sys.executable, "-m", "awscli", "logs", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def write(self, stream: str, *lines: tuple[int, str], group: str = GROUP) -> int:
        """Append lines as an agent reports them; return how many bytes are held."""
        data = b"".join(encode(ms, text.encode()) for ms, text in lines)

        async def append() -> int:
            return await self.logs.append(group, stream, await self.logs.held(group, stream), data)

        return asyncio.run(append())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LogServer]:
    logs = Logs(tmp_path / "logs")
    operations = LogOperations(logs, account="123456789012", clock=lambda: NOON)
    front = Front(operations.operations(), FixedKeys(KEYS), lambda: datetime.now(UTC), REGION)
    listener = socket.create_server(("127.0.0.1", 0))
    served = uvicorn.Server(uvicorn.Config(front, lifespan="off", ws="none", log_config=None))
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]})
    thread.start()
    yield LogServer(f"http://127.0.0.1:{listener.getsockname()[1]}", logs)
    served.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def client(server: LogServer) -> Iterator[Any]:
    made = server.client()
    yield made
    made.close()
