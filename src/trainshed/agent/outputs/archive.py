"""Turns the files of one or more hosts into one archive, the same bytes for the same files.

The container is over when this runs, but a child of it may live on and still write, truncate or
delete what is being packed. Whatever it does, the archive stays whole: a member's length is settled
when its header is written, and what became of a file meanwhile is told.
"""

import errno
import importlib
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final, Protocol, cast

from trainshed.agent.written.folder import GONE, Folder
from trainshed.agent.written.opening import NotHere, opened
from trainshed.stores.objects.remote.sinks import Sink

try:
    _deflate: ModuleType = importlib.import_module("isal.isal_zlib")
except ImportError:  # a machine that has no build of it: more processor time, as good an archive
    _deflate = zlib

_LEVEL: Final = 1
"""Weights hardly shrink: higher levels cost many times the processor and save a few percent."""
_GZIP_FORMAT: Final = 31
"""The largest window, in a gzip frame without time and name."""
_CHUNK: Final = 1 << 20
_DIRECT: Final = 64 * 1024
"""Pieces of at least this size are passed on without being gathered."""
_ZEROS: Final = memoryview(bytes(_CHUNK))
_BLOCK: Final = tarfile.BLOCKSIZE

Complain = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file that is to be kept."""

    path: str
    """Where its bytes lie on the node, no links left in it."""
    within: str
    """The folder, no links left in it, that it must still lie below when it is read."""
    mode: int
    mtime: int
    """Seconds since the epoch."""
    offset: int = 0
    size: int | None = None
    """Bytes from ``offset`` on; None for a file of its own, whose length is what it has then."""


class Vanished(Exception):
    """A file that was there when the folder was read is there no more."""


def collect(folder: Folder, name: str, complain: Complain) -> dict[str, Piece]:
    """Return the files of a folder by their relative path.

    A file with several names is kept under each. What is no file is left out, and ``complain``
    told of it in a sentence; ``name`` is what the folder is called there.
    """
    found: dict[str, Piece] = {}
    for path, target, status, why in folder.found():
        if why or status is None:
            if why != GONE:
                complain(f"{name}/{shown(path)} {why}: it was left out")
            continue
        found[path] = Piece(
            path=target,
            within=folder.real,
            mode=stat.S_IMODE(status.st_mode),
            mtime=int(status.st_mtime),
        )
    return found


def shown(name: str) -> str:
    """Return a file's name as a message can hold it, whatever bytes it has."""
    return name if name.isprintable() else ascii(name)[1:-1]


def write_tar(
    pieces: Mapping[str, Piece], sink: Sink, complain: Complain, *, compress: bool
) -> None:
    """Write the pieces as a tar, sorted by name, gzipped if asked.

    Raises:
        OSError: a file cannot be read.
    """
    # tarfile's own streams copy every byte several times, 10 KiB at a time.
    out: _Packed | _Passed = _Packed(sink) if compress else _Passed(sink)
    gathered = _Gathered(out)
    buffer = memoryview(bytearray(_CHUNK))
    for name in sorted(pieces):
        try:
            _add(name, pieces[name], gathered, buffer, complain)
        except Vanished:
            complain(f"{shown(name)} was deleted before it could be kept")
    written = gathered.written
    gathered.write(b"\0" * (2 * _BLOCK + -(written + 2 * _BLOCK) % tarfile.RECORDSIZE))
    gathered.flush()
    out.finish()


