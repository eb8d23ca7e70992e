"""Unpacks a job's archives (its code, its model), trusting nothing in them.

Nothing is written outside the folder, no device or pipe is made, no set-user-id bit is kept, and
neither many members nor well-packed zeros can fill the disk. An archive that tries is refused as
a whole, by the name of the member: leaving members out silently would run other code, or keep
another model, than was meant.

The standard library's own filter would do for most of it, but Python has it from 3.11.4 only.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zlib
from math import inf
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

_MAX_READ: Final = 1024 * 1024
"""Contents are read in pieces; only a forged header asks for more at once."""
_PIECE: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"


def is_archive(path: Path) -> bool:
    """Tell whether a file is a tar, gzip-compressed or plain."""
    with path.open("rb") as file:
        head = file.read(262)
    return head.startswith(_GZIP) or head[257:] == b"ustar"


def unpack(
    archive: Path, folder: Path, *, most_members: float = inf, most_bytes: float = inf
) -> list[Path]:
    """Unpack a tar or tar.gz into ``folder``; what is there and has the same name is replaced.

    Args:
        archive: the file.
        folder: must exist.
        most_members: an archive of more members is refused.
        most_bytes: one that holds more is refused.

    Returns:
        What it holds, folders left out, sorted.

    Raises:
        BrokenArchive: it is missing, is no such archive, or ends too early.
        RefusedArchive: it holds too much, reaches outside the folder, or holds a device or pipe.
    """
    try:
        with archive.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            bounded = _Bounded(
                gzip.GzipFile(fileobj=raw) if packed else raw, most_members, most_bytes
            )
            with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r:") as tar:
                return _Unpacking(tar, folder, most_members, most_bytes).run()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BrokenArchive(str(error)) from error


class BrokenArchive(Exception):
    """The archive cannot be read, or what it holds cannot be written."""


class RefusedArchive(Exception):
    """The archive holds what nothing honest holds; the message names the member."""


class _Bounded:
    """A stream that ends loudly where a bomb would go on."""

    def __init__(
        self, stream: BinaryIO | gzip.GzipFile, most_members: float, most_bytes: float
    ) -> None:
        self._stream = stream
        self._most_bytes = most_bytes
        self._most_read = most_bytes + most_members * 2048

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_READ or size < 0:
            raise RefusedArchive(f"a member's header claims {size} bytes")
        if self._stream.tell() > self._most_read:
            raise RefusedArchive(f"it unpacks to more than {self._most_bytes} bytes")
        return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


class _Unpacking:
    def __init__(
        self, tar: tarfile.TarFile, folder: Path, most_members: float, most_bytes: float
    ) -> None:
        self._tar = tar
        self._most_members = most_members
        self._most_bytes = most_bytes
        self._folder = folder
        self._root = os.path.realpath(folder)
        self._links: list[tuple[str, str]] = []
        self._folders: set[str] = set()

    def run(self) -> list[Path]:
        count = total = 0
        found: set[Path] = set()
        while (member := self._tar.next()) is not None:
            count += 1
            total += member.size if member.isreg() else 0
            if count > self._most_members:
                raise RefusedArchive(f"it holds more than {self._most_members} members")
            if total > self._most_bytes:
                raise RefusedArchive(f"{member.name!r} takes it beyond {self._most_bytes} bytes")
            self._place(member)
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
        os.utime(path, (max(member.mtime, 0), max(member.mtime, 0)))

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
