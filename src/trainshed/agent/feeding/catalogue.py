"""What lies in a FastFile channel, on disk: a folder's names and what a list told of each object.

A channel may have millions of objects, and a job that reads them one by one must not pay for all
in memory. The folders are derived from the keys; numbers are given in key order.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from trainshed.agent.channels.items import BadInput, Item

ROOT: Final = 1
"""The number of the channel's own folder."""
_BATCH: Final = 2000
_PAGE: Final = 256
"""Names that are fetched at once; the kernel asks for about a hundred."""
_KNOWN: Final = 4096
"""Folders whose numbers are kept in memory."""
_TABLE: Final = """
CREATE TABLE found (
  number INTEGER PRIMARY KEY,
  folder INTEGER NOT NULL,
  name BLOB NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified REAL NOT NULL
);
CREATE UNIQUE INDEX by_name ON found (folder, name);
"""
_CHILDREN: Final = "CREATE INDEX by_folder ON found (folder)"

_Row = tuple[int, int, bytes, int, str, float]


class Found(NamedTuple):
    """A file or folder of the channel."""

    number: int
    """From 2, in key order; ``ROOT`` is the channel's folder."""
    size: int
    """Bytes; -1 for a folder."""
    etag: str
    modified: float
    """Seconds since the epoch."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.size < 0


class Catalogue:
    """Files and folders by path. Filled by one thread, then read by any."""

    def __init__(self, path: Path) -> None:
        """Keep them in a file at ``path``, which is made anew.

        Raises:
            OSError: it can't be made.
        """
        path.unlink(missing_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._folders: dict[str, int] = {"": ROOT}
        self._top = Found(ROOT, -1, "", 0.0)
        try:
            self._rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # Made anew after any crash, so nothing need be safe on disk.
            self._rows.execute("PRAGMA journal_mode = OFF")
            self._rows.execute("PRAGMA synchronous = OFF")
            self._rows.executescript(_TABLE)
        except sqlite3.Error as error:
            raise OSError(f"{path} cannot be made: {error}") from error

    def fill(self, items: Iterable[Item]) -> None:
        """Take all objects, in key order.

        Raises:
            BadInput: an object has the name of a folder that others lie in.
            OSError: the disk has no room for them.
            What ``items`` raises.
        """
        try:
            self._rows.execute("BEGIN")
            batch: list[_Row] = []
            for row in _rows(items):
                batch.append(row)
                if len(batch) == _BATCH:
                    self._add(batch)
                    batch.clear()
            self._add(batch)
            self._rows.execute(_CHILDREN)
            self._rows.execute("COMMIT")
            newest = self._rows.execute("SELECT max(modified) FROM found").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise OSError(f"{self._path} cannot be written: {error}") from error
        self._top = Found(ROOT, -1, "", newest or 0.0)

    def find(self, path: str) -> Found | None:
        """Return what lies at a path below the channel's folder, "" for that; None for nothing."""
        if not path:
            return self._top
        above, _, name = path.rpartition("/")
        folder = self._number(above)
        return None if folder is None else self._child(folder, name)

    def children(self, folder: int, after: int) -> Iterator[tuple[int, str, bool]]:
        """Yield (number, name, whether it is a folder) of a folder, from behind number ``after``.

        Fetches a page at a time, so one may stop anywhere and go on later.
        """
        while True:
            with self._lock:
                page = self._rows.execute(
                    "SELECT number, name, size < 0 FROM found WHERE folder = ? AND number > ? "
                    "ORDER BY number LIMIT ?",
                    (folder, after, _PAGE),
                ).fetchall()
            for number, name, is_folder in page:
                yield number, name.decode(errors="surrogateescape"), bool(is_folder)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def count(self) -> tuple[int, int]:
        """Return how many files and folders there are, and how many bytes the files have."""
        with self._lock:
            row = self._rows.execute("SELECT count(*), total(max(size, 0)) FROM found").fetchone()
        return int(row[0]), int(row[1])

    def close(self) -> None:
        """Let go of the file, and delete it."""
        with self._lock:
            self._rows.close()
        self._path.unlink(missing_ok=True)

    def _number(self, path: str) -> int | None:
        """Return a folder's number."""
        if (known := self._folders.get(path)) is not None:
            return known
        found = self.find(path)
        if found is None or not found.is_folder:
            return None
        if len(self._folders) < _KNOWN:
            self._folders[path] = found.number
        return found.number

    def _child(self, folder: int, name: str) -> Found | None:
        with self._lock:
            row = self._rows.execute(
                "SELECT number, size, etag, modified FROM found WHERE folder = ? AND name = ?",
                (folder, name.encode(errors="surrogateescape")),
            ).fetchone()
        return None if row is None else Found(*row)

    def _add(self, batch: Sequence[_Row]) -> None:
        """Insert rows; one whose name is taken is a file and a folder at once."""
        for row in batch:
            try:
                self._rows.execute("INSERT INTO found VALUES (?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as clash:
                name = row[2].decode(errors="replace")
                raise BadInput(
                    "ClientError: Data download failed:the name "
                    f'"{name}" is both an object of the channel and a folder that others lie in'
                ) from clash


def _rows(items: Iterable[Item]) -> Iterator[_Row]:
    """Yield a row for each object, and one for each folder before the first that lies in it."""
    chain: list[tuple[str, int]] = []
    number = ROOT
    for item in items:
        *folders, name = item.path.split("/")
        kept = 0
        while kept < min(len(chain), len(folders)) and chain[kept][0] == folders[kept]:
            kept += 1
        del chain[kept:]
        for each in folders[kept:]:
            number += 1
            within = chain[-1][1] if chain else ROOT
            yield number, within, each.encode(errors="surrogateescape"), -1, "", item.modified
            chain.append((each, number))
        if name:
            number += 1
            within = chain[-1][1] if chain else ROOT
            raw = name.encode(errors="surrogateescape")
            yield number, within, raw, item.size, item.etag, item.modified
