"""Reading a stream by offset and by time."""

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.stores.logs.format import encode
from trainshed.stores.logs.reading import Event, StreamReader
from trainshed.stores.logs.segments import Logs

LINES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([b"", b"x", b"y" * 40, b"\n", b"z" * 700])),
    max_size=15,
)


async def stream(root: Path, lines: list[tuple[int, bytes]], segment_bytes: int) -> StreamReader:
    times = accumulate(wait for wait, _ in lines)
    file = b"".join(encode(ms, text) for ms, (_, text) in zip(times, lines, strict=True))
    logs = Logs(root, segment_bytes)
    await logs.append("g", "s", 0, file + b"99 half")
    reader = await logs.reader("g", "s")
    assert reader is not None
    return reader


@given(lines=LINES, segment_bytes=st.integers(1, 2000))
async def test_every_way_of_reading_finds_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, bytes]], segment_bytes: int
) -> None:
    reader = await stream(tmp_path_factory.mktemp("logs"), lines, segment_bytes)
    events = list(reader.forward(reader.start))
    assert [event.text for event in events] == [text.decode() for _, text in lines]
    assert list(reader.backward(reader.end)) == events[::-1]
    boundaries = [event.offset for event in events] + [reader.end]
    assert boundaries[1:] == [event.end for event in events]
    for n, offset in enumerate(boundaries):
        assert list(reader.forward(offset)) == events[n:]
        assert list(reader.backward(offset)) == events[:n][::-1]
    for offset in range(-1, reader.size + 2):
        assert reader.begins_line(offset) == (offset in boundaries)


@given(lines=LINES, segment_bytes=st.integers(1, 2000))
async def test_a_time_is_found_at_its_first_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, bytes]], segment_bytes: int
) -> None:
    reader = await stream(tmp_path_factory.mktemp("logs"), lines, segment_bytes)
    events = list(reader.forward(reader.start))
    latest = events[-1].ms if events else 0
    for ms in range(latest + 2):
        later = [event.offset for event in events if event.ms >= ms]
        assert reader.seek(ms) == (later[0] if later else reader.end)
    assert (reader.first_ms, reader.last_ms) == ((events[0].ms, latest) if events else (None, None))


async def test_lines_longer_than_any_chunk_are_read_whole(tmp_path: Path) -> None:
    long = b"x" * 300_000
    reader = await stream(tmp_path, [(1, b"a"), (1, long), (1, b"b"), (1, long)], 10**6)
    events = list(reader.forward(0))
    assert [len(event.text) for event in events] == [1, 300_000, 1, 300_000]
    assert list(reader.backward(reader.end)) == events[::-1]
    assert reader.seek(2) == events[1].offset
    assert reader.seek(3) == events[2].offset
    assert reader.seek(5) == reader.end


async def test_lines_written_later_continue_where_the_reader_ended(tmp_path: Path) -> None:
    logs = Logs(tmp_path, 10)
    seen: list[Event] = []
    offset = 0
    for n in range(20):
        await logs.append("g", "s", n * 6, b"%03d x\n" % n)
        reader = await logs.reader("g", "s")
        assert reader is not None
        fresh = list(reader.forward(offset))
        assert [event.ms for event in fresh] == [n]
        seen += fresh
        offset = reader.end
    assert [event.ms for event in seen] == list(range(20))
