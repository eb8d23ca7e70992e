"""A connection between a command and a server that stops moving bytes when a test wants it to."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class StallingProxy:
    """Forwards to a server; after so many bytes in one direction nothing moves any more."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._open: list[socket.socket] = []
        self._clients: list[socket.socket] = []
        self._count_from = 0
        """Connections before this one are not counted any more."""
        self._limits: dict[str, int | None] = {"up": None, "down": None}
        self._closed = threading.Event()
        self.moved = {"up": 0, "down": 0}
        self.stalled = threading.Event()
        """All that was moved down has been read, too."""
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stall_after(self, *, up: int | None = None, down: int | None = None) -> None:
        """Count anew, and stop when so many bytes went up (to the server) or down.

        Only what goes through connections that begin now is counted: those of a command that was
        killed may still be full of its bytes.
        """
        with self._lock:
            self._limits = {"up": up, "down": down}
            self._count_from = len(self._clients)
            self.moved = {"up": 0, "down": 0}
            self.stalled.clear()
            self._go.clear()

    def go_on(self) -> None:
        """Count anew, and never stop."""
        self.stall_after()
        self._go.set()

    def close(self) -> None:
        self._closed.set()
        self._limits = {"up": None, "down": None}
        self._go.set()
        self._end(self._listener)
        self._threads[0].join(10)  # who accepts just now opens what is to be closed
        for one in self._open:
            self._end(one)
        for thread in self._threads:
            thread.join(10)

    def _end(self, one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                self._open.append(client)
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._open.append(server)
            with self._lock:
                number = len(self._clients)
                self._clients.append(client)
            for ends in ((client, server, "up"), (server, client, "down")):
                thread = threading.Thread(target=self._forward, args=(number, *ends), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, number: int, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._count(number, way, len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _count(self, number: int, way: str, size: int) -> None:
        with self._lock:
            if number < self._count_from:
                return
            self.moved[way] += size
            limit = self._limits[way]
            stalls = limit is not None and self.moved[way] > limit
            clients = self._clients[self._count_from :]
        if stalls:
            while not all(map(_was_read, clients)) and not self._closed.wait(0.01):
                pass
            self.stalled.set()
            self._go.wait()


@contextmanager
def stalling(target: tuple[str, int]) -> Iterator[StallingProxy]:
    proxy = StallingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


def _was_read(sent_to: socket.socket) -> bool:
    """Tell whether the other end, on this machine, has read all that was sent to it.

    A kernel holds megabytes of each connection for a reader who is slow.
    """
    try:
        ends = f"{_shown(sent_to.getpeername())} {_shown(sent_to.getsockname())} "
    except OSError:
        return True  # it is gone
    for line in Path("/proc/net/tcp").read_text().splitlines():
        _, _, rest = line.partition(": ")
        if rest.startswith(ends):
            return rest.split()[3].endswith(":00000000")
    return True


def _shown(address: tuple[str, int]) -> str:
    """Return an address as /proc/net/tcp shows it: the bytes of a number of this machine."""
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
