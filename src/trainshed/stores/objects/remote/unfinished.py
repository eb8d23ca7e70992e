"""Notes of multipart uploads under way, so that those of an agent that died can be given up.

A store keeps, and bills, the parts of an upload until somebody completes it or gives it up. Each
upload has a file in a folder of its node, from its beginning to its end:

    {"address": "s3://bucket/key", "id": "…"}
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from trainshed.stores.objects.addresses import Address, parse


class Unfinished:
    """The notes in one folder; nothing is noted when it is "". Safe to share between threads."""

    def __init__(self, folder: str) -> None:
        """Keep notes in ``folder``, which is made when it is missing."""
        self._folder = folder

    def begin(self, address: Address, upload: str) -> Callable[[], None]:
        """Note an upload; return what forgets it. What can't be noted goes on without."""
        if not self._folder:
            return lambda: None
        note = Path(self._folder, os.urandom(8).hex())
        with contextlib.suppress(OSError):
            note.parent.mkdir(exist_ok=True, mode=0o700)
            note.write_text(json.dumps({"address": str(address), "id": upload}))
        return lambda: _forget(note)

    def left(self) -> Iterator[tuple[Address, str, Callable[[], None]]]:
        """Yield the address and id of each noted upload, and what forgets it."""
        if not self._folder:
            return
        for note in sorted(Path(self._folder).glob("*")):
            try:
                told = json.loads(note.read_text())
                found = parse(told["address"]), told["id"]
            except (OSError, ValueError, KeyError, TypeError):  # its writer died over it
                _forget(note)
                continue
            yield *found, lambda note=note: _forget(note)  # type: ignore[misc]


def _forget(note: Path) -> None:
    with contextlib.suppress(OSError):
        note.unlink(missing_ok=True)
