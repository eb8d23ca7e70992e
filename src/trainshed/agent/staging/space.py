"""Room on the disk that channels are brought to, and what is said when there is none."""

import errno
import fcntl
import os
import tempfile
from pathlib import Path
from typing import Final

from trainshed.agent.channels.items import BadInput
from trainshed.domain import sizes

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
FICLONE: Final = 0x40049409
"""linux/fs.h"""


def is_full(error: OSError) -> bool:
    """Tell whether a write failed because the disk, or somebody's share of it, is full."""
    return error.errno in _FULL


def free(folder: Path) -> int:
    """Return the bytes that may still be written below ``folder``."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def clones(folder: Path) -> bool:
    """Tell whether files below ``folder`` can share their bytes, so that a copy takes no room."""
    try:
        with (
            tempfile.TemporaryFile(dir=folder.parent) as source,
            tempfile.TemporaryFile(dir=folder.parent) as target,
        ):
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
    except OSError:
        return False
    return True


def no_room(channel: str, folder: Path, needed: int) -> BadInput:
    """Return the reason for a channel that the disk has no room for.

    Args:
        channel: its name.
        folder: where it was to lie.
        needed: bytes that it is known to take at least; 0 when nothing is known.
    """
    disk = os.statvfs(folder if folder.exists() else folder.parent)
    left = disk.f_bavail * disk.f_frsize
    takes = f"takes at least {sizes.written(needed)}" if needed else "does not fit"
    has = f"has {sizes.written(left)} left"
    if disk.f_files and not disk.f_favail:
        has = "can hold no more files"
    return BadInput(
        f'ClientError: Data download failed:No space left on device: the channel "{channel}" '
        f"{takes}, but the disk of {folder} {has}; make room there, or have the server's data "
        "directory on a larger disk"
    )
