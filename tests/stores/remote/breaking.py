"""A way to a server that breaks when a test wants it to."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from trainshed.stores.objects.remote.partial import PIECE, partial

STREAMS = 4
"""As many bring one large object."""


class Breaking:
    """A TCP proxy on loopback that can cut its connections, and change what passes."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.passed = 0
        """Bytes that went from the server to the client."""
        self.sent = 0
        """Bytes that went from the client to the server."""
        self.connections = 0
        self._cuts: list[int] = []
        self._stop_at = -1
        self._going = threading.Event()
        self._going.set()
        self.change: Callable[[bytes], bytes] = lambda data: data
        """Changes what the server sends."""
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut_after(self, *counts: int) -> None:
        """Cut all connections whenever so many more bytes have passed, both ways together."""
        with self._lock:
            at = self.passed + self.sent
            self._cuts = [at := at + count for count in counts]

    def stop_after(self, count: int) -> None:
        """Let nothing more of the server pass, once ``count`` more bytes have."""
        with self._lock:
            self._going.clear()
            self._stop_at = self.passed + count

    def go_on(self) -> None:
        """Let everything pass again."""
        self._stop_at = -1
        self._going.set()

    def close(self) -> None:
        self.go_on()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)  # who accepts just now opens what is to be cut
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            for source, sink, out in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, sink, out), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, out: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(64 << 10):
                with self._lock:
                    if out:
                        self.passed += len(data)
                    else:
                        self.sent += len(data)
                    cut = bool(self._cuts) and self.passed + self.sent >= self._cuts[0]
                    if cut:
                        self._cuts.pop(0)
                if cut:
                    self._cut()
                    return
                if out and 0 <= self._stop_at <= self.passed:
                    self._going.wait()
                sink.sendall(self.change(data) if out else data)
        self._end([source, sink])

    def _cut(self) -> None:
        with self._lock:
            ends, self._open = self._open, []
        self._end(ends)

    def _end(self, ends: list[socket.socket]) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def noted(target: Path, size: int) -> int:
    """Return how many bytes are noted to be here of an object that was on its way to ``target``."""
    try:
        with partial(target).open("rb") as file:
            file.seek(size + 32)
            return sum(file.read()[::9]) * PIECE
    except FileNotFoundError:
        return 0


def until_noted(target: Path, size: int, count: int) -> None:
    """Wait until so many bytes are noted."""
    until = time.monotonic() + 60
    while noted(target, size) < count:
        assert time.monotonic() < until
        threading.Event().wait(0.005)
