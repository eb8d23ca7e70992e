"""Copies objects that lie on this machine: the server's own files, and ``file://``."""

import contextlib
import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainshed.stores.objects.copying import copied_some
from trainshed.stores.objects.remote.partial import partial

_CLONE: Final = 0x40049409
"""FICLONE, linux/fs.h."""


class Copier:
    """Copies files inside the kernel, sharing their blocks where the file system can."""

    def __init__(self) -> None:
        self._clones = True

    def copy(self, source: int, target: Path, check: Callable[[], None]) -> None:
        """Copy an open file to ``target``, which appears whole.

        ``check`` is called in between, and ends the copy by raising.

        Raises:
            OSError: ``target`` could not be written.
        """
        path = partial(target)
        with contextlib.ExitStack() as undo:
            undo.callback(path.unlink, missing_ok=True)
            with path.open("wb", buffering=0) as sink:
                if not self._cloned(source, sink.fileno()):
                    while copied_some(source, sink.fileno()):
                        check()
            path.replace(target)
            undo.pop_all()

    def _cloned(self, source: int, sink: int) -> bool:
        if not self._clones:
            return False
        try:
            fcntl.ioctl(sink, _CLONE, source)
        except OSError:
            self._clones = False
            return False
        return True
