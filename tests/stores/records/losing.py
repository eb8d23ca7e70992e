"""A way to a PostgreSQL server on which one commit, or its answer, gets lost."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

_COMMIT = b"COMMIT\0"


class Lost(Enum):
    """What is lost."""

    COMMIT = "commit"
    ANSWER = "answer"


class Way:
    """Passes bytes on between clients and a server, but for one commit."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._next: Lost | None = None
        self._for_good = False
        self.lost = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose(self, what: Lost, *, for_good: bool = False) -> None:
        """Lose the next commit; afterwards nobody gets through, if it is for good."""
        self._next, self._for_good = what, for_good

    def close(self) -> None:
        """Let nobody in any more, and wait until all have gone."""
        self._shut()
        for thread in self._threads:
            thread.join()

    def _shut(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass_on, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket) -> None:
        with (
            client,
            socket.create_connection(self._server) as server,
            selectors.DefaultSelector() as ready,
            suppress(OSError),
        ):
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.data is server and data.endswith(_COMMIT) and self._next is not None:
                        self._lose(server, data)
                        return
                    key.data.sendall(data)

    def _lose(self, server: socket.socket, data: bytes) -> None:
        what, self._next = self._next, None
        if self._for_good:
            self._shut()
        if what is Lost.ANSWER:
            server.sendall(data)
            server.recv(1)
        self.lost.set()


@contextmanager
def losing(port: int) -> Iterator[Way]:
    """Yield a way to the server that listens at ``port``; end its clients first."""
    way = Way(port)
    try:
        yield way
    finally:
        way.close()
