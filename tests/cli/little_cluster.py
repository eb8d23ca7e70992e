"""An API server that knows who may do what, and nothing else: for commands that only ask that."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Asked = tuple[str, str, str]
"""(API group, resource with its subresource, verb)."""


class LittleCluster:
    """What it answers; change it as a test needs."""

    def __init__(self) -> None:
        self.version = {"major": "", "minor": "", "gitVersion": "v1.32.4-eks-1"}
        self.denied: set[Asked] = set()
        """What whoever asks may not do."""
        self.denied_to: dict[str, set[Asked]] = {}
        """ServiceAccount to what it may not do."""
        self.namespaces: dict[str, dict[str, str]] = {"default": {}}
        """Name to labels."""
        self.hidden = False
        """Whether namespaces, and what others may do, are none of the user's business."""
        self.user = ""
        """Whom it tells that it takes its user for; "" for a version that does not tell."""
        self.known = True
        """Whether it knows its user."""
        self.url = ""

    def kubeconfig(self, path: Path, **context: str) -> Path:
        """Write a configuration that leads here, with one context, ``here``."""
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
            "current-context": "here",
        }
        path.write_text(yaml.safe_dump(told))
        return path

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return status and body of an answer."""
        if not self.known:
            return 401, {}
        if path == "/version":
            return 200, self.version
        if path.endswith("/selfsubjectaccessreviews"):
            return 201, self._review(body, self.denied)
        if path.endswith("/selfsubjectreviews"):
            told = {**body, "status": {"userInfo": {"username": self.user}}}
            return (201, told) if self.user else (404, {})
        if self.hidden:
            return 403, {}
        if path.endswith("/localsubjectaccessreviews"):
            account = body["spec"]["user"].rpartition(":")[2]
            assert f"/namespaces/{body['metadata']['namespace']}/" in path
            return 201, self._review(body, self.denied_to.get(account, set()))
        name = path.removeprefix("/api/v1/namespaces/")
        if name in self.namespaces:
            return 200, {"metadata": {"name": name, "labels": self.namespaces[name]}}
        return 404, {}

    def _review(self, body: Any, denied: set[Asked]) -> Any:
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        allowed = (asked["group"], resource, asked["verb"]) not in denied
        return {**body, "status": {"allowed": allowed}}


@contextmanager
def serving(cluster: LittleCluster) -> Iterator[LittleCluster]:
    """Serve it on loopback; its ``url`` says where."""

    class Answering(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            status, said = cluster.answer(self.command, self.path, body)
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer  # noqa: N815 - the names of http.server

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        cluster.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield cluster
        finally:
            server.shutdown()
            thread.join()
