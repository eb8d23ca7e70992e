"""Unpacks a job's archives (its code, its model), trusting nothing in them.

Nothing is written outside the folder, no device or pipe is made, no set-user-id bit is kept, and
neither many members nor well-packed zeros can fill the disk: what the disk has no room for is
refused before it is written. An archive that tries is refused as a whole, by the name of the
member: leaving members out silently would run other code, or keep another model, than was meant.

The standard library's own filter would do for most of it, but Python has it from 3.11.4 only.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import tarfile
import zlib
from math import inf
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

_MAX_READ: Final = 1024 * 1024
"""Contents are read in pieces; only a forged header asks for more at once."""
_PIECE: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"
_LONGEST_RATIO: Final = 1100.0
"""Times its own size that an archive may hold. Gzip reaches 1,032; beyond are only members that
claim holes."""
_SMALL: Final = 256 * 1024 * 1024
"""Bytes up to which no ratio is suspicious."""
_LATEST: Final = 1 << 33
"""Seconds; the latest time that every file system keeps is about the year 2242."""
_MALFORMED: Final = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    OSError,
    ValueError,
    OverflowError,
    RecursionError,
)
"""What reading a hostile archive raises, beside what it should."""


def is_archive(path: Path) -> bool:
    """Tell whether a file is a tar, gzip-compressed or plain."""
    with path.open("rb") as file:
        head = file.read(262)
    return head.startswith(_GZIP) or head[257:] == b"ustar"


def unpack(
    archive: Path,
    folder: Path,
    *,
    most_members: float = inf,
    most_bytes: float = inf,
    most_ratio: float = _LONGEST_RATIO,
) -> list[Path]:
    """Unpack a tar or tar.gz into ``folder``; what is there and has the same name is replaced.

    Args:
        archive: the file.
        folder: must exist.
        most_members: an archive of more members is refused.
        most_bytes: one that holds more is refused; and in any case one that holds more than the
            disk has room for.
        most_ratio: one that holds more than 256 MiB, and so many times its own size, is refused.

    Returns:
        What it holds, folders left out, sorted.

    Raises:
        BrokenArchive: it is missing, is no such archive, or ends too early.
        RefusedArchive: it holds too much, reaches outside the folder, or holds a device or pipe.
    """
    try:
        limits = _limits(archive, folder, most_bytes, most_ratio)
        with archive.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            bounded = _Bounded(gzip.GzipFile(fileobj=raw) if packed else raw, limits, most_members)
            with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r:") as tar:
                return _Unpacking(tar, folder, limits, most_members).run()
    except _MALFORMED as error:
        raise BrokenArchive(str(error) or type(error).__name__) from error


class BrokenArchive(Exception):
    """The archive cannot be read, or what it holds cannot be written."""


class RefusedArchive(Exception):
    """The archive holds what nothing honest holds; the message names the member."""


class _Limit:
    """A number of bytes, and what it comes from."""

    def __init__(self, size: float, why: str) -> None:
        self.size = size
        self.why = why


def _limits(archive: Path, folder: Path, most_bytes: float, most_ratio: float) -> list[_Limit]:
    disk = os.statvfs(folder)
    ratio = max(archive.stat().st_size * most_ratio, _SMALL)
    room = disk.f_bavail * disk.f_frsize
    return [
        _Limit(most_bytes, "the most that is allowed"),
        _Limit(ratio, f"{most_ratio:g} times its own size"),
        _Limit(room, "the room that is left on the disk"),
    ]


def _check(size: float, what: str, limits: list[_Limit]) -> None:
    for limit in limits:
        if size > limit.size:
            raise RefusedArchive(f"{what} more than {limit.size:.0f} bytes, {limit.why}")


class _Bounded:
    """A stream that ends loudly where a bomb would go on."""

    def __init__(
        self, stream: BinaryIO | gzip.GzipFile, limits: list[_Limit], most_members: float
    ) -> None:
        self._stream = stream
        heads = min(most_members, sys.maxsize) * 2048
        self._limits = [_Limit(limit.size + heads, limit.why) for limit in limits]

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_READ or size < 0:
            raise RefusedArchive(f"a member's header claims {size} bytes")
        _check(self._stream.tell(), "it unpacks to", self._limits)
        return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


class _Unpacking:
    def __init__(
        self, tar: tarfile.TarFile, folder: Path, limits: list[_Limit], most_members: float
    ) -> None:
        self._tar = tar
        self._limits = limits
        self._most_members = most_members
        self._folder = folder
        self._root = os.path.realpath(folder)
        self._links: list[tuple[str, str]] = []
        self._folders: set[str] = set()

    def run(self) -> list[Path]:
        count = total = 0
        behind = -1
        found: set[Path] = set()
        while (member := self._tar.next()) is not None:
            count += 1
            # A negative length leads back to a member that was read already, for ever.
            if member.size < 0 or member.offset <= behind:
                raise RefusedArchive(f"{member.name!r} claims {member.size} bytes")
            behind = member.offset
            total += member.size if member.isreg() else 0
            if count > self._most_members:
                raise RefusedArchive(f"it holds more than {self._most_members} members")
            _check(total, f"with {member.name!r} it holds", self._limits)
            self._place(member)
            cast(Any, self._tar).members.clear()  # it would remember millions of them
            if not member.isdir():
                found.add(self._folder / member.name)
        # A link may have pointed inside until a later member changed what lies on its way.
        for name, path in self._links:
            if not self._inside(path):
                raise RefusedArchive(f"the link {name!r} points outside the folder")
        return sorted(found)

    def _place(self, member: tarfile.TarInfo) -> None:
        parts = PurePosixPath(member.name).parts
        if member.name.startswith("/") or ".." in parts or "\0" in member.name:
            raise RefusedArchive(f"{member.name!r} is not a path below the folder")
        path = os.path.join(self._root, *parts)  # noqa: PTH118 - os.open and friends below
        if member.isdir():
            self._make_folder(member.name, path)
            return
        if not parts:
            raise RefusedArchive(f"{member.name!r} names no file")
        self._make_folder(member.name, os.path.dirname(path))  # noqa: PTH120
        if os.path.islink(path) or os.path.isfile(path):  # noqa: PTH113, PTH114
            os.unlink(path)  # noqa: PTH108 - never write through what is there
        if member.isreg():
            self._write(member, path)
        elif member.issym():
            self._link(member, path)
        elif member.islnk():
            self._same(member, path)
        else:
            raise RefusedArchive(f"{member.name!r} is neither file, folder nor link")

    def _make_folder(self, name: str, path: str) -> None:
        if path in self._folders:
            return
        if not self._inside(path):
            raise RefusedArchive(f"{name!r} reaches outside the folder through a link")
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
        if os.path.realpath(path) == path:
            self._folders.add(path)  # real folders all the way, and nothing here removes one

    def _write(self, member: tarfile.TarInfo, path: str) -> None:
        source = self._tar.extractfile(member)
        if source is None:
            raise RefusedArchive(f"{member.name!r} holds no data")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        mode = stat.S_IMODE(member.mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            while piece := source.read(_PIECE):
                file.write(piece)
            os.fchmod(file.fileno(), mode)
        # NaN compares as false: it becomes 0.
        mtime = member.mtime if 0 < member.mtime < _LATEST else 0
        os.utime(path, (mtime, mtime))

    def _link(self, member: tarfile.TarInfo, path: str) -> None:
        if member.linkname.startswith("/"):
            raise RefusedArchive(f"the link {member.name!r} points to {member.linkname!r}")
        os.symlink(member.linkname, path)  # noqa: PTH211
        if not self._inside(path):
            os.unlink(path)  # noqa: PTH108
            raise RefusedArchive(f"the link {member.name!r} points to {member.linkname!r}, outside")
        self._links.append((member.name, path))

    def _same(self, member: tarfile.TarInfo, path: str) -> None:
        parts = PurePosixPath(member.linkname).parts
        target = os.path.join(self._root, *parts)  # noqa: PTH118
        if member.linkname.startswith("/") or ".." in parts or not self._inside(target):
            raise RefusedArchive(f"the link {member.name!r} points to {member.linkname!r}, outside")
        if os.path.islink(target) or not os.path.isfile(target):  # noqa: PTH113, PTH114
            raise RefusedArchive(f"the link {member.name!r} points to no file of the archive")
        os.link(target, path)

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self._root or real.startswith(self._root.rstrip("/") + "/")
