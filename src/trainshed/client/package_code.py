"""Packs a folder of code into the archive that script mode reads.

The same folder gives the same bytes, whenever and wherever it is packed: order, times, owners and
permissions are fixed, so an archive can be compared and cached by its digest.
"""

import gzip
import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from trainshed.client.errors import ClientError

IGNORE_FILES: Final = (".gitignore", ".trainshedignore")
"""Read in every folder; the later name and the deeper folder win."""
ALWAYS_OUT: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}
)
"""Never part of what runs."""
MARKS: Final = ("pyvenv.cfg", "trainshed.db")
"""What a folder that never goes along holds: a virtual environment, a server's data and keys."""
DEFAULT_LIMIT: Final = 512 * 1024 * 1024
"""Bytes before compression: more is almost always data that lies beside the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """An archive of code."""

    path: Path
    files: tuple[str, ...]
    """Members, relative to the folder, sorted."""
    size: int
    """Bytes before compression."""
    digest: str
    """SHA-256 of the archive, in hex."""


def pack(
    source: Path,
    archive: Path,
    *,
    leave_out: Sequence[Path] = (),
    limit: int = DEFAULT_LIMIT,
) -> Packed:
    """Write ``archive`` (tar, gzip) with the folder's content at its root.

    What ``.gitignore`` and ``.trainshedignore`` name is left out, and so are version control,
    caches, virtual environments and servers' folders. A link to a file is packed as the file; links
    to folders are left out.

    Args:
        source: the folder.
        archive: the file to write.
        leave_out: files or folders below ``source`` that do not belong in, such as its data.
        limit: bytes before compression.

    Raises:
        ClientError: there is no such folder, nothing is left of it, or it exceeds ``limit``.
    """
    if not source.is_dir():
        raise ClientError(f"{source} is not a folder", "check --source")
    out = frozenset(path.resolve() for path in leave_out)
    files = sorted(_files(source, source, (), out))
    if not files:
        raise ClientError(
            f"{source} holds no file that is not ignored",
            "look into .gitignore and .trainshedignore",
        )
    sizes = {name: (source / name).stat().st_size for name in files}
    if sum(sizes.values()) > limit:
        raise _too_big(source, sizes, limit)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in files:
            _add(tar, source / name, name)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Packed(path=archive, files=tuple(files), size=sum(sizes.values()), digest=digest)


def _files(
    root: Path, folder: Path, specs: tuple[tuple[Path, GitIgnoreSpec], ...], out: frozenset[Path]
) -> Iterator[str]:
    specs = (*specs, *_specs_of(folder))
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        # realpath: Path.resolve() fails on a link that leads to itself.
        if Path(os.path.realpath(path)) in out or _ignored(path, is_folder, specs):
            continue
        if is_folder:
            if entry.name not in ALWAYS_OUT and not any((path / mark).exists() for mark in MARKS):
                yield from _files(root, path, specs, out)
        elif _is_file(entry) and not entry.name.endswith(".pyc"):
            yield path.relative_to(root).as_posix()


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself, or to where we may not look
        return False


def _specs_of(folder: Path) -> Iterator[tuple[Path, GitIgnoreSpec]]:
    for name in IGNORE_FILES:
        if (folder / name).is_file():
            lines = (folder / name).read_text("utf-8", errors="replace").splitlines()
            yield folder, GitIgnoreSpec.from_lines(lines)


def _ignored(path: Path, is_folder: bool, specs: tuple[tuple[Path, GitIgnoreSpec], ...]) -> bool:
    for folder, spec in reversed(specs):
        name = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
        verdict = spec.check_file(name).include
        if verdict is not None:
            return verdict
    return False


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        info.size = status.st_size
        info.mode = 0o755 if status.st_mode & 0o100 else 0o644
        tar.addfile(info, file)


def _too_big(source: Path, sizes: dict[str, int], limit: int) -> ClientError:
    biggest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
    listed = ", ".join(f"{name} ({sizes[name] / 1e6:.1f} MB)" for name in biggest)
    return ClientError(
        f"{source} holds {sum(sizes.values()) / 1e6:.1f} MB, more than the {limit / 1e6:.1f} MB"
        f" that code may be; biggest: {listed}",
        "name what is not code in .trainshedignore, and hand data over with --data",
    )
