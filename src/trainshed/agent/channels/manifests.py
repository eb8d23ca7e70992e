"""Reads manifests: ``[{"prefix": "s3://bucket/folder/"}, "name", "name", …]``.

A manifest may have millions of names, so it is parsed as it streams by, and never lies in memory.

Source: Amazon SageMaker developer guide, API reference of S3DataSource.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import ijson  # type: ignore[import-untyped]

_VALUES = {"null": "null", "boolean": "a boolean", "number": "a number"}


class BadManifest(Exception):
    """What is wrong with a manifest, as the end of a sentence that begins with its address."""


def read(pieces: Iterable[memoryview]) -> Iterator[str]:
    """Yield a manifest's prefix, then its names, one by one, as they stand there.

    Raises:
        BadManifest: it is no JSON, has another form, or names nothing.
    """
    events = _events(pieces)
    event, value = next(events)
    if event != "start_array":
        raise BadManifest(f"is {_kind(event)} where a JSON array is expected")
    event, value = next(events)
    if event == "end_array":
        raise BadManifest("is empty")
    if event != "start_map":
        raise BadManifest(f'begins with {_kind(event)} where {{"prefix": "s3://…"}} is expected')
    yield _prefix(events)
    number = 1
    for event, value in events:
        if event == "end_array":
            break
        number += 1
        if event != "string" or not value:
            found = "an empty name" if event == "string" else _kind(event)
            raise BadManifest(f"has {found} as element {number}, where a name should be")
        yield value
    for _ in events:  # what follows is an error, or nothing
        pass
    if number == 1:
        raise BadManifest("has a prefix, but names no object")


def _prefix(events: Iterator[tuple[str, Any]]) -> str:
    """Return ``prefix`` of the object whose start was just seen; take all of the object."""
    found: str | None = None
    key, depth = "", 1
    while depth:
        event, value = next(events)
        if event == "map_key":
            key = value if depth == 1 else key
        elif event in {"start_map", "start_array"}:
            depth += 1
        elif event in {"end_map", "end_array"}:
            depth -= 1
        elif depth == 1 and key == "prefix" and event == "string":
            found = value
    if not found:
        raise BadManifest('does not begin with {"prefix": "s3://…"}')
    return found


def _events(pieces: Iterable[memoryview]) -> Iterator[tuple[str, Any]]:
    try:
        yield from ijson.basic_parse(_File(pieces))
    except ijson.JSONError as error:
        said = error.args[0] if error.args else ""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise BadManifest(f"is not valid JSON: {text.partition(chr(10))[0].strip()}") from error


def _kind(event: str) -> str:
    return _VALUES.get(event) or {
        "string": "a text",
        "start_map": "an object",
        "start_array": "an array",
    }.get(event, event)


class _File:
    """What ijson reads from: a file as far as it asks for one."""

    def __init__(self, pieces: Iterable[memoryview]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; b"" at the end, and for the 0 that tells bytes from text."""
        while size and not self._rest:
            if (piece := next(self._pieces, None)) is None:
                return b""
            self._rest = piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return bytes(found)
