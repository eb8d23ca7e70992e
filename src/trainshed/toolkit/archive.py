"""Writes the toolkit as one file, to be laid into images that have no ``train`` of their own.

Started by ``python3 -I -S toolkit.zip train`` with any Python from 3.9: it holds source only, and
nothing outside the standard library.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent.parent
_ROOMS: Final = ("contract", "toolkit")
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
"""The same sources make the same bytes."""


def build(path: Path) -> None:
    """Write the zip to ``path``, at once or not at all."""
    files = [_PACKAGE / "__init__.py"]
    for room in _ROOMS:
        files += sorted((_PACKAGE / room).glob("*.py"))
    unfinished = path.with_name(path.name + ".part")
    # Stored, not packed: it is read at every start.
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            name = f"trainshed/{file.relative_to(_PACKAGE).as_posix()}"
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), file.read_bytes())
        start = (_PACKAGE / "toolkit" / "__main__.py").read_bytes()
        archive.writestr(zipfile.ZipInfo("__main__.py", _MOMENT), start)
    unfinished.replace(path)
