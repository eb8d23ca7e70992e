"""Files for their owner's eyes only, whole or not there."""

import os
import secrets
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file for the owner's eyes only; it holds the old text or the new, whole.

    Flushed before it gets its name: keys that a power cut emptied would lock everybody out.
    """
    _written_at(path.with_name(f"{path.name}.new"), text).replace(path)


def make_private(path: Path, text: str) -> None:
    """Write such a file unless it is there; of several who do so at once, one does."""
    temporary = _written_at(path.with_name(f"{path.name}.{secrets.token_hex(4)}.new"), text)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        temporary.unlink()
    except OSError:  # a file system without such links
        temporary.replace(path)
    else:
        temporary.unlink()


def _written_at(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path
