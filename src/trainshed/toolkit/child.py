"""Runs one program at a time: its output passes through, signals reach it, orphans are reaped.

Written on ``posix_spawn`` and ``poll`` because the toolkit may be process 1 of a container, must
remember the end of stderr without holding anything back, and starts faster without
``subprocess``.
"""

from __future__ import annotations

import os
import select
import signal
from typing import Final, NamedTuple

from trainshed.contract.exits import exit_code_of

TAIL_BYTES: Final = 64 * 1024
"""How much of a program's stderr is remembered."""
FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_CHUNK: Final = 64 * 1024
_PIPE_BYTES: Final = 1024 * 1024
"""The most that a pipe holds (Linux, unprivileged): what is left to read once its writer ended."""


class Ended(NamedTuple):
    """How a program ended."""

    exit_code: int
    """0-255; 128 + n for death by signal n."""
    stderr_tail: str


class Children:
    """Starts programs, one after the other. One of these per process: it owns the signals."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._stop: int | None = None
        self._wake, self._wakened = os.pipe()
        for end in (self._wake, self._wakened):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wakened, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for each in FORWARDED:
            signal.signal(each, self._forward)

    def run(self, command: list[str], environment: dict[str, str], folder: str) -> Ended:
        """Run ``command`` in ``folder`` to its end; stdout and stderr go where ours go.

        Raises:
            OSError: it could not be started.
            ValueError: an argument or variable holds a NUL character.
            SystemExit: we were asked to stop before, or while nothing ran.
        """
        if self._stop is not None:
            raise SystemExit(128 + self._stop)
        os.chdir(folder)
        reader, writer = os.pipe()
        try:
            pid = self._spawn(command, environment, writer)
        finally:
            os.close(writer)
        tail = bytearray()
        try:
            code = self._follow(pid, reader, tail)
        finally:
            os.close(reader)
        return Ended(code, bytes(tail).decode("utf-8", "replace"))

    def _spawn(self, command: list[str], environment: dict[str, str], stderr: int) -> int:
        # Signals wait while the child has a process but we do not know its number yet.
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            self._pid = os.posix_spawn(
                command[0],
                command,
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, stderr, 2)],
                setsigmask=(),
                # Python ignores these two; programs expect them as the system has them.
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
            return self._pid
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    def _follow(self, pid: int, reader: int, tail: bytearray) -> int:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        code = None
        while code is None:
            ready = {fd for fd, _ in poll.poll()}
            if reader in ready and not _pass_on(reader, tail):
                poll.unregister(reader)
            if self._wake in ready:
                _empty(self._wake)
                code = self._reap(pid)
        # Its own children may hold the pipe open for ever: take what is there, wait for no end.
        os.set_blocking(reader, False)
        taken = 0
        while taken < _PIPE_BYTES and (size := _pass_on(reader, tail)):
            taken += size
        return code

    def _reap(self, pid: int) -> int | None:
        """Collect every process that ended; return our child's exit code once it did."""
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            while True:
                ended, status = os.waitpid(-1, os.WNOHANG)
                if ended == 0:
                    return None
                if ended == pid:
                    self._pid = None
                    return exit_code_of(_returncode(status))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    def _forward(self, number: int, frame: object) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._stop = number
        if self._pid is None:
            raise SystemExit(128 + number)
        os.kill(self._pid, number)


def _returncode(status: int) -> int:
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def _pass_on(reader: int, tail: bytearray) -> int:
    """Copy what can be read to our stderr and to ``tail``; return how much, 0 for nothing."""
    try:
        data = os.read(reader, _CHUNK)
    except BlockingIOError:
        return 0
    tail += data
    if len(tail) > 2 * TAIL_BYTES:
        del tail[:-TAIL_BYTES]
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(2, rest) :]
    except OSError:
        pass  # nobody reads our stderr any more; the script shall not die of that
    return len(data)


def _empty(pipe: int) -> None:
    try:
        while os.read(pipe, 4096):
            pass
    except BlockingIOError:
        pass
