r"""The model's regular expressions, which are Java's, made to work in Python.

Java matches a constraint against the whole value, and its ``\d`` and ``\w`` are ASCII. What
differs in spelling is rewritten: classes such as ``\p{L}``, surrogate pairs, a hyphen after a
class, a repeated anchor, ``\z``.

One constraint is wider here than at the service: where it takes ``s3://…``, ``file:///…``,
``gs://…`` and ``az://…`` pass too. Which folders and stores a job may use is a setting, so whoever
reads the address decides.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import Final

_POSIX: Final = {
    "ASCII": r"\x00-\x7f",
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Graph": r"\x21-\x7e",
    "Lower": "a-z",
    "Print": r"\x20-\x7e",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r"\x20\t\n\x0b\f\r",
    "Upper": "A-Z",
}
_PIECES: Final = re.compile(
    r"""
      \\p\{(?P<kind>\w+)\}
    | \\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
    | (?P<end>\\z)
    | (?P<anchor>\$)(?:\{[\d,]+\}|[*+?])
    | (?P<class>\\[dDsSwW])-(?=[^\]])
    | (?P<other>\\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ADDRESSES: Final = re.compile(r"\^?\((?:https\|)?s3\)://")
"""How the patterns begin that admit addresses of objects."""
_OURS: Final = ("file:///", "gs://", "az://")
"""How addresses begin that are no S3's."""
_REPEATED: Final = re.compile(r"\((?:\?:)?(\[([^]\\^]+)\]\*\[([^]\\^]+)\])\)(?:\{0,\d+\}|\*)\??")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test for whole values; the pattern is compiled when it is first used.

    A pattern that cannot be compiled holds nothing back: refusing what the service would take
    is worse than the reverse.
    """
    match: Callable[[str], object] | None = None
    wider = _ADDRESSES.match(pattern) is not None

    def matches(value: str) -> bool:
        nonlocal match
        if match is None:
            compiled = compile_java(pattern)
            match = compiled.fullmatch if compiled is not None else _anything
        return match(value) is not None or (wider and value.startswith(_OURS))

    return matches


def _anything(_: str) -> bool:
    return True


@cache
def compile_java(pattern: str) -> re.Pattern[str] | None:
    """Return the pattern as Python has it, or None when Python cannot have it."""
    try:
        return re.compile(to_python(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError):
        return None


def to_python(pattern: str) -> str:
    """Return the same expression in Python's spelling."""
    return "".join(_rewritten(_REPEATED.sub(_once, pattern)))


def _once(found: re.Match[str]) -> str:
    """Return ``([ab]*[a])?`` for ``([ab]*[a]){0,9}``: the same words, without trying for years.

    A run of the inner group is itself such a group when the last class is part of the first.
    """
    once, many, last = found.groups()
    return f"({once})?" if last in many else found[0]


def _rewritten(pattern: str) -> Iterator[str]:
    depth = 0
    for piece in _PIECES.finditer(pattern):
        text = piece[0]
        if kind := piece["kind"]:
            inside = _POSIX.get(kind) or _category(kind)
            yield inside if depth else f"[{inside}]"
        elif piece["high"]:
            yield chr(_astral(int(piece["high"], 16), int(piece["low"], 16)))
        elif piece["end"]:
            yield r"\Z"
        elif piece["anchor"]:
            yield text if depth else "$"
        elif piece["class"]:
            yield piece["class"] + r"\-" if depth else text
        else:
            if text == "[":
                depth += 1
                text = r"\[" if depth > 1 else text
            elif text == "]" and depth:
                depth -= 1
            yield text


def _astral(high: int, low: int) -> int:
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)


@cache
def _category(name: str) -> str:
    """Return the ranges of a Unicode general category, ``L`` or ``Lu``, for use in a class."""
    ranges = [
        span
        for category, spans in _categories().items()
        if category.startswith(name)
        for span in spans
    ]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in sorted(ranges))


@cache
def _categories() -> dict[str, list[tuple[int, int]]]:
    """Return all categories' ranges; 25 ms, so made only when a pattern asks for one.

    Planes 4 to 13 are unassigned and 15 to 16 private: nobody asks for those.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for first, end in ((0, 0x40000), (0xE0000, 0xF0000)):
        point = first
        for category, run in groupby(map(unicodedata.category, map(chr, range(first, end)))):
            size = sum(1 for _ in run)
            found.setdefault(category, []).append((point, point + size - 1))
            point += size
    return found
