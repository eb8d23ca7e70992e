"""One epoch's named pipe: appears, waits for its reader, takes bytes, and ends or is held open.

A container may be root, and can put anything in the place of a path below its tree. So paths are
never followed there: the pipe is made elsewhere and moved in, and opened by what it is.
"""

import contextlib
import errno
import fcntl
import os
import select
import stat
import threading
from pathlib import Path
from typing import Final

_SIZE: Final = 1 << 20
"""Bytes that a pipe holds; what the kernel allows everybody (fs.pipe-max-size)."""
_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_ANYBODY: Final = 0o666
"""An image's own user is not known here, and must be able to read."""


class ReaderLeft(Exception):
    """The reader closed its end before all was written."""


class Closed(Exception):
    """Nobody wants any more to be written."""


class Bell:
    """Wakes whoever waits for a pipe, once and for all. Rung from any thread."""

    def __init__(self) -> None:
        self.rung = threading.Event()
        self.fd, self._other = os.pipe()

    def ring(self) -> None:
        """Ring it; it does not stop."""
        if not self.rung.is_set():
            self.rung.set()
            os.write(self._other, b".")


class Fifo:
    """A pipe with one reader. Written to by one thread; ``release`` is called by another."""

    def __init__(
        self, folder: int, name: str, workshop: Path, bell: Bell, *, laid: bool = False
    ) -> None:
        """Have it there, in place of what may lie there already.

        Args:
            folder: an open folder, where it appears.
            name: what it is called there.
            workshop: a folder of the same disk that only we write to.
            bell: ends all waiting.
            laid: whether a pipe that lies there is to be this one: who reads it may wait already.

        Raises:
            OSError: it can't be made, or a folder of that name is there.
        """
        self._folder = folder
        self._name = name
        self._bell = bell
        self._fd = -1
        self._reader = -1
        self._path = _laid(folder, name) if laid else -1
        if self._path >= 0:
            return
        made = workshop / name
        made.unlink(missing_ok=True)
        os.mkfifo(made)
        made.chmod(_ANYBODY)
        self._path = os.open(made, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.rename(made, name, dst_dir_fd=folder)

    def wait_for_reader(self) -> bool:
        """Return True once somebody has opened it for reading; False when the bell rang."""
        if self._bell.rung.is_set():
            return False
        self._fd = os.open(self._itself, os.O_WRONLY | os.O_CLOEXEC)
        if self._bell.rung.is_set():
            return False
        os.set_blocking(self._fd, False)
        with contextlib.suppress(OSError):  # the user has too many pipes; a small one will do
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _SIZE)
        return True

    def write(self, data: bytes | memoryview) -> None:
        """Write all of it.

        Raises:
            ReaderLeft, Closed: nobody wants it.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                self._wait()
            except BrokenPipeError as gone:
                raise ReaderLeft from gone

    def splice(self, source: int, offset: int, count: int) -> int:
        """Move up to ``count`` bytes of a file in, unread; return how many, 0 at its end.

        Raises:
            ReaderLeft, Closed: nobody wants it.
            OSError: the file can't be read.
        """
        while True:
            try:
                return os.splice(source, self._fd, count, offset_src=offset, flags=_FLAGS)
            except BlockingIOError:
                self._wait()
            except BrokenPipeError as gone:
                raise ReaderLeft from gone
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                data = os.pread(source, min(count, _SIZE), offset)  # a file system without splice
                self.write(data)
                return len(data)

    def release(self) -> None:
        """Have nobody wait for a reader any more."""
        if self._reader < 0:
            self._reader = os.open(self._itself, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def end(self) -> None:
        """Take it away, and let its reader come to the end; a second call changes nothing."""
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._folder)
        for fd in (self._fd, self._path, self._reader):
            if fd >= 0:
                os.close(fd)
        self._fd = self._path = self._reader = -1

    @property
    def _itself(self) -> str:
        return f"/proc/self/fd/{self._path}"

    def _wait(self) -> None:
        """Return when there may be room."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.register(self._bell.fd, select.POLLIN)
        poll.poll()
        if self._bell.rung.is_set():
            raise Closed


def _laid(folder: int, name: str) -> int:
    """Return a descriptor of the pipe that lies there; -1 when there is none."""
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return -1
    if stat.S_ISFIFO(os.fstat(found).st_mode):
        return found
    os.close(found)
    return -1
