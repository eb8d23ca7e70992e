"""What servers write into a node's folder for its agent and for each other, and beside it.

    nodes/<node_id>/stop      1: the node is to stop, 2: at once, 0: neither
                    notice    that the node is to be taken away, and when (``domain.notice``)
                    taken     1: it is being taken away, 2: it is, 0: neither
    removed/<node_id>         it was removed: no agent may work for it any more

A job that fills the disk must be stoppable. So the files in the folder are made when the node is,
and written in place.
"""

import contextlib
import os
from enum import IntEnum
from pathlib import Path
from typing import Final

from trainshed.domain.notice import SIZE, Notice

_BLANK: Final = b" " * (SIZE - 1) + b"\n"


class Taken(IntEnum):
    """How far the taking away of a node has come."""

    NOT = 0
    BEING = 1
    """It is to be: no agent begins any more; what runs may be there still."""
    GONE = 2


class Marks:
    """The marks of one node."""

    def __init__(self, folder: Path) -> None:
        """Read and write in ``folder``, the node's; ``removed`` is beside the folder it lies in."""
        self.folder = folder
        self._stop, self._notice, self._taken = (
            f"{folder}/{name}" for name in ("stop", "notice", "taken")
        )

    def lay(self) -> None:
        """Take the room of all marks that may be written; what stands there stays.

        Raises:
            OSError: there is none.
        """
        marks = {self._stop: b"0", self._taken: b"0", self._notice: _BLANK}
        for mark, blank in marks.items():
            _write(mark, blank, anew=False)

    def note_wish(self, *, at_once: bool) -> None:
        """Have the agent stop its container; a wish to do it at once is not taken back."""
        if at_once or _read(self._stop) in {b"", b"0"}:
            _write(self._stop, b"2" if at_once else b"1")

    def notice(self) -> Notice | None:
        """Return the word that the node is to be taken away; None while there is none."""
        found = _read(self._notice)
        return Notice.parse(found) if found.startswith(b"{") else None

    def note_notice(self, notice: Notice) -> None:
        """Give the node word, unless it has one that leaves it no more time."""
        if notice.replaces(self.notice()):
            _write(self._notice, notice.to_bytes())

    @property
    def taken(self) -> Taken:
        """How far the taking away has come."""
        found = _read(self._taken)
        return Taken(int(found)) if found else Taken.NOT

    def note_taken(self, how: Taken) -> None:
        """Note how far it has come; nothing is noted of a node whose folder is gone."""
        with contextlib.suppress(FileNotFoundError):
            _write(self._taken, str(how.value).encode())

    @property
    def ended(self) -> bool:
        """Whether no agent may begin: the node was taken away or removed, or is about to be.

        The order counts: a mark in the folder goes only when the tombstone stands.
        """
        return self.taken is not Taken.NOT or self.removed

    @property
    def removed(self) -> bool:
        """Whether the node was removed."""
        return tombstone(self.folder).exists()

    def note_removed(self) -> None:
        """Have it outlive a crash of the machine that the node was removed.

        Raises:
            OSError: the disk has no room for that.
        """
        if self.removed:
            return
        stone = tombstone(self.folder)
        stone.parent.mkdir(exist_ok=True, mode=0o700)
        stone.touch()
        above = os.open(stone.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)


def tombstone(folder: Path) -> Path:
    """Return the file that says, once it is there, that the node of a folder was removed."""
    return folder.parent.parent / "removed" / folder.name


def _read(path: str) -> bytes:
    """Return what a mark says; nothing where nobody has laid it. Thousands are read in a look."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    try:
        return os.read(descriptor, SIZE)
    finally:
        os.close(descriptor)


def _write(path: str, text: bytes, *, anew: bool = True) -> None:
    """Write a mark in place of another; ``anew`` is whether to replace one that stands there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if anew or not os.fstat(descriptor).st_size:
            os.pwrite(descriptor, text, 0)
    finally:
        os.close(descriptor)
