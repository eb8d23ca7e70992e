"""Which folder a group or a stream of any name has, and which name a folder stands for.

Every character that means something to a file system is percent-encoded, the dot included, so no
name leads out of its folder. A name too long for one file name is cut and told apart by a hash; the
label in the folder then tells the name.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from trainshed.domain.errors import StoreError

LABEL: Final = "label.json"
"""In each folder: its full ``name``, and when it was ``created`` (milliseconds since the epoch)."""
OURS: Final = "+"
"""Begins the folder names that stand for nothing yet or no more."""

_LONGEST: Final = 200  # of the 255 bytes that file systems allow
_KEPT: Final = 150


def folder_name(name: str) -> str:
    """Return the one folder name of ``name``.

    Raises:
        StoreError: the name is empty.
    """
    if not name:
        raise StoreError("a log group or stream needs a name of at least one character")
    text = quote(name, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_KEPT]}+{digest[:40]}"


def names_in(parent: Path) -> list[str]:
    """Return the names that the folders in ``parent`` stand for, sorted."""
    return sorted(_name_of(entry) for entry in parent.iterdir() if _stands_for_a_name(entry.name))


def created(folder: Path) -> int:
    """Return when the folder's group or stream was created, milliseconds since the epoch."""
    return int(json.loads((folder / LABEL).read_bytes())["created"])


def write_label(folder: Path, name: str, ms: int) -> None:
    """Label a folder that nobody can see yet; the label is on disk when this returns."""
    with (folder / LABEL).open("w") as file:
        file.write(json.dumps({"name": name, "created": ms}))
        file.flush()
        os.fsync(file.fileno())


def _stands_for_a_name(entry: str) -> bool:
    return not entry.startswith(OURS) and entry != LABEL


def _name_of(folder: Path) -> str:
    if "+" in folder.name:
        return str(json.loads((folder / LABEL).read_bytes())["name"])
    return unquote(folder.name, errors="surrogatepass")
