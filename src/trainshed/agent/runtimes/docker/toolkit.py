"""Makes our toolkit into the program ``train`` for an image that has none.

It is built once for each of its versions and each Python that is to run it.
"""

import hashlib
from pathlib import Path
from typing import Final

from trainshed.agent.runtimes.docker.locking import locked
from trainshed.agent.runtimes.toolkit import PACKAGE, build

_ROOMS: Final = ("contract", "toolkit")


def program(cache: Path, python: str) -> Path:
    """Return a file that is ``train`` where ``python`` is the Python.

    Raises:
        NodeOver: it can't be built.
    """
    first_line = f"#!{python} -IS"
    folder = cache / "toolkit" / _version(first_line)
    found = folder / "train"
    if found.exists():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if not found.exists():
            build(found, first_line)
    return found


def _version(first_line: str) -> str:
    """Return what changes whenever the toolkit's source does."""
    found = hashlib.sha256(first_line.encode())
    for room in _ROOMS:
        for file in sorted((PACKAGE / room).rglob("*.py")):
            about = file.stat()
            found.update(f"{file} {about.st_size} {about.st_mtime_ns}\n".encode())
    return found.hexdigest()[:32]
