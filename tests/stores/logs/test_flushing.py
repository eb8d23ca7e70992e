"""What the API was told is kept has been flushed to the disk, names included."""

import os
from pathlib import Path

import pytest

from trainshed.stores.logs.reading import UNORDERED
from trainshed.stores.logs.segments import Logs


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders flushed so far, by their paths at that moment."""
    seen: list[Path] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    return seen


async def test_groups_and_streams_are_on_disk_with_their_names(
    tmp_path: Path, flushed: list[Path]
) -> None:
    logs = Logs(tmp_path)
    await logs.create_group("g", 1)
    assert flushed[-1] == tmp_path  # where its name stands
    assert "label.json" in [path.name for path in flushed]
    await logs.create_stream("g", "s", 2)
    assert flushed[-1] == tmp_path / "g"
    assert [path.name for path in flushed].count("label.json") == 2


async def test_what_was_deleted_does_not_come_back(tmp_path: Path, flushed: list[Path]) -> None:
    logs = Logs(tmp_path)
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 2)
    flushed.clear()
    assert await logs.delete_stream("g", "s")
    assert await logs.delete_group("g")
    assert flushed == [tmp_path / "g", tmp_path]


async def test_events_are_on_disk_with_the_name_of_their_file(
    tmp_path: Path, flushed: list[Path]
) -> None:
    logs = Logs(tmp_path)
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 2)
    flushed.clear()
    await logs.put("g", "s", [(5, "a")])
    stream = tmp_path / "g" / "s"
    (file,) = stream.glob("*.log")
    assert flushed == [file, stream]
    await logs.put("g", "s", [(6, "b")])
    assert flushed == [file, stream, file]


async def test_that_a_stream_is_out_of_order_is_on_disk_before_it_is_true(
    tmp_path: Path, flushed: list[Path]
) -> None:
    logs = Logs(tmp_path)
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 2)
    await logs.put("g", "s", [(5, "a")])
    flushed.clear()
    await logs.put("g", "s", [(4, "earlier")])
    stream = tmp_path / "g" / "s"
    assert (stream / UNORDERED).exists()
    assert flushed[0] == stream
    assert flushed[1].suffix == ".log"
