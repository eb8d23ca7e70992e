"""Searches over several streams, for FilterLogEvents.

Events stand in one total order: by time, then stream, then place in the stream. A page's token is
the last event that was looked at, so a search goes on exactly there.
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from trainshed.api.logs.pages import MAX_BYTES, MAX_EVENTS
from trainshed.api.logs.patterns import Pattern, parse
from trainshed.api.logs.tokens import number, parts_of, token
from trainshed.stores.logs.reading import Event, StreamReader

MAX_SEARCHED: Final = 16 * 1024 * 1024
"""Bytes to look through for one page (about a second); rarer matches are on the following ones."""


class _Place(NamedTuple):
    """An event's place in the order of all."""

    ms: int
    stream: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is wanted, and from where on."""

    pattern: Pattern
    start: int
    end: int | None
    """Not wanted any more, milliseconds; None for no end."""
    limit: int
    descending: bool
    behind: _Place | None
    """The last event looked at by the page before."""

    def is_ahead(self, place: _Place) -> bool:
        """Tell whether an event is still to be looked at."""
        if self.behind is None:
            return True
        return place < self.behind if self.descending else place > self.behind

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Search":
        """Return what FilterLogEvents was asked for.

        Raises:
            RequestRejected: the pattern or the token cannot be understood.
        """
        descending, behind = not params.get("startFromHead", True), None
        if (text := params.get("nextToken")) is not None:
            descending = text.startswith("b")
            ms, offset, stream = parts_of(text, "b" if descending else "f", 3)
            behind = _Place(number(ms), stream, number(offset))
        return cls(
            pattern=parse(params.get("filterPattern", "")),
            start=params.get("startTime", 0),
            end=params.get("endTime"),
            limit=params.get("limit", MAX_EVENTS),
            descending=descending,
            behind=behind,
        )


def search_page(readers: Mapping[str, StreamReader], search: Search) -> dict[str, Any]:
    """Return one page of the events wanted, and a token while there is more to look at."""
    ordered = heapq.merge(
        *(_events(name, reader, search) for name, reader in readers.items()),
        key=lambda found: found[0],
        reverse=search.descending,
    )
    events: list[dict[str, Any]] = []
    searched = size = 0
    answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
    for place, event in ordered:
        searched += event.end - event.offset
        if search.pattern.matches(event.text):
            size += event.end - event.offset
            events.append(_answer(place, event))
        if len(events) == search.limit or size > MAX_BYTES or searched > MAX_SEARCHED:
            if next(ordered, None) is not None:
                kind = "b" if search.descending else "f"
                answer["nextToken"] = token(kind, place.ms, place.offset, place.stream)
            break
    return answer


def _answer(place: _Place, event: Event) -> dict[str, Any]:
    digest = hashlib.blake2b(place.stream.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return {
        "logStreamName": place.stream,
        "timestamp": place.ms,
        "message": event.text,
        "ingestionTime": place.ms,
        # A line never moves, so time, stream and offset name it for ever.
        "eventId": f"{place.ms:015}{place.offset:021}{int.from_bytes(digest):020}",
    }


def _events(name: str, reader: StreamReader, search: Search) -> Iterator[tuple[_Place, Event]]:
    """Yield a stream's events of the time wanted, behind the page before, in the search's order."""
    events = _from_place(reader, search) if reader.ordered else _by_time(name, reader, search)
    for event in events:
        place = _Place(event.ms, name, event.offset)
        if not search.is_ahead(place):
            continue
        if search.end is not None and event.ms >= search.end:
            if search.descending:
                continue
            return
        if event.ms < search.start:
            if search.descending:
                return
            continue
        yield place, event


def _by_time(name: str, reader: StreamReader, search: Search) -> Iterator[Event]:
    """Yield what one page can need of a stream without order; no more of it is held at a time."""
    wanted = (
        event
        for event in reader.forward(reader.start)
        if event.ms >= search.start
        and (search.end is None or event.ms < search.end)
        and search.is_ahead(_Place(event.ms, name, event.offset))
        and search.pattern.matches(event.text)
    )
    first = heapq.nlargest if search.descending else heapq.nsmallest
    return iter(first(search.limit + 1, wanted, key=lambda event: (event.ms, event.offset)))


def _from_place(reader: StreamReader, search: Search) -> Iterator[Event]:
    """Yield an ordered stream's events in the search's order, from near where it has to go on."""
    if search.descending:
        ends = [search.end, search.behind.ms + 1 if search.behind else None]
        known = [ms for ms in ends if ms is not None]
        return reader.backward(reader.seek(min(known)) if known else reader.end)
    earliest = max(search.start, search.behind.ms if search.behind else 0)
    return reader.forward(reader.seek(earliest))
