"""A connection between a command and a server that stops moving bytes when a test wants it to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class StallingProxy:
    """Forwards to a server; after so many bytes in one direction nothing moves any more."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._open: list[socket.socket] = []
        self._limits: dict[str, int | None] = {"up": None, "down": None}
        self.moved = {"up": 0, "down": 0}
        self.stalled = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stall_after(self, *, up: int | None = None, down: int | None = None) -> None:
        """Count anew, and stop when so many bytes went up (to the server) or down."""
        with self._lock:
            self._limits = {"up": up, "down": down}
            self.moved = {"up": 0, "down": 0}
            self.stalled.clear()
            self._go.clear()

    def go_on(self) -> None:
        """Count anew, and never stop."""
        self.stall_after()
        self._go.set()

    def close(self) -> None:
        self._limits = {"up": None, "down": None}
        self._go.set()
        for one in [self._listener, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._open += [client, server]
            for ends in ((client, server, "up"), (server, client, "down")):
                thread = threading.Thread(target=self._forward, args=ends, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._count(way, len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _count(self, way: str, size: int) -> None:
        with self._lock:
            self.moved[way] += size
            limit = self._limits[way]
            stalls = limit is not None and self.moved[way] > limit
        if stalls:
            self.stalled.set()
            self._go.wait()


@contextmanager
def stalling(target: tuple[str, int]) -> Iterator[StallingProxy]:
    proxy = StallingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
