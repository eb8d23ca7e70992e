"""What runs on an MPI job's hosts where ``mpirun`` does not: ``mpi-worker HOST INTERFACE``.

It runs the commands that the first host proves to be its own, and ends as the first host says. A
process of its own, so that the toolkit goes on collecting orphans and passing on signals.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import IO, Any, Final, NamedTuple

from trainshed.contract.script_mode import MPI_SECRET_VARIABLE
from trainshed.toolkit.launchers import remote
from trainshed.toolkit.launchers.job import say

FIRST_WITHIN: Final = 60 * 60.0
"""Seconds in which ``mpirun`` must call, as long as the first host waits for its workers."""
WORD_WITHIN: Final = 10 * 60.0
"""Seconds between the end of the last command and the first host's word that all is over."""
LOST_AFTER: Final = 10.0
"""Seconds after a broken connection: the first host's own end, which says more, is seen before."""
_FOR_EVER: Final = threading.TIMEOUT_MAX / 2
_END_WITHIN: Final = 10.0
"""Seconds that a command has between SIGTERM and SIGKILL."""
_MOST_STRANGERS: Final = 32
"""Connections at a time that have not proved themselves."""


class Seen(NamedTuple):
    """Something that happened on a connection."""

    what: str
    """``started``, ``finished``, ``lost`` or ``end``."""
    exit_code: int = 0
    text: str = ""


def main(words: list[str]) -> int:
    """Serve until the first host says that all is over; return the exit code that it says.

    Why the job failed, which the first host says too, is all that comes on stderr.
    """
    host, interface = words
    environment = dict(os.environ)
    secret = environment.pop(MPI_SECRET_VARIABLE)
    try:
        listener = remote.listen(host, interface, secret)
    except OSError as error:
        print(f"trainshed: cannot listen for mpirun on {interface}: {error}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _stop)
    worker = Worker(listener, secret, environment)
    try:
        ended = worker.serve()
    finally:
        worker.stop()
    if ended.exit_code:
        print(ended.text, file=sys.stderr, flush=True)
    return ended.exit_code


class Worker:
    """Runs commands for the first host."""

    def __init__(self, listener: socket.socket, secret: str, environment: dict[str, str]) -> None:
        self._listener = listener
        self._secret = secret
        self._environment = environment
        self._seen: queue.Queue[Seen] = queue.Queue()
        self._strangers = threading.Semaphore(_MOST_STRANGERS)
        self._running: set[subprocess.Popen[bytes]] = set()

    def serve(self) -> Seen:
        """Return the first host's last word, or what became of it."""
        threading.Thread(target=self._accept, daemon=True).start()
        running, until = 0, time.monotonic() + FIRST_WITHIN
        reason = f"the first host did not call within {FIRST_WITHIN:.0f} s"
        while True:
            try:
                seen = self._seen.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                return Seen("end", 1, f"MPI: {reason}; its own log says why")
            if seen.what == "end":
                return seen
            running += 1 if seen.what == "started" else -1
            until = time.monotonic() + _FOR_EVER
            if not running:
                lost = seen.what == "lost"
                until = time.monotonic() + (LOST_AFTER if lost else WORD_WITHIN)
                reason = (
                    "the connection to the first host broke"
                    if lost
                    else "the first host did not say how the job ended"
                )

    def stop(self) -> None:
        """End every command."""
        for process in list(self._running):
            _end(process)

    def _accept(self) -> None:
        while True:
            connection, (address, _) = self._listener.accept()
            if not self._strangers.acquire(blocking=False):
                connection.close()
                continue
            arguments = (connection, address)
            threading.Thread(target=self._serve_one, args=arguments, daemon=True).start()

    def _serve_one(self, connection: socket.socket, address: str) -> None:
        with connection:
            try:
                request = remote.admit(connection, self._secret)
            except (OSError, ValueError, remote.Refused) as error:
                say(f"refused a connection from {address}: {error}")
                return
            finally:
                self._strangers.release()
            try:
                self._do(request, connection)
            except OSError as error:
                say(f"the connection to the first host broke: {error}")

    def _do(self, request: dict[str, Any], connection: socket.socket) -> None:
        if request["do"] == "run":
            self._run(str(request["command"]), connection)
            return
        remote.send(connection, b"x", b"0")
        if request["do"] == "end":
            self._seen.put(Seen("end", int(request["exit_code"]), str(request["text"])))

    def _run(self, command: str, connection: socket.socket) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._running.add(process)
        self._seen.put(Seen("started"))
        answer = threading.Thread(target=_answer, args=(process, connection), daemon=True)
        answer.start()
        try:
            broken = bool(connection.recv(1))  # ends when either side has said its last
        except OSError:
            broken = True
        lost = broken or process.poll() is None
        if lost:
            _end(process)
        answer.join(_END_WITHIN)
        self._running.discard(process)
        self._seen.put(Seen("lost" if lost else "finished"))


def _answer(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    """Send a command's output and exit code."""
    lock = threading.Lock()
    pumps = [
        threading.Thread(target=_pump, args=(stream, kind, connection, lock), daemon=True)
        for stream, kind in ((process.stdout, b"o"), (process.stderr, b"e"))
        if stream
    ]
    for pump in pumps:
        pump.start()
    code = process.wait()
    for pump in pumps:
        pump.join(5)  # what the command left behind may hold its output open for ever
    try:
        with lock:
            remote.send(connection, b"x", b"%d" % (code if code >= 0 else 128 - code))
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # whoever waits for the connection's end says so


def _pump(stream: IO[bytes], kind: bytes, connection: socket.socket, lock: threading.Lock) -> None:
    try:
        while data := os.read(stream.fileno(), 65536):
            with lock:
                remote.send(connection, kind, data)
    except OSError:
        pass  # as above


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            continue


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
