"""Opens a plain file below a folder that a container writes to, and nothing else.

What runs there may be root, which the agent may be as well, and may put a link or a device in the
place of any file or folder at any time. So a file is first taken hold of without being opened, then
looked at, and only then opened: by what it is, not by its name.
"""

import os
import stat
from pathlib import Path


class NotHere(Exception):
    """A file is gone, is no plain file, or does not lie below the folder."""


def real_path(folder: Path, base: Path) -> str:
    """Return where a folder lies if no link was put on the way from ``base`` to it.

    Args:
        folder: lies below ``base``, or is that.
        base: what no container can put something else in the place of; links to it are followed.
    """
    return os.path.normpath(os.path.join(os.path.realpath(base), folder.relative_to(base)))  # noqa: PTH118


def is_itself(real: str) -> bool:
    """Tell whether a path that ``real_path`` returned has no link in it."""
    return os.path.realpath(real) == real


def opened(path: str, real: str) -> int:
    """Return a descriptor of a plain file, to read from its first byte.

    Args:
        path: the file's.
        real: the folder that it must lie below, as ``real_path`` returns it.

    Raises:
        NotHere: it is gone, is no plain file, or lies elsewhere.
        OSError: it cannot be read.
    """
    try:
        held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotHere(path) from error
    try:
        itself = f"/proc/self/fd/{held}"
        lies_at = os.readlink(itself)  # noqa: PTH115 - no path of a file system
        if not lies_at.startswith(f"{real}/") or not stat.S_ISREG(os.fstat(held).st_mode):
            raise NotHere(path)
        return os.open(itself, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(held)


def text_of(path: Path, base: Path, most: int) -> str:
    """Return up to ``most`` bytes of a file as text; "" when it is none that can be read."""
    try:
        fd = opened(str(path), real_path(path.parent, base))
    except (NotHere, OSError):
        return ""
    try:
        return os.read(fd, most).decode("utf-8", "replace")
    finally:
        os.close(fd)
