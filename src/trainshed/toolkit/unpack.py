"""Unpacks a source archive, trusting nothing in it.

Nothing is written outside the folder, no device or pipe is made, no set-user-id bit is kept, and
neither many members nor well-packed zeros can fill the disk. An archive that tries is refused as
a whole, by the name of the member: silently leaving members out would run other code than was
submitted.
"""

import gzip
import os
import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from trainshed.toolkit.failure import ToolkitError

MAX_MEMBERS: Final = 100_000
MAX_BYTES: Final = 8 * 1024**3
"""Unpacked. Weights of a few GB are seen in source archives; data belongs into channels."""
_MAX_READ: Final = 1024 * 1024
"""Contents are read in pieces; only a forged header asks for more at once."""
_PIECE: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"


def is_archive(path: Path) -> bool:
    """Tell whether a file is a tar, gzip-compressed or plain."""
    with path.open("rb") as file:
        head = file.read(262)
    return head.startswith(_GZIP) or head[257:] == b"ustar"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar or tar.gz into ``folder``; what is there and has the same name is replaced.

    Raises:
        ToolkitError: the archive is missing, broken, too large, or reaches outside the folder.
    """
    try:
        with archive.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            with tarfile.open(fileobj=cast(BinaryIO, _Bounded(stream)), mode="r:") as tar:
                _Unpacking(tar, folder).run()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ToolkitError(f"the source archive {archive} cannot be unpacked: {error}") from error
    except _Refused as refused:
        raise ToolkitError(f"the source archive {archive} is refused: {refused}") from refused


class _Refused(Exception):
    """What an archive holds that no source archive should."""


class _Bounded:
    """A stream that ends loudly where a bomb would go on."""

    def __init__(self, stream: "BinaryIO | gzip.GzipFile") -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_READ or size < 0:
            raise _Refused(f"a member's header claims {size} bytes")
        if self._stream.tell() > MAX_BYTES + MAX_MEMBERS * 2048:
            raise _Refused(f"it unpacks to more than {MAX_BYTES} bytes")
        return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


class _Unpacking:
    def __init__(self, tar: tarfile.TarFile, folder: Path) -> None:
        self._tar = tar
        self._root = os.path.realpath(folder)
        self._links: list[tuple[str, str]] = []
        self._folders: set[str] = set()

    def run(self) -> None:
        count = total = 0
        while (member := self._tar.next()) is not None:
            count += 1
            total += member.size if member.isreg() else 0
            if count > MAX_MEMBERS:
                raise _Refused(f"it holds more than {MAX_MEMBERS} members")
            if total > MAX_BYTES:
                raise _Refused(f"{member.name!r} takes it beyond {MAX_BYTES} bytes")
            self._place(member)
        # A link may have pointed inside until a later member changed what lies on its way.
        for name, path in self._links:
            if not self._inside(path):
                raise _Refused(f"the link {name!r} points outside the code folder")

    def _place(self, member: tarfile.TarInfo) -> None:
        parts = PurePosixPath(member.name).parts
        if member.name.startswith("/") or ".." in parts or "\0" in member.name:
            raise _Refused(f"{member.name!r} is not a path below the code folder")
        path = os.path.join(self._root, *parts)  # noqa: PTH118 - os.open and friends below
        if member.isdir():
            self._make_folder(member.name, path)
            return
        if not parts:
            raise _Refused(f"{member.name!r} names no file")
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
            raise _Refused(f"{member.name!r} is neither file, folder nor link")

    def _make_folder(self, name: str, path: str) -> None:
        if path in self._folders:
            return
        if not self._inside(path):
            raise _Refused(f"{name!r} reaches outside the code folder through a link")
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
        if os.path.realpath(path) == path:
            self._folders.add(path)  # real folders all the way, and nothing here removes one

    def _write(self, member: tarfile.TarInfo, path: str) -> None:
        source = self._tar.extractfile(member)
        if source is None:
            raise _Refused(f"{member.name!r} holds no data")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        mode = stat.S_IMODE(member.mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            while piece := source.read(_PIECE):
                file.write(piece)
            os.fchmod(file.fileno(), mode)
        os.utime(path, (max(member.mtime, 0), max(member.mtime, 0)))

    def _link(self, member: tarfile.TarInfo, path: str) -> None:
        if member.linkname.startswith("/"):
            raise _Refused(f"the link {member.name!r} points to {member.linkname!r}")
        os.symlink(member.linkname, path)  # noqa: PTH211
        if not self._inside(path):
            os.unlink(path)  # noqa: PTH108
            raise _Refused(f"the link {member.name!r} points to {member.linkname!r}, outside")
        self._links.append((member.name, path))

    def _same(self, member: tarfile.TarInfo, path: str) -> None:
        parts = PurePosixPath(member.linkname).parts
        target = os.path.join(self._root, *parts)  # noqa: PTH118
        if member.linkname.startswith("/") or ".." in parts or not self._inside(target):
            raise _Refused(f"the link {member.name!r} points to {member.linkname!r}, outside")
        if os.path.islink(target) or not os.path.isfile(target):  # noqa: PTH113, PTH114
            raise _Refused(f"the link {member.name!r} points to no file of the archive")
        os.link(target, path)

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self._root or real.startswith(self._root.rstrip("/") + "/")
