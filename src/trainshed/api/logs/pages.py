"""Pages of one stream, for GetLogEvents."""

from collections.abc import Iterator
from typing import Any, Final

from trainshed.api.logs.rejections import invalid
from trainshed.api.logs.tokens import number, parts_of, token
from trainshed.stores.logs.reading import Event, StreamReader

MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 1024 * 1024
"""Of the lines on one page; one line at least is always returned."""


def stream_page(reader: StreamReader, params: dict[str, Any]) -> dict[str, Any]:
    """Return one page of a stream, and the tokens that go on from it both ways.

    ``f/<offset>`` goes forwards from a line's beginning, ``b/<offset>`` backwards. Where nothing
    follows, the same token comes back; lines that are written later are found with it.

    Raises:
        RequestRejected: the token fits no line of this stream.
    """
    low, high = _bounds(reader, params)
    forwards, position = _start(reader, params, low, high)
    if forwards:
        line_up = reader.forward(max(position, low))
        found = _up_to_limits((e for e in _until(line_up, high) if _wanted(e, params)), params)
    else:
        line_up = reader.backward(min(position, high))
        found = _up_to_limits((e for e in _from(line_up, low) if _wanted(e, params)), params)
        found.reverse()
    return {
        "events": [{"timestamp": e.ms, "message": e.text, "ingestionTime": e.ms} for e in found],
        "nextForwardToken": token("f", found[-1].end if found else position),
        "nextBackwardToken": token("b", found[0].offset if found else position),
    }


def _bounds(reader: StreamReader, params: dict[str, Any]) -> tuple[int, int]:
    """Return the offsets between which all wanted lines lie."""
    start, end = params.get("startTime"), params.get("endTime")
    if not reader.ordered:
        return reader.start, reader.end
    return (
        reader.start if start is None else reader.seek(start),
        reader.end if end is None else reader.seek(end),
    )


def _start(reader: StreamReader, params: dict[str, Any], low: int, high: int) -> tuple[bool, int]:
    """Return whether to read forwards, and from which offset."""
    if (text := params.get("nextToken")) is None:
        forwards = params.get("startFromHead", False)
        return forwards, low if forwards else high
    forwards = text.startswith("f")
    offset = number(parts_of(text, "f" if forwards else "b", 1)[0])
    if not reader.begins_line(offset):
        raise invalid("The specified nextToken is invalid.")
    return forwards, offset


def _until(events: Iterator[Event], high: int) -> Iterator[Event]:
    for event in events:
        if event.offset >= high:
            return
        yield event


def _from(events: Iterator[Event], low: int) -> Iterator[Event]:
    for event in events:
        if event.offset < low:
            return
        yield event


def _wanted(event: Event, params: dict[str, Any]) -> bool:
    start, end = params.get("startTime"), params.get("endTime")
    return (start is None or event.ms >= start) and (end is None or event.ms < end)


def _up_to_limits(events: Iterator[Event], params: dict[str, Any]) -> list[Event]:
    limit, size = params.get("limit", MAX_EVENTS), 0
    found: list[Event] = []
    for event in events:
        size += event.end - event.offset
        if found and size > MAX_BYTES:
            break
        found.append(event)
        if len(found) == limit:
            break
    return found
