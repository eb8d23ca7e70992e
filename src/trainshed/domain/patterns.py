"""Which of several name patterns counts for a name: the one that says most of it.

Their order means little, since tables come out of files, and what writes these may sort them: Helm
lays ``*`` before everything else.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, TypeVar

_WILD: Final = re.compile(r"[*?]")

V = TypeVar("V")


def closest(name: str, patterns: Iterable[str]) -> str | None:
    """Return the pattern (``*`` and ``?``) that fits with most characters of its own, or None.

    Of equals the first counts.
    """
    fitting = (each for each in patterns if fnmatchcase(name, each))
    return max(fitting, key=lambda each: len(_WILD.sub("", each)), default=None)


def value(name: str, table: Iterable[tuple[str, V]]) -> V | None:
    """Return what the closest pattern of a table of (pattern, value) has for a name, or None."""
    told: dict[str, V] = {}
    for pattern, each in table:
        told.setdefault(pattern, each)
    found = closest(name, told)
    return None if found is None else told[found]
