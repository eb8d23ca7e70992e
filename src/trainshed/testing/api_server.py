"""A stand-in for a Kubernetes API server, with memory, for tests of what reads from one.

It keeps objects as they are given, answers in the API server's words, and passes requests on to
Services as the real one does: with their Host, and without the Authorization that it took itself.
Nothing runs here and nothing is validated; what a cluster makes of objects, only a cluster shows.
"""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

GROUP = "sagemaker.aws.amazon.com"
_SERVICE = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/services/(https:)?(?P<name>[^:/]+):(?P<port>\d+)"
    r"/proxy(?P<path>/.*)"
)
_LOG = re.compile(r"(?P<pod>/api/v1/namespaces/[^/]+/pods/[^/]+)/log")
_NAMESPACED = re.compile(r"(?P<api>/(api|apis/[^/]+)/v1)/namespaces/[^/]+/(?P<plural>[a-z]+)/[^/]+")
_TAKEN = {"authorization", "connection", "content-length", "accept-encoding"}


@dataclass
class ApiServer:
    """Everything that it remembers; tests read and change it."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path to object: ``/api/v1/namespaces/ns/pods/a``."""
    kinds: list[str] = field(default_factory=list)
    """Plurals of the custom resources that are installed."""
    logs: dict[str, list[tuple[str, str]] | None] = field(default_factory=dict)
    """A pod's path to its container's lines: when, as the kubelet writes it, and the text. None: it
    has not begun."""
    services: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """Namespace, name and port to the URL of what is behind."""
    tokens: set[str] = field(default_factory=set)
    """Who is known; nobody need be known when there are none."""
    forbidden: set[str] = field(default_factory=set)
    """Regular expressions of paths that nobody may ask for."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list, repr=False)
    """Method, path and headers (names in lower case) of each request."""
    url: str = ""

    def put(self, plural: str, namespace: str, name: str, **members: Any) -> dict[str, Any]:
        """Keep an object of ours, or a core one, and return it: it may be changed in place."""
        path = path_of(plural, namespace, name)
        old = self.objects.get(path, {}).get("metadata", {})
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": old.get("uid") or f"{len(self.objects):08}-0000-4000-8000-000000000000",
            "creationTimestamp": "2026-01-01T12:00:00Z",
            **members.pop("metadata", {}),
        }
        self.objects[path] = {"metadata": metadata, **members}
        return self.objects[path]

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body of the answer to a request for something that is kept here."""
        if found := _LOG.fullmatch(path):
            return self._log(found["pod"], query)
        if path in self.objects:
            return 200, _json(self.objects[path])
        if path == f"/apis/{GROUP}/v1" and self.kinds:
            return 200, _json({"resources": [{"name": plural} for plural in self.kinds]})
        if (listed := self._listed(path, query)) is not None:
            return 200, _json({"kind": "List", "items": listed})
        if not path.startswith(("/api/v1/", f"/apis/{GROUP}/v1/")) or not self._offers(path):
            return 404, b"404 page not found\n"
        kind, _, name = path.rpartition("/")
        plural = kind.rpartition("/")[2]
        return _refused(404, "NotFound", f'{plural} "{name}" not found')

    def _offers(self, path: str) -> bool:
        return path.startswith("/api/v1/") or path.split("/")[-2] in self.kinds

    def _listed(self, path: str, query: dict[str, str]) -> list[dict[str, Any]] | None:
        plural = path.rpartition("/")[2]
        if path.startswith("/apis/") and plural not in self.kinds:
            return None
        base = path.rpartition("/")[0]
        if not re.fullmatch(r"/(api|apis/[^/]+)/v1(/namespaces/[^/]+)?", base):
            return None
        found = [
            each
            for own, each in self.objects.items()
            if (named := _NAMESPACED.fullmatch(own))
            and named["plural"] == plural
            and own.startswith(f"{base}/")
        ]
        return [each for each in found if _selected(each, query.get("labelSelector", ""))]

    def _log(self, pod: str, query: dict[str, str]) -> tuple[int, bytes]:
        if pod not in self.objects:
            return _refused(404, "NotFound", f'pods "{pod.rpartition("/")[2]}" not found')
        lines = self.logs.get(pod)
        if lines is None:
            why = f'container "{query.get("container")}" in pod is waiting to start'
            return _refused(400, "BadRequest", why)
        since = query.get("sinceTime", "")
        kept = [(at, text) for at, text in lines if not since or _when(at) >= _when(since)]
        if "tailLines" in query:
            kept = kept[len(kept) - min(len(kept), int(query["tailLines"])) :]
        timed = query.get("timestamps") == "true"
        whole = "".join(f"{at} {text}\n" if timed else f"{text}\n" for at, text in kept)
        return 200, whole.encode()


def path_of(plural: str, namespace: str, name: str) -> str:
    """Return where an object of ours, or a core one, is kept."""
    core = plural in {"pods", "secrets", "services", "configmaps"}
    api = "/api/v1" if core else f"/apis/{GROUP}/v1"
    return f"{api}/namespaces/{namespace}/{plural}/{name}"


@contextmanager
def serving(kept: ApiServer) -> Iterator[ApiServer]:
    """Serve on a free port of this machine, over plain HTTP; ``kept.url`` tells where."""

    class Answering(_Answering):
        api = kept

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kept.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    try:
        yield kept
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: ApiServer

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    def do_POST(self) -> None:
        """Answer."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.api.asked.append((self.command, parts.path, headers))
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if self.api.tokens and token not in self.api.tokens:
            self._send(*_refused(401, "Unauthorized", "Unauthorized"))
        elif any(re.fullmatch(pattern, parts.path) for pattern in self.api.forbidden):
            why = f'User "somebody" cannot {self.command.lower()} {parts.path}'
            self._send(*_refused(403, "Forbidden", why))
        elif found := _SERVICE.fullmatch(parts.path):
            behind = self.api.services.get(
                (found["namespace"], found["name"], int(found["port"])), ""
            )
            self._pass_on(behind, f"{found['path']}?{parts.query}", headers, body)
        else:
            self._send(*self.api.answer(self.command, parts.path, dict(parse_qsl(parts.query))))

    def _pass_on(self, url: str, target: str, headers: dict[str, str], body: bytes) -> None:
        if not url:
            self._send(*_refused(503, "ServiceUnavailable", "no endpoints available for service"))
            return
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        try:
            sent = {name: value for name, value in headers.items() if name not in _TAKEN}
            sent["x-forwarded-for"] = "127.0.0.1"
            connection.request(self.command, target, body=body, headers=sent)
            answer = connection.getresponse()
            self._send(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            why = f"error trying to reach service: {error}"
            self._send(*_refused(503, "ServiceUnavailable", why))
        finally:
            connection.close()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _refused(status: int, reason: str, message: str) -> tuple[int, bytes]:
    told = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return status, _json({**told, "code": status})


def _selected(thing: dict[str, Any], selector: str) -> bool:
    labels = thing["metadata"].get("labels") or {}
    pairs = (pair.partition("=") for pair in selector.split(",") if pair)
    return all(labels.get(name) == value for name, _, value in pairs)


def _when(text: str) -> datetime:
    """Return a time to the microsecond, which is as far as Python's go."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()
