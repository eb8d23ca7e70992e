"""Makes our toolkit into the program ``train`` for an image that has none.

The toolkit is a stranger to the agent: it is built by its own program, once for each of its
versions and each Python that is to run it.
"""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from trainshed.agent.node import NodeOver
from trainshed.agent.runtimes.docker.locking import locked
from trainshed.domain.facts import Outcome

_PACKAGE: Final = Path(__file__).parents[3]
_BUILDER: Final = _PACKAGE / "toolkit" / "archive.py"
_ROOMS: Final = ("contract", "toolkit")
_BUILD_S: Final = 60.0


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
            _build(found, first_line)
    return found


def _build(target: Path, first_line: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", str(_BUILDER), str(target), first_line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    if ran.returncode:
        raise NodeOver(
            Outcome.LOST,
            f"InternalServerError: the training toolkit could not be built: {ran.stderr[-500:]}",
        )


def _version(first_line: str) -> str:
    """Return what changes whenever the toolkit's source does."""
    found = hashlib.sha256(first_line.encode())
    for room in _ROOMS:
        for file in sorted((_PACKAGE / room).rglob("*.py")):
            about = file.stat()
            found.update(f"{file} {about.st_size} {about.st_mtime_ns}\n".encode())
    return found.hexdigest()[:32]
