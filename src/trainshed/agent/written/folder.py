"""What lies in the checkpoints folder, and whether a file there is being written. No store.

A file is opened so that nobody can slip another in: never through a link, and only where it really
lies below the folder, for what runs in the container may exchange folders at any time.
"""

import contextlib
import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from trainshed.agent.checkpoints.place import OWN
from trainshed.contract.tree import BASE


class Signature(NamedTuple):
    """What changes whenever a file does."""

    size: int
    ino: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """Return the signature in a file's status."""
        return cls(status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)

    def same_bytes(self, other: "Signature") -> bool:
        """Tell whether at most the owner, the mode or the names of a file have changed."""
        return self[:3] == other[:3]


@dataclass(slots=True)
class Look:
    """One look at the folder."""

    files: dict[str, Signature] = field(default_factory=dict)
    """By path below the folder; a link stands for its file when that lies below the folder too."""
    blind: list[str] = field(default_factory=list)
    """Folders that could not be read, ``x/``; "" is the whole. What is there is not known."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What is no file, and why, by path."""

    def knows(self, path: str) -> bool:
        """Tell whether a file that was not found is really gone."""
        return not any(path.startswith(folder) for folder in self.blind)


class NotHere(Exception):
    """A file is gone, or does not lie below the folder."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the machine, and where the container sees it."""

    root: Path
    seen_as: str

    def look(self) -> Look:
        """Return what lies in it."""
        found = Look()
        _walk(str(self.root), "", found, self._roots)
        return found

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """Open a file of the folder for reading.

        Raises:
            NotHere: it is gone, no plain file, or not below the folder.
            OSError: it cannot be read.
        """
        target = resolved(f"{self.root}/{path}", self._roots)
        try:
            fd = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotHere(path) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotHere(path) from error
            raise
        try:
            lies_at = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - no path of a file system
            below = lies_at.startswith(f"{self._roots[0]}/")
            if not below or not stat.S_ISREG(os.fstat(fd).st_mode):
                raise NotHere(path)
            yield fd
        finally:
            os.close(fd)

    @property
    def _roots(self) -> tuple[str, str]:
        return os.path.realpath(self.root), self.seen_as


def _walk(folder: str, prefix: str, found: Look, roots: tuple[str, str]) -> None:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                _note(entry, prefix + entry.name, found, roots)
    except FileNotFoundError:
        if not prefix:
            found.blind.append("")
    except OSError as error:
        found.blind.append(prefix)
        found.left_out[prefix or "."] = f"cannot be read ({error.strerror})"


def _note(entry: os.DirEntry[str], path: str, found: Look, roots: tuple[str, str]) -> None:
    if path == OWN:
        found.left_out[path] = "has the name of the platform's own folder"
        return
    try:
        path.encode()
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            _walk(entry.path, f"{path}/", found, roots)
            return
        if stat.S_ISLNK(status.st_mode):
            status = os.stat(resolved(entry.path, roots))  # noqa: PTH116 - a thousand times a second
    except UnicodeEncodeError:
        found.left_out[path.encode("utf-8", "backslashreplace").decode()] = "has no name in UTF-8"
        return
    except NotHere:
        found.left_out[path] = "is a link that leads elsewhere"
        return
    except OSError:
        return
    if stat.S_ISREG(status.st_mode):
        found.files[path] = Signature.of(status)
    else:
        found.left_out[path] = "is not a plain file"


def resolved(path: str, roots: tuple[str, str]) -> str:
    """Return the file that ``path`` is, or as a link stands for, as the container would find it.

    Raises:
        NotHere: it leads out of the folder, whose real path and name in the container ``roots`` is.
    """
    real, seen_as = roots
    with contextlib.suppress(OSError):
        text = os.readlink(path)  # noqa: PTH115 - the text, not a Path
        if text.startswith(f"{seen_as}/"):
            path = real + text[len(seen_as) :]
        elif text.startswith(f"{BASE}/"):
            path = str(Path(real).parent) + text[len(BASE) :]
    target = os.path.realpath(path)
    if not target.startswith(f"{real}/"):
        raise NotHere(path)
    return target


_NO_LEASE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def is_being_written(fd: int) -> bool | None:
    """Tell whether anybody has the file open for writing; None where the kernel does not say.

    A lease for reading is given only when nobody has. It is handed back at once: a program that
    opens the file just then waits for some microseconds.
    """
    # Whoever opens it meanwhile has a signal sent to us, which by default would end us.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _NO_LEASE:
            return None
        raise
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
