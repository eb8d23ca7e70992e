"""Sizes as people write and read them: ``64m``, ``4g``, ``4GiB``; ``12.3 MB``."""

import re
from typing import Final

_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MOST: Final = 1 << 62
"""Bytes; more than any machine has, and less than a record can hold."""
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def parse(text: str) -> int:
    """Return the bytes that a text means; ``k`` is 1024, as for Docker.

    Raises:
        ValueError: it is no size, none above 0, or none of this world.
    """
    found = _SIZE.fullmatch(text.strip())
    size = float(found[1]) * _FACTORS[found[2].lower()] if found else 0.0
    if not 1 <= size < _MOST:
        raise ValueError(f"{text!r} is no size; write one such as 512m or 4g")
    return int(size)


def written(count: int) -> str:
    """Return bytes as people read them, in decimal units: ``12.3 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def in_binary(count: int) -> str:
    """Return bytes beside a limit that ``parse`` has read, in its units: ``12.3 GiB``."""
    value, units = float(max(0, count)), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.4g} {units[0]}"


def files(count: int, size: int) -> str:
    """Return how many files, of how many bytes in all: ``3 files (12.3 MB)``."""
    return f"{count} {'file' if count == 1 else 'files'} ({written(size)})"
