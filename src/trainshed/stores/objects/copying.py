"""Copies between open files inside the kernel, which shares blocks where the file system can."""

import errno
import os
from typing import Final

_MOST: Final = 64 << 20
"""Bytes of one call, so that who copies may look up in between."""
_PIECE: Final = 1 << 20
_NOT_HERE: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
"""What ``copy_file_range`` says where it cannot copy between these two files."""


def copied_some(source: int, target: int) -> int:
    """Copy the next bytes from one open file to another; return how many, 0 at the end.

    Raises:
        OSError: the target could not be written, or the source not be read.
    """
    try:
        return os.copy_file_range(source, target, _MOST)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    try:
        return os.sendfile(target, source, None, _MOST)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a pipe, or a file system of which nothing can be mapped
            raise
    data = memoryview(os.read(source, _PIECE))
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]
    return len(data)
