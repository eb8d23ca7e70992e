"""A server that takes agents' reports, in memory, for tests of agents and drivers.

It keeps the promise of the real one: each fact is taken once, log bytes are taken where the last
ones ended, and every answer tells how much is there. It can be made to fail on demand.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trainshed.domain.facts import Fact, Kind
from trainshed.stores.logs.format import decode


class Reports:
    """The reports of any number of nodes. Start, stop and start again on the same port."""

    def __init__(self, token: str = "secret", host: str = "127.0.0.1") -> None:  # noqa: S107
        """Take reports that show ``token``; nothing listens before ``start``.

        Args:
            token: of a test server.
            host: the address to listen at, which agents reach.
        """
        self._token = token
        self._host = host
        self._changed = threading.Condition()
        self._facts: dict[str, list[Fact]] = {}
        self._logs: dict[str, bytearray] = {}
        self._forgotten: set[str] = set()
        self._answers_to_lose = 0
        self._requests = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where agents report."""
        return f"http://{self._host}:{self._port}"

    @property
    def token(self) -> str:
        """What agents must show."""
        return self._token

    @property
    def requests(self) -> int:
        """How many requests came so far, answered or not."""
        return self._requests

    def start(self) -> None:
        """Listen; on the same port as before, if it did."""
        server = _Server((self._host, self._port), _Answer)
        server.reports = self
        self._server, self._port = server, server.server_address[1]
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; what was taken stays."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def lose_answers(self, count: int) -> None:
        """Take what the next ``count`` requests bring, and hang up without an answer."""
        self._answers_to_lose = count

    def lose_log(self, node_id: str, size: int) -> None:
        """Keep only the first ``size`` bytes of a log, as a crash would."""
        with self._changed:
            del self._logs[node_id][size:]

    def forget(self, node_id: str) -> None:
        """Know a node no more: its reports are answered with 404."""
        with self._changed:
            self._forgotten.add(node_id)

    def facts(self, node_id: str) -> tuple[Fact, ...]:
        """Return the facts of a node so far."""
        with self._changed:
            return tuple(self._facts.get(node_id, ()))

    def fact(self, node_id: str, kind: Kind) -> Fact | None:
        """Return the last fact of a kind."""
        return next((each for each in reversed(self.facts(node_id)) if each.kind is kind), None)

    def lines(self, node_id: str) -> list[str]:
        """Return the texts of a node's log lines so far."""
        return [decode(line)[1] for line in self.log(node_id).splitlines(keepends=True)]

    def log(self, node_id: str) -> bytes:
        """Return a node's log, byte for byte."""
        with self._changed:
            return bytes(self._logs.get(node_id, b""))

    def wait_for(self, what: Callable[[], Any], timeout: float = 60.0) -> None:
        """Return once ``what()`` is true; looked at after each report.

        Raises:
            TimeoutError: it never was, for ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(what, timeout):
                raise TimeoutError(f"not within {timeout} s; facts so far: {self._facts}")

    def take(self, method: str, target: str, token: str, body: bytes) -> tuple[int, Any] | None:
        """Return (status, answer) of one request; None when the answer is to be lost."""
        url = urlsplit(target)
        parts = url.path.strip("/").split("/")
        if token != f"Bearer {self._token}":
            return 401, {"message": "wrong token"}
        if parts[:3] != ["agent", "v1", "nodes"] or len(parts) != 5:
            return 404, {"message": "no such path"}
        with self._changed:
            self._requests += 1
            if parts[3] in self._forgotten:
                return 404, {"code": "ResourceNotFound", "message": "no such node"}
            if (method, parts[4]) == ("POST", "facts"):
                taken = self._take_facts(parts[3], json.loads(body)["facts"])
            elif (method, parts[4]) == ("PUT", "log"):
                taken = self._take_log(parts[3], int(parse_qs(url.query)["offset"][0]), body)
            else:
                return 405, {"message": "no such method"}
            self._changed.notify_all()
            if self._answers_to_lose:
                self._answers_to_lose -= 1
                return None
            return 200, {"taken": taken}

    def _take_facts(self, node_id: str, lines: list[dict[str, Any]]) -> int:
        known = self._facts.setdefault(node_id, [])
        for fact in map(Fact.parse, lines):
            if fact.n == len(known) + 1:
                known.append(fact)
        return len(known)

    def _take_log(self, node_id: str, offset: int, data: bytes) -> int:
        known = self._logs.setdefault(node_id, bytearray())
        if offset <= len(known):
            known += data[len(known) - offset :]
        return len(known)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    reports: Reports


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        if not isinstance(server, _Server):
            raise TypeError("this handler belongs to a Reports server")
        taken = server.reports.take(method, self.path, self.headers["Authorization"], body)
        self.close_connection = taken is None or server.reports._server is not server
        if taken is None:
            return
        status, answer = taken
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
