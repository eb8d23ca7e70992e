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

from trainshed.contract.tree import BASE
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
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Complain = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file that is to be kept."""

    path: str
    """Where its bytes lie on the node, no links left in it."""
    mode: int
    mtime: int
    """Seconds since the epoch."""
    offset: int = 0
    size: int | None = None
    """Bytes from ``offset`` on; None for a file of its own, whose length is what it has then."""


class Vanished(Exception):
    """A file that was there when the folder was read is there no more."""


def collect(root: Path, base: Path, complain: Complain) -> dict[str, Piece]:
    """Return the files below ``root`` by their relative path.

    A symbolic link stands for its file when that lies below ``root`` too; it is left out, and
    ``complain`` told, when it leads elsewhere. Sockets, pipes and devices are left out as well. A
    file with several names (hard links) is kept under each.

    Args:
        root: the folder, as it lies on the node.
        base: what the container saw as ``/opt/ml``, for links that are absolute.
        complain: is told, in a sentence, of each thing that is left out.
    """
    real = os.path.realpath(root)
    found: dict[str, Piece] = {}
    for path in _below(real, complain):
        name = path[len(real) + 1 :]
        try:
            target, status, why = _target(path, real, base)
        except FileNotFoundError:
            continue  # deleted while the folder was read
        if why:
            complain(f"{root.name}/{shown(name)} is {why}: it was left out")
            continue
        found[name] = Piece(
            path=target, mode=stat.S_IMODE(status.st_mode), mtime=int(status.st_mtime)
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
    end, behind = archive.stat().st_size, -1
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
                path=str(archive),
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
        file = io.FileIO(os.open(piece.path, _FLAGS), "r")
    except (FileNotFoundError, NotADirectoryError) as gone:
        raise Vanished(piece.path) from gone
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link or a pipe took its place
            raise Vanished(piece.path) from error
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Vanished(piece.path)
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


def _target(path: str, root: str, base: Path) -> tuple[str, os.stat_result, str]:
    """Return what a path leads to, and why that is not kept; "" when it is.

    Raises:
        FileNotFoundError: the path itself is gone.
    """
    status = os.lstat(path)
    if not stat.S_ISLNK(status.st_mode):
        return path, status, "" if stat.S_ISREG(status.st_mode) else "not a plain file"
    target = _resolved(path, base)
    if not target.startswith(root + "/") and target != root:
        return target, status, "a link that leads elsewhere"
    try:
        status = os.stat(target)  # noqa: PTH116 - text all the way
    except OSError:
        return target, status, "a link that leads to no file"
    if stat.S_ISDIR(status.st_mode):
        return target, status, "a link to a folder, whose files are kept under their own names"
    return target, status, "" if stat.S_ISREG(status.st_mode) else "a link that leads to no file"


def _below(folder: str, complain: Complain) -> Iterator[str]:
    """Yield all but folders below one, by path. Nothing is done in quadratic time or depth."""
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as entries:
                listed = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except FileNotFoundError:
            continue
        except OSError as error:
            complain(f"{shown(parent)} cannot be read ({error.strerror}): it was left out")
            continue
        for path, is_folder in listed:
            if is_folder:
                waiting.append(path)
            else:
                yield path


def _resolved(path: str, base: Path) -> str:
    """Follow links as the container would, where they begin with /opt/ml."""
    try:
        text = os.readlink(path)  # noqa: PTH115 - text all the way
    except OSError:  # replaced meanwhile
        return path
    if text.startswith(f"{BASE}/"):
        path = os.path.join(base, text[len(BASE) + 1 :])  # noqa: PTH118
    return os.path.realpath(path)
