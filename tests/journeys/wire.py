"""Requests byte by byte, where a client would refuse to send them."""

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainshed.testing.server import Server
from trainshed.wire.signer import Signer

TARGETS = {"sagemaker": "SageMaker", "logs": "Logs_20140328"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's name; "" where there is none."""
        if self.body.startswith(b"{"):
            return str(json.loads(self.body).get("__type", ""))
        return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()

    @property
    def message(self) -> str:
        """What the error says."""
        if self.body.startswith(b"{"):
            told = json.loads(self.body)
            return str(told.get("message") or told.get("Message") or "")
        return self.body.partition(b"<Message>")[2].partition(b"</Message>")[0].decode()

    def assert_refused(self) -> None:
        """Check that this is a typed refusal of the request, with a sentence in it."""
        assert 400 <= self.status < 500, self
        assert self.code, self
        assert self.message, self


class Line:
    """One connection to a server, with its keys."""

    def __init__(self, server: Server, secret: str | None = None) -> None:
        """``secret`` replaces the right one."""
        self._server = server
        self._secret = secret or server.keys[1]
        self._connection = http.client.HTTPConnection(*server.address, timeout=30)

    def signer(self, service: str) -> Signer:
        access_key, _ = self._server.keys
        return Signer(
            access_key=access_key, secret=self._secret, region="us-east-1", service=service
        )

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request as it is."""
        self._connection.request(method, target, body=body, headers=dict(headers))
        response = self._connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())

    def signed(
        self, service: str, method: str, target: str, body: bytes = b"", **headers: str
    ) -> Answer:
        """Send a request with a good signature."""
        url = self._server.url + target
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        made = self.signer(service).sign(method, url, named, body, datetime.now(UTC))
        return self.ask(method, target, made, body)

    def call(self, service: str, operation: str, body: Any) -> Answer:
        """Call an operation of a JSON service; ``body`` is bytes or what JSON holds."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = f"{TARGETS[service]}.{operation}"
        return self.signed(service, "POST", "/", raw, x_amz_target=target)

    def close(self) -> None:
        self._connection.close()


def snapshot(folder: Path, without: Path) -> dict[str, tuple[int, bytes]]:
    """Return everything below a folder: mode, and content or link target, by path.

    What is below ``without`` is left out; it may change meanwhile.
    """
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(parent) / name != without]
        for name in [*folders, *files]:
            path = Path(parent) / name
            mode = path.lstat().st_mode
            if path.is_symlink():
                content = os.fsencode(path.readlink())
            else:
                content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (mode, content)
    return found
