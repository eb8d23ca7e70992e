"""An engine that answers what a test says: for troubles that no real one can be brought to have."""

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Final

Answer = tuple[int, bytes] | None
"""Status and body; None for a connection that is closed without a word."""
BROKEN: Final = 0
"""For a status: 200, and a connection that ends before the body does."""


class ScriptedEngine(ThreadingMixIn, UnixStreamServer):
    """Listens on a socket; ``answer`` is asked with "METHOD path?query", and what was sent."""

    daemon_threads = True

    def __init__(self, path: Path, answer: Callable[[str, bytes], Answer]) -> None:
        self.asked: list[str] = []
        self.answer = answer
        super().__init__(str(path), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedEngine

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = f"{self.command} {self.path}"
        self.server.asked.append(asked)
        answer = self.server.answer(asked, sent)
        self.close_connection = True
        if answer is None:
            return
        status, body = answer
        self.send_response(status or 200)
        self.send_header("Content-Length", str(len(body) + (1 if status == BROKEN else 0)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # who asked has heard enough
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
