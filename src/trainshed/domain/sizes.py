"""Sizes as people write them: ``64m``, ``4g``, ``4GiB``, or a plain number of bytes."""

import re
from typing import Final

_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def parse(text: str) -> int:
    """Return the bytes that a text means; ``k`` is 1024, as for Docker.

    Raises:
        ValueError: it is no size, or none above 0.
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _FACTORS[found[2].lower()]) if found else 0
    if size <= 0:
        raise ValueError(f"{text!r} is no size; write one such as 512m or 4g")
    return size


def spoken(size: int) -> str:
    """Return a size for people, such as ``3.5 GiB``."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} TiB"
