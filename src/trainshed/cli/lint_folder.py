"""Reads a folder of code for ``trainshed lint``: its texts, its Dockerfile, its entry point."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from trainshed.client.lint import dockerfile
from trainshed.client.lint.facts import File
from trainshed.client.lint.folder import Folder
from trainshed.client.package_code import ALWAYS_OUT, MARKS

_READ: Final = 256 * 1024
"""Bytes of a file that are read; code is shorter."""
_MOST: Final = 5_000
"""Files that are looked at: a folder with more holds data."""


def read_folder(path: Path) -> Folder:
    """Return what lies in a folder, or beside a file that was named in its place."""
    root = path if path.is_dir() else path.parent
    recipe = path if path.is_file() and "dockerfile" in path.name.lower() else root / "Dockerfile"
    found = dict(_files(root))
    read = None
    if recipe.is_file():
        read = dockerfile.read(recipe.read_text("utf-8", "replace"), recipe.name)
    return Folder(name=str(root), files=found, recipe=read)


def entry_point_of(path: Path, folder: Folder) -> str:
    """Return the script that the job most likely runs; "" when that would be a guess."""
    if path.is_file() and "dockerfile" not in path.name.lower():
        return path.name
    if folder.recipe is not None:
        return ""
    return "train.py" if "train.py" in folder.files else ""


def _files(root: Path) -> Iterator[tuple[str, File]]:
    count = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in ALWAYS_OUT and not any((here / name / mark).exists() for mark in MARKS)
        )
        for name in sorted(names):
            file = here / name
            count += 1
            if count > _MOST:
                return
            if file.is_file():
                key = str(PurePosixPath(file.relative_to(root)))
                yield key, _file(file, key)


def _file(path: Path, name: str) -> File:
    status = path.stat()
    raw = b""
    if status.st_size <= _READ:
        raw = path.read_bytes()
    text = None if b"\0" in raw or not raw else raw.decode("utf-8", "replace")
    executable = bool(status.st_mode & 0o100)
    return File(path=name, executable=executable, size=status.st_size, text=text)
