"""The names of a group's streams, known without reading its folder each time.

A group may have a hundred thousand streams, and every ``trainshed logs`` asks for those of one job.
So whoever makes a stream notes its name before, and whoever deletes one notes it afterwards, in a
file of the group's folder; everybody reads what was noted since the last look. The folder alone
tells what there is: a crash between the two leaves a name without a stream, which does no harm.
"""

import json
import os
import secrets
import threading
from bisect import bisect_left
from pathlib import Path
from typing import Final

from trainshed.stores.logs.folders import names_in
from trainshed.stores.logs.locking import locked

NOTES: Final = "+names"
_MADE: Final = "+"
_DELETED: Final = "-"
_MARK: Final = 16
"""Hex digits that begin a file of notes, and tell it from the one that was there before."""
_LONGEST: Final = 1024 * 1024
"""Bytes of notes, after which a file is begun anew and everybody looks at the folder once."""


def note(folder: Path, name: str, *, made: bool) -> None:
    """Note a name that is about to come, or has gone; the folder's lock is held."""
    # An empty line ends what a crash cut short.
    with _notes(folder).open("a") as file:
        file.write(f"\n{_MADE if made else _DELETED}{json.dumps(name)}\n")


def _notes(folder: Path) -> Path:
    """Return the file of notes, begun anew where that is due; the folder's lock is held."""
    path = folder / NOTES
    size = path.stat().st_size if path.exists() else 0
    if not _MARK < size < _LONGEST:
        fresh = folder / f"{NOTES}.new"
        fresh.write_text(f"{secrets.token_hex(_MARK // 2)}\n")
        fresh.rename(path)
    return path


class Listing:
    """The names in one group's folder. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Know nothing yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._names: list[str] = []
        self._mark = b""
        self._read = 0
        """Bytes of the notes that are known."""

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin with ``prefix``, sorted.

        Raises:
            FileNotFoundError: there is no such group.
        """
        with self._lock:
            if not self._caught_up():
                self._look()
            first = end = bisect_left(self._names, prefix)
            while end < len(self._names) and self._names[end].startswith(prefix):
                end += 1
            return self._names[first:end]

    def _caught_up(self) -> bool:
        """Read what was noted since; return False when that can't be told from the notes."""
        try:
            descriptor = os.open(self._folder / NOTES, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if not self._mark or os.pread(descriptor, _MARK, 0) != self._mark:
                return False
            size = os.fstat(descriptor).st_size
            found = os.pread(descriptor, max(size - self._read, 0), self._read)
        finally:
            os.close(descriptor)
        whole = found.rfind(b"\n") + 1
        self._read += whole
        for line in found[:whole].decode("ascii", "replace").splitlines():
            self._apply(line)
        return True

    def _apply(self, line: str) -> None:
        try:
            name = json.loads(line[1:])
        except ValueError:
            return  # an empty line, or half a one
        at = bisect_left(self._names, name)
        known = self._names[at : at + 1] == [name]
        if line[0] == _MADE and not known:
            self._names.insert(at, name)
        elif line[0] == _DELETED and known:
            del self._names[at]

    def _look(self) -> None:
        """Read the folder, while nobody changes it."""
        with locked(self._folder):
            self._names = names_in(self._folder)
            noted = _notes(self._folder).read_bytes()
            self._mark, self._read = noted[:_MARK], len(noted)
