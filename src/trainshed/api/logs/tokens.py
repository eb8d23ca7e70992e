"""Tokens that say where the next page begins: a kind and parts, such as ``f/4711``.

They hold all there is to know, so they stay valid for ever, whichever server answers.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from trainshed.api.logs.rejections import invalid

_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def token(kind: str, *parts: str | int) -> str:
    """Return the token of these parts."""
    return "/".join([kind, *(quote(str(part), safe="") for part in parts)])


def parts_of(text: str, kind: str, count: int) -> list[str]:
    """Return the parts of a token.

    Raises:
        RequestRejected: it is no token of that kind.
    """
    found, *parts = text.split("/")
    if found != kind or len(parts) != count:
        raise invalid("The specified nextToken is invalid.")
    return [unquote(part) for part in parts]


def number(part: str) -> int:
    """Return a token's part as a number.

    Raises:
        RequestRejected: it is none.
    """
    if not _NUMBER.fullmatch(part):
        raise invalid("The specified nextToken is invalid.")
    return int(part)
