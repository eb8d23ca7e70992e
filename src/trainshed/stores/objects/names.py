"""Names in byte order: keys, and prefixes that stand for all the keys below them.

A name is either a key, or (with a delimiter) the part of a key up to the first delimiter after the
asked prefix. A page holds the names that come after a given one. Keys below a prefix are passed
over with one look at the index, however many there are.
"""

import asyncio
from typing import Final

from trainshed.stores.objects.index import key_of, moment, stored
from trainshed.stores.objects.info import Listed, Page
from trainshed.stores.records.base import Database, Row

_ROWS: Final = 1000
"""Rows fetched at once when every row is a name."""
_ROWS_BESIDE_PREFIXES: Final = 64
"""Rows fetched at once when the rest of them may be passed over."""
_LOOKS: Final = 16
"""Looks at the index before others have their turn on the event loop."""


async def list_names(
    database: Database, bucket: str, *, prefix: str, delimiter: str, after: str, limit: int
) -> Page:
    """Return up to ``limit`` names that begin with ``prefix`` and come after ``after``."""
    search = _Search(stored(prefix), stored(delimiter), stored(after))
    looks = 0
    while len(search.names) <= limit and (bounds := search.bounds()) is not None:
        rows = await _rows(database, bucket, bounds, search.rows_wanted(limit))
        search.take(rows, limit + 1)
        if len(rows) < search.rows_wanted(limit):
            search.end()
        looks += 1
        if looks % _LOOKS == 0:
            await asyncio.sleep(0)
    return search.page(limit)


class _Search:
    """How far a listing came."""

    def __init__(self, prefix: bytes, delimiter: bytes, after: bytes) -> None:
        self._prefix = prefix
        self._delimiter = delimiter
        self._end = successor(prefix)
        self._start = max(prefix, after + b"\0" if after else b"")
        if (common := self._common(after)) is not None:
            self._skip(common)
        self._over = False
        self.names: list[bytes | Listed] = []

    def rows_wanted(self, limit: int) -> int:
        return _ROWS_BESIDE_PREFIXES if self._delimiter else min(limit + 1, _ROWS)

    def bounds(self) -> tuple[bytes, bytes | None] | None:
        """Return the first key to look at and the first not to; None when nothing is left."""
        if self._over or (self._end is not None and self._start >= self._end):
            return None
        return self._start, self._end

    def take(self, rows: list[Row], most: int) -> None:
        """Turn rows into names; rows below a prefix that was taken are passed over."""
        for row in rows:
            key = row[0]
            if key < self._start:
                continue
            if len(self.names) == most:
                return
            common = self._common(key)
            if common is None:
                _, size, etag, modified, storage_class = row
                listed = Listed(key_of(key), size, etag, moment(modified), storage_class)
                self.names.append(listed)
                self._start = key + b"\0"
            else:
                self.names.append(common)
                self._skip(common)
            if self._over:
                return

    def end(self) -> None:
        self._over = True

    def page(self, limit: int) -> Page:
        names = self.names[:limit]
        more = len(self.names) > limit and limit > 0
        last = names[-1] if names else b""
        return Page(
            objects=tuple(name for name in names if isinstance(name, Listed)),
            prefixes=tuple(key_of(name) for name in names if isinstance(name, bytes)),
            next=(last.key if isinstance(last, Listed) else key_of(last)) if more else None,
        )

    def _common(self, key: bytes) -> bytes | None:
        """Return the prefix that stands for ``key``, None when the key stands for itself."""
        if not self._delimiter or not key.startswith(self._prefix):
            return None
        at = key.find(self._delimiter, len(self._prefix))
        return None if at < 0 else key[: at + len(self._delimiter)]

    def _skip(self, common: bytes) -> None:
        following = successor(common)
        if following is None:
            self._over = True
        else:
            self._start = max(self._start, following)


def successor(prefix: bytes) -> bytes | None:
    """Return the first byte string after all those that begin with ``prefix``; None: no end."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


async def _rows(
    database: Database, bucket: str, bounds: tuple[bytes, bytes | None], count: int
) -> list[Row]:
    start, end = bounds
    columns = "SELECT key, size, etag, modified, storage_class FROM objects WHERE bucket = ?"
    if end is None:
        return await database.read(
            f"{columns} AND key >= ? ORDER BY key LIMIT ?",
            (bucket, start, count),
        )
    return await database.read(
        f"{columns} AND key >= ? AND key < ? ORDER BY key LIMIT ?",
        (bucket, start, end, count),
    )
