"""One writer at a time for a folder, whichever thread, server or machine it is in.

The kernel lets go of a lock when its holder dies, so nothing has to be cleared up. On NFS flock(2)
is a lock that the file server keeps, and taking it brings the newest state of the locked file.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trainshed.domain.errors import StoreError

LOCK: Final = "+lock"
"""The file in each folder that is locked."""
_PATIENCE_S: Final = 0.02
_WAIT_S: Final = 0.0005


class FolderBusy(StoreError):
    """Another writes there now."""


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a folder's lock; yield the descriptor of the locked file, open for reading and writing.

    Waits for a moment only: a server that hangs must not take all threads of the others with it.

    Raises:
        FileNotFoundError: there is no such folder, or it was removed meanwhile.
        FolderBusy: another holds it for longer; nothing has been done.
    """
    end = time.monotonic() + _PATIENCE_S
    while (descriptor := _taken(folder / LOCK, end)) is None:
        pass
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stands(folder: Path, descriptor: int) -> bool:
    """Tell whether a lock is still that of the folder, which was not removed meanwhile."""
    try:
        found = (folder / LOCK).stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _taken(path: Path, end: float) -> int | None:
    """Return the locked file; None when it was removed while it was waited for."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _lock(descriptor):
            if time.monotonic() > end:
                raise FolderBusy(f"{path.parent}: another server has been writing there for long")
            time.sleep(_WAIT_S)
        if stands(path.parent, descriptor):
            held, descriptor = descriptor, -1
            return held
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
