"""Writes the toolkit as one file, to be laid into images that have no ``train`` of their own.

With a first line that names the image's Python it is the program ``train`` itself; without, it is
started by ``python3 -I -S toolkit.zip train``; or it looks for a Python itself. Any from 3.8 on
will do: it holds source only, and nothing outside the standard library.

Also a program, for those who may not import the toolkit::

    python -I archive.py OUT ["#!/usr/bin/python3 -IS" | any-python]
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_ROOMS: Final = ("contract", "toolkit")
ANY_PYTHON: Final = "any-python"
"""Instead of a first line."""
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
"""The same sources make the same bytes."""
_FIND_PYTHON: Final = """\
#!/bin/sh
for python in python3 python; do
  command -v "$python" >/dev/null 2>&1 && exec "$python" -IS "$0" "$@"
done
echo "trainshed: neither python3 nor python is on this image's PATH ($PATH), and running training \
scripts takes one of them" >&2
exit 127
"""
"""What stands before the zip where nobody knows the image's Python: a program for its shell, which
has that Python run this same file."""
_LONGEST_FIRST_LINE: Final = 127
"""What every Linux reads of a program's first line."""


def build(path: Path, shebang: str = "") -> None:
    """Write the zip to ``path``, at once or not at all.

    Args:
        path: the file; it is executable.
        shebang: its first line, such as ``#!/usr/bin/python3 -IS``; "" for none; ``any-python`` for
            a program that looks for a Python itself.

    Raises:
        ValueError: the first line is none that every system understands.
    """
    line = shebang.rstrip("\n")
    anywhere = line == ANY_PYTHON
    if (line and not anywhere) and (
        not line.startswith("#!/") or "\n" in line or len(line.encode()) > _LONGEST_FIRST_LINE
    ):
        raise ValueError(
            f"{shebang!r} is no first line of a program: '#!', an absolute path and one option, "
            f"at most {_LONGEST_FIRST_LINE} bytes"
        )
    files = [_PACKAGE / "__init__.py"]
    for room in _ROOMS:
        files += sorted((_PACKAGE / room).rglob("*.py"))
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as raw:
        start = _FIND_PYTHON if anywhere else f"{line}\n" if line else ""
        raw.write(start.encode())
        # Stored, not packed: it is read at every start.
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                name = f"trainshed/{file.relative_to(_PACKAGE).as_posix()}"
                archive.writestr(zipfile.ZipInfo(name, _MOMENT), file.read_bytes())
            main = (_PACKAGE / "toolkit" / "__main__.py").read_bytes()
            archive.writestr(zipfile.ZipInfo("__main__.py", _MOMENT), main)
    unfinished.chmod(0o755)
    unfinished.replace(path)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: archive.py OUT [FIRST-LINE]")
    build(Path(sys.argv[1]), *sys.argv[2:])
