"""Stands between an agent and its engine, so that the engine can be away without being stopped."""

import contextlib
import selectors
import socket
import threading
from pathlib import Path


class Relay:
    """A socket that leads to the engine's, and can be cut."""

    def __init__(self, path: Path, engine: str) -> None:
        self._path = path
        self._engine = engine
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._server: socket.socket | None = None
        self.requests = 0
        self.cut_at = b""
        """What in a request makes it the last one that gets through, without its answer."""

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def open(self) -> "Relay":
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self._path))
        self._server.listen(64)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()
        return self

    def cut(self) -> None:
        """Let nobody in any more, and cut off who is."""
        self._path.unlink(missing_ok=True)
        with self._lock:
            server, self._server = self._server, None
            pairs, self._pairs = self._pairs, []
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for each in [line for pair in pairs for line in pair]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near = server.accept()[0]
            except OSError:
                return
            self.requests += 1
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(self._engine)
            with self._lock:
                if self._server is not server:  # cut while this one came in
                    near.close()
                    far.close()
                    return
                self._pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        """Carry bytes both ways until either side ends."""
        with near, far, selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    try:
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if data:
                            key.data.sendall(data)
                    except OSError:
                        data = b""
                    if data and self.cut_at and self.cut_at in data:
                        self.cut_at = b""
                        self.cut()
                        return
                    if not data:
                        return
