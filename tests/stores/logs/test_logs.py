"""Groups and streams: what is kept, found and forgotten."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import StoreError
from trainshed.stores.logs.folders import folder_name
from trainshed.stores.logs.format import MAX_EVENT_BYTES, encode
from trainshed.stores.logs.reading import StreamReader
from trainshed.stores.logs.segments import CopiedStream, Group, Logs, Stream

TEXTS = st.lists(st.binary(max_size=12), max_size=12)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


def file_of(texts: list[bytes]) -> bytes:
    return b"".join(encode(1000 + n, text) for n, text in enumerate(texts))


async def texts_of(logs: Logs, group: str, stream: str) -> list[str]:
    reader = await logs.reader(group, stream)
    assert reader is not None
    return [event.text for event in reader.forward(reader.start)]


def bytes_in(root: Path, group: str, stream: str) -> bytes:
    folder = root / folder_name(group) / folder_name(stream)
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))


@given(
    texts=TEXTS,
    reports=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=12),
    segment_bytes=st.integers(1, 60),
)
async def test_any_reports_make_the_stream_a_beginning_of_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[bytes],
    reports: list[tuple[int, int]],
    segment_bytes: int,
) -> None:
    root, file = tmp_path_factory.mktemp("logs"), file_of(texts)
    held = 0
    for offset, length in reports:
        logs = Logs(root, segment_bytes)  # a new server each time
        part = file[offset : offset + length]
        now = await logs.append("g", "s", offset, part)
        assert now == (max(held, offset + len(part)) if part and offset <= held else held)
        held = now
        assert await logs.held("g", "s") == held
        assert bytes_in(root, "g", "s") == file[:held]
    logs = Logs(root, segment_bytes)
    if file:
        assert await logs.append("g", "s", held, file[held:]) == len(file)
        assert await texts_of(logs, "g", "s") == [text.decode("utf-8", "replace") for text in texts]
        reader = await logs.reader("g", "s")
        assert reader is not None
        for segment in reader.segments:
            assert reader.begins_line(segment.start)


@given(texts=TEXTS.filter(bool), lost=st.integers(0, 40), segment_bytes=st.integers(1, 60))
async def test_a_tail_lost_in_a_crash_is_sent_again_from_where_the_stream_ends(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], lost: int, segment_bytes: int
) -> None:
    root, file = tmp_path_factory.mktemp("logs"), file_of(texts)
    await Logs(root, segment_bytes).append("g", "s", 0, file)
    last = max((root / "g" / "s").glob("*.log"))
    with last.open("r+b") as opened:
        opened.truncate(max(last.stat().st_size - lost, 0))
    logs = Logs(root, segment_bytes)
    held = await logs.append("g", "s", len(file) + 1, b"what the agent would send next")
    assert held == len(bytes_in(root, "g", "s"))
    assert await logs.append("g", "s", held, file[held:]) == len(file)
    assert bytes_in(root, "g", "s") == file


async def test_half_a_line_is_not_there_until_it_is_whole(logs: Logs) -> None:
    await logs.append("g", "s", 0, b"1 one\n2 tw")
    assert await texts_of(logs, "g", "s") == ["one"]
    await logs.append("g", "s", 10, b"o\n")
    assert await texts_of(logs, "g", "s") == ["one", "two"]


async def test_nothing_is_made_by_an_empty_or_early_report(logs: Logs) -> None:
    assert await logs.append("g", "s", 0, b"") == 0
    assert await logs.append("g", "s", 5, b"1 x\n") == 0
    assert await logs.groups() == []
    assert await logs.stream_names("g") is None
    assert await logs.reader("g", "s") is None


HOSTILE = ["../x", "..", ".", "a/b", "/etc/passwd", "label.json", "+making", "%2E%2E", "a\\b"]
UNUSUAL = ["~", "né\n", "\0", " ", "x" * 512, "é" * 512, "/" * 512]


@pytest.mark.parametrize("name", HOSTILE + UNUSUAL)
async def test_hostile_names_stay_in_their_folder_and_come_back(logs: Logs, name: str) -> None:
    await logs.append(name, name, 0, b"1 x\n")
    await logs.create_stream(name, "other", 5)
    assert [group.name for group in await logs.groups()] == [name]
    assert await logs.stream_names(name) == sorted([name, "other"])
    assert await texts_of(logs, name, name) == ["x"]
    assert await Logs(logs._root).stream_names(name) == sorted([name, "other"])
    root = logs._root
    assert [path.name for path in root.parent.iterdir()] == ["logs"]
    assert {len(path.relative_to(root).parts) for path in root.rglob("*.log")} == {3}


async def test_a_stream_without_a_name_is_refused(logs: Logs) -> None:
    with pytest.raises(StoreError, match="at least one character"):
        await logs.append("g", "", 0, b"1 x\n")


@given(st.lists(st.text(min_size=1, max_size=300), unique=True))
def test_different_names_have_different_folders(names: list[str]) -> None:
    assert len({folder_name(name) for name in names}) == len(names)


async def test_names_are_found_by_prefix_in_order(logs: Logs) -> None:
    names = ["b/algo-2-1", "a/algo-1-1", "b/algo-1-1", "b", "c"]
    for name in names:
        await logs.append("g", name, 0, b"1 x\n")
    assert await logs.stream_names("g") == sorted(names)
    assert await logs.stream_names("g", "b/") == ["b/algo-1-1", "b/algo-2-1"]
    assert await logs.stream_names("g", "x") == []
    await logs.append("g", "b/algo-10-1", 0, b"1 x\n")
    assert await logs.stream_names("g", "b/") == ["b/algo-1-1", "b/algo-10-1", "b/algo-2-1"]
    assert await logs.delete_stream("g", "b/algo-1-1")
    assert await logs.stream_names("g", "b/") == ["b/algo-10-1", "b/algo-2-1"]


async def test_a_stream_knows_its_times(logs: Logs) -> None:
    await logs.create_group("g", 3)
    await logs.create_stream("g", "empty", 4)
    await logs.append("g", "s", 0, b"10 a\n20 b\n30 half")
    assert await logs.groups() == [Group("g", 3)]
    assert await logs.streams("g", ["s", "missing", "empty"]) == [
        Stream("s", created=10, first=10, last=20),
        Stream("empty", created=4, first=None, last=None),
    ]


async def test_making_and_deleting_tell_whether_they_did(logs: Logs) -> None:
    assert await logs.create_group("g", 1)
    assert not await logs.create_group("g", 2)
    assert await logs.create_stream("g", "s", 1)
    assert not await logs.create_stream("g", "s", 2)
    assert await logs.delete_stream("g", "s")
    assert not await logs.delete_stream("g", "s")
    assert await logs.delete_group("g")
    assert not await logs.delete_group("g")
    assert not await logs.has_group("g")
    with pytest.raises(StoreError):
        await logs.create_stream("g", "s", 1)


async def test_what_was_put_is_sorted_by_time(logs: Logs) -> None:
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 1)
    assert await logs.put("g", "s", [(20, "b\nb"), (10, "a"), (20, "c\\")])
    assert await texts_of(logs, "g", "s") == ["a", "b\nb", "c\\"]
    assert not await logs.put("g", "other", [(1, "x")])
    reader = await logs.reader("g", "s")
    assert reader is not None
    assert reader.ordered
    await logs.put("g", "s", [(15, "late")])
    assert await logs.streams("g", ["s"]) == [Stream("s", created=1, first=10, last=20)]
    reader = await logs.reader("g", "s")
    assert reader is not None
    assert not reader.ordered


async def test_long_events_are_split(logs: Logs) -> None:
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 1)
    text = "é" * MAX_EVENT_BYTES
    await logs.put("g", "s", [(1, text), (2, "x")])
    found = await texts_of(logs, "g", "s")
    assert "".join(found) == text + "x"
    assert max(len(each.encode()) for each in found) == MAX_EVENT_BYTES


async def test_a_put_after_a_crash_in_a_put_ends_the_half_line(logs: Logs) -> None:
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 1)
    await logs.put("g", "s", [(1, "a")])
    segment = next(logs._root.rglob("*.log"))
    segment.write_bytes(b"1 a\n2 hal")
    await logs.put("g", "s", [(3, "b")])
    assert await texts_of(logs, "g", "s") == ["a", "hal", "b"]


async def test_nothing_can_be_put_into_the_copy_of_an_agents_file(logs: Logs) -> None:
    await logs.append("g", "s", 0, b"1 a\n")
    with pytest.raises(CopiedStream):
        await logs.put("g", "s", [(1, "b")])
    assert await logs.held("g", "s") == 4


async def test_many_writers_at_once_lose_nothing(logs: Logs) -> None:
    file = file_of([b"x" * 50] * 200)
    parts = [(n, file[n : n + 97]) for n in range(0, len(file), 97)]

    async def report(stream: str) -> None:
        for offset, part in parts:
            await logs.append("g", stream, offset, part)

    streams = [f"s{n % 4}" for n in range(8)]  # two agents' worth of reports for each stream
    await asyncio.gather(*(report(stream) for stream in streams))
    for stream in set(streams):
        assert bytes_in(logs._root, "g", stream) == file


async def test_a_deletion_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    await logs.append("g", "s", 0, b"1 a\n")
    (tmp_path / "g").rename(tmp_path / "+going")
    logs = Logs(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert await logs.groups() == []


async def test_a_stream_deleted_under_a_reader_says_so(logs: Logs) -> None:
    await logs.append("g", "s", 0, b"1 a\n")
    reader = await logs.reader("g", "s")
    assert isinstance(reader, StreamReader)
    await logs.delete_group("g")
    with pytest.raises(StoreError, match="deleted while it was read"):
        list(reader.forward(0))


_ENDLESS_WRITER = """
import asyncio, sys
from pathlib import Path
from trainshed.stores.logs.segments import Logs

async def write_for_ever():
    logs, held = Logs(Path(sys.argv[1]), 5000), 0
    while True:
        held = await logs.append("g", "s", held, b"%09d x\\n" % held)
        print(f"{held:09}", flush=True)

asyncio.run(write_for_ever())
"""


def answers_until_killed(root: Path) -> list[int]:
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS_WRITER, str(root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        answered = [process.stdout.readline() for _ in range(1000)]
        process.kill()
        answered += [line for line in process.stdout if len(line) == 10]  # the last may be torn
    return [int(line) for line in answered]


async def test_a_killed_server_loses_no_line_that_it_answered_for(tmp_path: Path) -> None:
    answered = answers_until_killed(tmp_path)
    logs = Logs(tmp_path, 5000)
    assert await logs.held("g", "s") >= answered[-1]
    reader = await logs.reader("g", "s")
    assert reader is not None
    assert [event.ms for event in reader.forward(0)] == list(range(0, reader.end, 12))
