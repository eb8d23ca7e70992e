"""What commands print: tables, JSON, times, sizes, troubles. Colour only where a person reads."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TextIO

_MARKS: Final = {
    "Completed": ("✓", "+", "32"),
    "Failed": ("✗", "x", "31"),
    "Stopped": ("■", "#", "33"),
    "Stopping": ("■", "#", "33"),
    "MaxRuntimeExceeded": ("■", "#", "33"),
    "InProgress": ("●", "*", "36"),
}
"""Status to sign, sign without Unicode, ANSI colour."""
_TIMES: Final = ("Time", "Timestamp", "Since")


class Format(StrEnum):
    """How objects are shown."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    JSONL = "jsonl"
    NAME = "name"


def fancy(stream: TextIO) -> bool:
    """Tell whether colours and moving lines may be used."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def unicode_out(stream: TextIO) -> bool:
    """Tell whether signs beyond ASCII reach the reader."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def status(name: str, stream: TextIO | None = None) -> str:
    """Return a status as sign and word; the word is always there, colour never alone."""
    stream = stream or sys.stdout
    sign, plain, colour = _MARKS.get(name, ("●", "*", "36"))
    text = f"{sign if unicode_out(stream) else plain} {name}"
    return f"\033[{colour}m{text}\033[0m" if fancy(stream) else text


def strong(text: str) -> str:
    """Return a heading for stdout; bold in a terminal."""
    return f"\033[1m{text}\033[0m" if fancy(sys.stdout) else text


def trouble(what: str, why: str, remedy: str) -> None:
    """Say on stderr what is not so, why, and what to do about it: one line each."""
    sys.stdout.flush()
    red, plain = ("\033[31m", "\033[0m") if fancy(sys.stderr) else ("", "")
    why = " ".join(why.split())
    print(f"{red}error:{plain} {what}\n  why: {why}\n  do:  {remedy}", file=sys.stderr)


def note(text: str) -> None:
    """Say something on stderr that is not the command's result."""
    print(text, file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return aligned columns; colours do not count as width."""
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(_width(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def dumps(value: object, *, indent: int | None = 2) -> str:
    """Return JSON; moments are ISO 8601 in UTC, as the AWS command line shows them."""
    return json.dumps(dated(value), indent=indent, ensure_ascii=False)


def dated(value: Any, key: str = "") -> Any:  # noqa: ANN401
    """Return an answer of the API with its moments (epoch seconds) as ISO 8601 in UTC."""
    if isinstance(value, Mapping):
        return {k: dated(v, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [dated(item) for item in value]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and key.endswith(_TIMES):
        return moment(float(value))
    return value


def moment(epoch: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")


def span(seconds: float) -> str:
    """Return a duration as people say it: ``0.2s``, ``1m05s``, ``3h02m``, ``2d04h``."""
    if seconds < 59.95:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    for unit, below, size in (("m", "s", 60), ("h", "m", 3600), ("d", "h", 86400)):
        if whole < size * {"m": 60, "h": 24, "d": 10**9}[unit]:
            rest = whole % size // {"m": 1, "h": 60, "d": 3600}[unit]
            return f"{whole // size}{unit}{rest:02d}{below}"
    return f"{whole}s"


def ago(epoch: float, now: datetime) -> str:
    """Return how long ago a moment was, in one unit."""
    seconds = max(0, int(now.timestamp() - epoch))
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size}{unit} ago"
    return f"{seconds // 86400}d ago"


def plural(count: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _width(text: str) -> int:
    if "\033" in text:
        text = text.split("m", 1)[1].removesuffix("\033[0m")
    return len(text)
