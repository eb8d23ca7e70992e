"""Files of objects that no row names, and rows whose file is not there.

The first are what a crash left between a file and its row, and can go. The second should never be:
such an object is lost. It is told and never removed; the disk may only not be mounted.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from trainshed.domain.garbage import Item
from trainshed.stores.objects.index import key_of, named_files
from trainshed.stores.records.base import Database

_YOUNG: Final = timedelta(hours=1)
"""How old a file must be: another server may just be writing it, and name it in a moment."""
_INCOMING: Final = "incoming"


class ObjectLeftovers:
    """What the folder of one store holds."""

    name = "object store"

    def __init__(
        self,
        database: Database,
        folder: Path,
        clock: Callable[[], datetime],
        in_hand: Callable[[], Collection[str]],
    ) -> None:
        """Compare ``folder`` with ``database``; ``in_hand`` are files that this process uses."""
        self._database = database
        self._folder = folder
        self._clock = clock
        self._in_hand = in_hand

    async def find(self) -> list[Item]:
        """Return both kinds; see ``Finder``."""
        before = (self._clock() - _YOUNG).timestamp()
        found = []
        for start in (*(f"{number:02x}" for number in range(256)), _INCOMING):
            folder = self._folder / start
            # Rows before the listing tell what must be there, rows after it what may stay.
            due = set() if start == _INCOMING else await named_files(self._database, start)
            there = await asyncio.to_thread(_listed, folder)
            named = set() if start == _INCOMING else await named_files(self._database, start)
            kept = named | set(self._in_hand())
            found += [
                Item(
                    kind="object file",
                    name=str(folder / name),
                    reason="no object and no upload names it",
                    size=size,
                )
                for name, (size, modified) in sorted(there.items())
                if name not in kept and modified < before
            ]
            for file in sorted((due & named) - there.keys()):
                found += await self._lost(file)
        return found

    async def remove(self, item: Item) -> None:
        """Remove a file."""
        await asyncio.to_thread(Path(item.name).unlink, missing_ok=True)

    async def _lost(self, file: str) -> list[Item]:
        sql = (
            "SELECT bucket, key FROM objects WHERE file = ? UNION "
            "SELECT bucket, key FROM uploads JOIN parts ON upload = id WHERE file = ?"
        )
        rows = await self._database.read(sql, (file, file))
        reason = f"its bytes are lost: {self._folder / file[:2] / file} is not there"
        return [
            Item(kind="object", name=f"s3://{bucket}/{key_of(key)}", reason=reason, lost=True)
            for bucket, key in rows
        ]


def _listed(folder: Path) -> dict[str, tuple[int, float]]:
    """Return size and time of change of all files in a folder."""
    found = {}
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of names, not of paths
    except FileNotFoundError:
        return {}
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # it went just now
            about = (folder / name).stat()
            found[name] = about.st_size, about.st_mtime
    return found
