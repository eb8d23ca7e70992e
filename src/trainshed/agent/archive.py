"""Turns the files of one or more hosts into one archive, the same bytes for the same files."""

import contextlib
import gzip
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from trainshed.contract.tree import BASE
from trainshed.stores.objects.remote.sinks import Sink

_LEVEL: Final = 1
"""Weights hardly shrink: higher levels cost many times the processor and save a few percent."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file that is to be kept."""

    size: int
    mode: int
    mtime: int
    open: Callable[[], IO[bytes]]


def collect(root: Path, base: Path, complain: Callable[[str], None]) -> dict[str, Piece]:
    """Return the files below ``root`` by their relative path.

    A symbolic link stands for its file when that lies below ``root`` too; it is left out, and
    ``complain`` told, when it leads elsewhere. Sockets, pipes and devices are left out as well.

    Args:
        root: the folder, as it lies on the node.
        base: what the container saw as ``/opt/ml``, for links that are absolute.
        complain: is told, in a sentence, of each thing that is left out.
    """
    found: dict[str, Piece] = {}
    for path in _below(root, complain):
        name = str(path.relative_to(root))
        target = _resolved(path, base)
        inside = target.is_relative_to(root.resolve())
        if not inside or not target.is_file():
            complain(f"{root.name}/{name} is {_what(path, target, inside)}: it was left out")
            continue
        status = target.stat()
        found[name] = Piece(
            size=status.st_size,
            mode=stat.S_IMODE(status.st_mode),
            mtime=int(status.st_mtime),
            open=lambda target=target: target.open("rb"),  # type: ignore[misc]
        )
    return found


def write_tar(pieces: Mapping[str, Piece], sink: Sink, *, compress: bool) -> None:
    """Write the pieces as a tar, sorted by name, gzipped if asked."""
    with contextlib.ExitStack() as stack:
        out: object = sink
        if compress:
            # The types say more than is needed: both only ever write.
            packed = gzip.GzipFile("", "wb", _LEVEL, cast("BinaryIO", sink), mtime=0)
            out = stack.enter_context(packed)
        tar = stack.enter_context(
            tarfile.open(fileobj=cast("BinaryIO", out), mode="w|", format=tarfile.PAX_FORMAT)
        )
        for name in sorted(pieces):
            piece = pieces[name]
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = piece.size, piece.mode, piece.mtime
            with piece.open() as file:
                tar.addfile(member, file)


@contextlib.contextmanager
def read_tar(archive: Path) -> Iterator[dict[str, Piece]]:
    """Open an uncompressed tar that ``write_tar`` wrote on another host, for its files."""
    with tarfile.open(archive, "r:") as tar:
        found: dict[str, Piece] = {}
        for member in tar:
            path = Path(member.name)
            if member.isfile() and not path.is_absolute() and ".." not in path.parts:
                found[member.name] = Piece(
                    size=member.size,
                    mode=member.mode,
                    mtime=int(member.mtime),
                    open=lambda member=member: cast("IO[bytes]", tar.extractfile(member)),  # type: ignore[misc]
                )
        yield found


def copy(piece: Piece, sink: Sink) -> None:
    """Write one piece's bytes."""
    with piece.open() as file:
        while chunk := file.read(_CHUNK):
            sink.write(chunk)


def _what(path: Path, target: Path, inside: bool) -> str:
    """Return what a thing is that is not kept."""
    if not path.is_symlink():
        return "not a plain file"
    if not inside:
        return "a link that leads elsewhere"
    if target.is_dir():
        return "a link to a folder, whose files are kept under their own names"
    return "a link that leads to no file"


def _below(folder: Path, complain: Callable[[str], None]) -> Iterator[Path]:
    def leave_out(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            complain(f"{error.filename} cannot be read ({error.strerror}): it was left out")

    for parent, folders, names in os.walk(folder, onerror=leave_out):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *links]):
            yield Path(parent) / name


def _resolved(path: Path, base: Path) -> Path:
    """Follow links as the container would, where they begin with /opt/ml."""
    with contextlib.suppress(OSError):
        text = os.readlink(path)  # noqa: PTH115 - the text, not a Path
        if text.startswith(f"{BASE}/"):
            path = base / text[len(BASE) + 1 :]
    return Path(os.path.realpath(path))
