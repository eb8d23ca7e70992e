"""What a pod's agents see of a cluster, played in this process: pods, their logs, and leases.

It keeps the API server's promises that agents build on: lists with a version from which a watch
goes on, watches that end, logs that are followed, writes over a version or not at all. Nothing
runs in it: tests say what a kubelet would (``played_pod``).
"""

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from trainshed.testing.pod_log import Entry, told

_POD = re.compile(r"/api/v1/namespaces/[^/]+/pods/(?P<name>[^/]+)/log")
_PODS = re.compile(r"/api/v1/namespaces/[^/]+/pods")
_LEASE = re.compile(r"/apis/coordination\.k8s\.io/v1/namespaces/[^/]+/leases(?:/(?P<name>[^/]+))?")
_LOOK_S = 0.05

Say = Callable[[bytes], None]


class PlayedCluster:
    """The API server, a context manager. It may be away for a while: stop, and start again."""

    def __init__(self, certificate: Path, token: str = "secret") -> None:  # noqa: S107 - of a test
        """Answer by TLS.

        Args:
            certificate: a PEM file with a key and a certificate for 127.0.0.1.
            token: what agents must show.
        """
        self.changed = threading.Condition()
        self.log: list[Entry] = []
        """What the runtime keeps of the main container's output."""
        self.old = False
        """Whether long lines are told as before Kubernetes 1.25."""
        self.cuts: list[int] = []
        """The next answers with a log break off behind so many bytes each."""
        self.refused: dict[str, int] = {}
        """Regular expressions of paths, and the status that answers them."""
        self.asked: list[str] = []
        """Method and target of each request."""
        self.pods: dict[str, dict[str, Any]] = {}
        self.leases: dict[str, dict[str, Any]] = {}
        self.over = False
        """Whether the main container has ended: who follows its log comes to an end."""
        self.token = token
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._version = 0
        self._breaks = 0
        self._away = False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = _Server(("127.0.0.1", 0), _Answering)
        self._server.cluster, self._server.context = self, context
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.port = self._server.server_address[1]

    def __enter__(self) -> "PlayedCluster":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def start(self) -> None:
        """Answer again."""
        with self.changed:
            self._away = False

    def stop(self) -> None:
        """Hang up on everybody, and break off what is being answered.

        The port stays open: whoever connects just while it closes would have a reset connection,
        which Python's TLS does not close (``ssl.SSLSocket._create``), and says so as a warning.
        """
        with self.changed:
            self._away = True
            self.break_off()

    @property
    def away(self) -> bool:
        """Whether it hangs up on everybody."""
        return self._away

    def break_off(self) -> None:
        """Break off every answer that is still going on."""
        with self.changed:
            self._breaks += 1
            self.changed.notify_all()

    def put_pod(self, pod: dict[str, Any]) -> None:
        """Have a pod be so."""
        name = pod["metadata"]["name"]
        with self.changed:
            kind = "MODIFIED" if name in self.pods else "ADDED"
            self._note(kind, pod)
            self.pods[name] = pod

    def change_pod(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change a pod in place."""
        with self.changed:
            pod = json.loads(json.dumps(self.pods[name]))
            change(pod)
            self.put_pod(pod)

    def drop_pod(self, name: str) -> None:
        """Have a pod be gone."""
        with self.changed:
            self._note("DELETED", self.pods.pop(name))

    def put_lease(self, name: str, **members: Any) -> None:
        """Have a lease be there."""
        with self.changed:
            lease = {"metadata": {"name": name, **members.pop("metadata", {})}, **members}
            self.leases[name] = self._versioned(lease)

    def write(self, *entries: Entry) -> None:
        """Have the main container have written more."""
        with self.changed:
            self.log += entries
            self.changed.notify_all()

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the JSON of an answer that comes at once."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        with self.changed:
            self._go_on(self._breaks)
            if _PODS.fullmatch(url.path):
                found = [each for each in self.pods.values() if _is_chosen(each, query)]
                return 200, {"metadata": {"resourceVersion": str(self._version)}, "items": found}
            if (named := _LEASE.fullmatch(url.path)) is not None:
                return self._lease(method, named["name"] or "", query, body)
        return 404, _status(404, f"the server could not find {url.path}")

    def stream(self, target: str) -> Callable[[Say], None] | None:
        """Return what says an answer that comes bit by bit; None when it is none."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        if _PODS.fullmatch(url.path) and query.get("watch") == "true":
            return lambda say: self._watch(query, say)
        pod = _POD.fullmatch(url.path)
        if pod is not None:
            return lambda say: self._tell_log(query, say)
        return None

    def refusal(self, target: str) -> int:
        """Return the status with which a request is refused; 0 for none."""
        path = urlsplit(target).path
        for pattern, status in self.refused.items():
            if re.fullmatch(pattern, path):
                return status
        pod = _POD.fullmatch(path)
        if pod is None:
            return 0
        if pod["name"] not in self.pods:
            return 404
        return 0 if self._has_begun(pod["name"]) else 400

    def _go_on(self, breaks: int) -> None:
        """Raise when answers were broken off since there were so many breaks, or it is away.

        Whoever had connected before the stop, but was not heard yet, must not be answered after it.
        """
        if self._breaks != breaks or self._away:
            raise ConnectionAbortedError

    def _has_begun(self, name: str) -> bool:
        statuses = self.pods[name].get("status", {}).get("containerStatuses") or ()
        return any("waiting" not in each["state"] for each in statuses)

    def _lease(self, method: str, name: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if not name:
            found = [each for each in self.leases.values() if _is_chosen(each, query)]
            return 200, {"metadata": {}, "items": found}
        if name not in self.leases:
            return 404, _status(404, f'leases.coordination.k8s.io "{name}" not found')
        if method == "PUT":
            asked = json.loads(body)
            old = self.leases[name]["metadata"]["resourceVersion"]
            if asked["metadata"].get("resourceVersion") != old:
                return 409, _status(409, "the object has been modified")
            self.leases[name] = self._versioned(asked)
        return 200, self.leases[name]

    def _note(self, kind: str, pod: dict[str, Any]) -> None:
        self._events.append((self._version + 1, kind, self._versioned(pod)))
        self.changed.notify_all()

    def _versioned(self, found: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)
        return found

    def _watch(self, query: dict[str, str], say: Say) -> None:
        version, breaks = int(query["resourceVersion"]), self._breaks
        end = time.monotonic() + float(query.get("timeoutSeconds", 3600))
        while time.monotonic() < end:
            with self.changed:
                news = [each for each in self._events if each[0] > version]
                if not news:
                    self.changed.wait(_LOOK_S)
                self._go_on(breaks)
            for at, kind, pod in news:
                version = at
                if _is_chosen(pod, query):
                    say(json.dumps({"type": kind, "object": pod}).encode() + b"\n")

    def _tell_log(self, query: dict[str, str], say: Say) -> None:
        with self.changed:
            cut = self.cuts.pop(0) if self.cuts else None
        said = 0
        for data in self._parts(query):
            bit = data if cut is None else data[: cut - said]
            said += len(bit)
            say(bit)
            if cut is not None and said >= cut:
                raise ConnectionAbortedError

    def _parts(self, query: dict[str, str]) -> Iterator[bytes]:
        follow, breaks, first = query.get("follow") == "true", self._breaks, 0
        since = query.get("sinceTime", "")
        while True:
            with self.changed:
                over, log = self.over, self.log[first:]
                if not log and follow and not over:
                    self.changed.wait(_LOOK_S)
                self._go_on(breaks)
                begins = not first or self.log[first - 1].text.endswith(b"\n")
            first += len(log)
            if data := told(log, since=since, old=self.old, begins=begins):
                yield data
            if not follow or (over and not log):
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    cluster: PlayedCluster
    context: ssl.SSLContext

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        wrapped = self.context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.cluster.away

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: agents that are killed hang up."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._answer("GET")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        if not isinstance(server, _Server):
            raise TypeError("this handler belongs to a PlayedCluster")
        cluster = server.cluster
        if cluster.away:
            raise ConnectionAbortedError
        cluster.asked.append(f"{method} {self.path}")
        self.close_connection = True
        if self.headers.get("Authorization") != f"Bearer {cluster.token}":
            self._say_all(401, _status(401, "Unauthorized"))
        elif status := cluster.refusal(self.path):
            self._say_all(status, _status(status, f"refused with {status}"))
        elif (tell := cluster.stream(self.path)) is not None:
            self._stream(tell)
        else:
            self._say_all(*cluster.answer(method, self.path, body))

    def _say_all(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, tell: Callable[[Say], None]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def say(data: bytes) -> None:
            if data:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

        try:
            tell(say)
        except OSError:  # it breaks off, or nobody listens any more
            return
        self.wfile.write(b"0\r\n\r\n")


def _is_chosen(found: dict[str, Any], query: dict[str, str]) -> bool:
    field, _, name = query.get("fieldSelector", "").partition("=")
    label, _, value = query.get("labelSelector", "").partition("=")
    about = found["metadata"]
    return (not field or about["name"] == name) and (
        not label or (about.get("labels") or {}).get(label) == value
    )


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message}
