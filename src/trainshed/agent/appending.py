"""Appends to a file whole pieces only, also where the disk fills up in the middle of one."""

import os


def append(fd: int, data: bytes, size: int) -> int:
    """Append ``data`` to a file that is ``size`` bytes long; return its new size.

    Raises:
        OSError: there was no room; the file is as it was before.
    """
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError:
        os.ftruncate(fd, size)
        raise
    return size + len(data)