def read_tar(archive: Path) -> dict[str, Piece]:
    """Return the files of an uncompressed tar that ``write_tar`` wrote on another host.

    Raises:
        tarfile.TarError: it is none.
        OSError: it cannot be read.
    """
    try:
        with _Careful(archive) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            return dict(_members(archive, tar))
    except (EOFError, OSError, OverflowError, RecursionError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # of a place that is none
            raise
        raise tarfile.ReadError(f"{archive.name} is malformed: {error!r}") from error


class _Careful(io.FileIO):
    """A file of which nobody reads much at once; only a forged header asks for that."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes, at most a mebibyte."""
        if size is None or not 0 <= size <= _CHUNK:
            raise tarfile.ReadError(f"a member's header claims {size} bytes")
        return super().read(size)


def _members(archive: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, Piece]]:
    end, behind, real = archive.stat().st_size, -1, os.path.realpath(archive)
    while (member := tar.next()) is not None:
        cast(Any, tar).members.clear()  # it would remember a hundred thousand of them
        # A negative length would lead back to a member that was read already, for ever.
        if member.offset <= behind or member.size < 0:
            raise tarfile.ReadError(f"{shown(member.name)} in {archive.name} has no length")
        behind = member.offset
        path = Path(member.name)
        inside = not path.is_absolute() and ".." not in path.parts and path.parts
        if not inside or not member.isreg() or member.issparse():
            continue
        if member.offset_data + member.size > end:
            raise tarfile.ReadError(f"{archive.name} ends within {shown(member.name)}")
        yield (
            str(path),
            Piece(
                path=real,
                within=os.path.dirname(real),  # noqa: PTH120 - text, as it is of others
                mode=stat.S_IMODE(member.mode) & 0o777,
                mtime=int(member.mtime),
                offset=member.offset_data,
                size=member.size,
            ),
        )


def copy(piece: Piece, sink: Sink) -> None:
    """Write one piece's bytes.

    Raises:
        Vanished: it was deleted meanwhile.
        OSError: it cannot be read.
    """
    with _opened(piece) as file:
        left = _length(piece, file)
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            sink.write(chunk)
            left -= len(chunk)


def _add(name: str, piece: Piece, out: "_Gathered", buffer: memoryview, complain: Complain) -> None:
    """Write one member; what was promised in its header is written, whatever the file becomes."""
    with _opened(piece) as file:
        size = _length(piece, file)
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, piece.mode, piece.mtime
        out.write(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        left = size
        while left > 0:
            count = file.readinto(buffer[: min(left, _CHUNK)])
            if not count:
                break
            out.write(buffer[:count])
            left -= count
        if left:
            complain(
                f"{shown(name)} was cut short while it was packed: its last {left} of {size} bytes "
                "are zeros in the archive"
            )
        elif piece.size is None and os.fstat(file.fileno()).st_size > size:
            complain(f"{shown(name)} grew while it was packed: its first {size} bytes are kept")
    while left > 0:
        out.write(_ZEROS[: min(left, _CHUNK)])
        left -= _CHUNK
    out.write(_ZEROS[: -size % _BLOCK])


def _opened(piece: Piece) -> io.FileIO:
    """Open a piece at its first byte."""
    try:
        file = io.FileIO(opened(piece.path, piece.within), "r")
    except NotHere as gone:
        raise Vanished(piece.path) from gone
    if piece.offset:
        file.seek(piece.offset)
    return file


def _length(piece: Piece, file: IO[bytes] | io.FileIO) -> int:
    return os.fstat(file.fileno()).st_size if piece.size is None else piece.size


class _Writer(Protocol):
    def write(self, data: bytes | memoryview) -> None: ...


class _Gathered:
    """Hands small pieces on in large ones: each file brings a header of 512 bytes at least."""

    def __init__(self, out: _Writer) -> None:
        self._out = out
        self._small = bytearray()
        self.written = 0

    def write(self, data: bytes | memoryview) -> None:
        self.written += len(data)
        if len(data) >= _DIRECT:
            self.flush()
            self._out.write(data)
            return
        self._small += data
        if len(self._small) >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        if self._small:
            self._out.write(bytes(self._small))
            self._small.clear()


class _Packed:
    """Gzip on the way to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._packer = _deflate.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)

    def write(self, data: bytes | memoryview) -> None:
        if packed := self._packer.compress(data):
            self._sink.write(packed)

    def finish(self) -> None:
        self._sink.write(self._packer.flush())


class _Passed:
    """Nothing on the way to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes | memoryview) -> None:
        self._sink.write(bytes(data))

    def finish(self) -> None:
        """Leave the sink to who opened it."""
