"""Several servers on one folder of logs: each byte once, in order, whoever dies when."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.stores.logs.hammer import STREAMS, file_of

from trainshed.stores.logs.folders import folder_name, names_in
from trainshed.stores.logs.listing import NOTES
from trainshed.stores.logs.locking import FolderBusy, locked
from trainshed.stores.logs.segments import Logs

HAMMER = Path(__file__).with_name("hammer.py")
SIZE = 1_500_000
KILLS = 12


class Server:
    """A process that appends, and what it was told is held."""

    def __init__(self, root: Path, seed: int) -> None:
        self.acknowledged = dict.fromkeys(STREAMS, 0)
        self.process = subprocess.Popen(
            [sys.executable, str(HAMMER), "append", str(root), str(seed), str(SIZE)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.began = threading.Event()
        self.reader = threading.Thread(target=self._listen)
        self.reader.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            stream, _, held = line.removesuffix("\n").partition(" ")
            if line.endswith("\n"):  # else it was killed in the middle of it
                self.acknowledged[stream] = max(self.acknowledged[stream], int(held))
            self.began.set()
        self.began.set()

    def end(self, *, kill: bool = False) -> int:
        if kill:
            self.process.kill()
        code = self.process.wait(60)
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def all_changed(root: Path) -> list[int]:
    processes = [
        subprocess.Popen([sys.executable, str(HAMMER), "change", str(root), seed, "120"])
        for seed in "123"
    ]
    return [process.wait(60) for process in processes]


def bytes_in(root: Path, stream: str) -> bytes:
    folder = root / folder_name("g") / folder_name(stream)
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))


async def test_servers_that_are_sent_the_same_pieces_keep_each_byte_once(tmp_path: Path) -> None:
    chance, killed = random.Random(5), 0
    servers = [Server(tmp_path, 1), Server(tmp_path, 2)]
    for kill in range(KILLS):
        index = kill % 2
        servers[index].began.wait(60)
        threading.Event().wait(chance.uniform(0, 0.06))  # anywhere in its work
        killed += servers[index].end(kill=True) == -signal.SIGKILL
        logs = Logs(tmp_path)
        for stream, acknowledged in servers[index].acknowledged.items():
            assert await logs.held("g", stream) >= acknowledged
        servers[index] = Server(tmp_path, 10 + kill)
    assert [server.end() for server in servers] == [0, 0]
    assert killed > KILLS / 2, "most of them were done before they were killed"
    for stream in STREAMS:
        assert bytes_in(tmp_path, stream) == file_of(stream, SIZE)
        reader = await Logs(tmp_path).reader("g", stream)
        assert reader is not None
        assert len(reader.segments) > 50
        assert all(reader.begins_line(segment.start) for segment in reader.segments)


async def test_servers_may_make_and_delete_the_same_streams(tmp_path: Path) -> None:
    assert all_changed(tmp_path) == [0, 0, 0]
    logs = Logs(tmp_path)
    for stream in STREAMS:
        file = file_of(stream, 9000)
        await logs.append("g", stream, 0, file)
        assert bytes_in(tmp_path, stream) == file
    assert await logs.stream_names("g") == STREAMS
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["g"]


async def test_each_server_knows_at_once_what_the_other_made_or_deleted(tmp_path: Path) -> None:
    one, other = Logs(tmp_path), Logs(tmp_path)
    await one.append("g", "a", 0, b"1 x\n")
    assert await other.stream_names("g") == ["a"]
    await one.create_stream("g", "b", 1)
    await other.create_stream("g", "c", 1)
    assert await one.stream_names("g") == await other.stream_names("g") == ["a", "b", "c"]
    await other.delete_stream("g", "a")
    assert await one.stream_names("g") == ["b", "c"]
    await one.delete_group("g")
    assert await other.stream_names("g") is None
    await one.append("g", "d", 0, b"1 x\n")
    assert await other.stream_names("g") == ["d"]


async def test_names_are_known_after_a_crash_in_the_middle_of_a_note(tmp_path: Path) -> None:
    one, other = Logs(tmp_path), Logs(tmp_path)
    await one.append("g", "a", 0, b"1 x\n")
    assert await other.stream_names("g") == ["a"]
    with (tmp_path / "g" / NOTES).open("a") as notes:
        notes.write('\n+"half a na')
    await one.append("g", "b", 0, b"1 x\n")
    assert await other.stream_names("g") == ["a", "b"]


async def test_names_are_known_when_the_notes_begin_anew(tmp_path: Path) -> None:
    one, other = Logs(tmp_path), Logs(tmp_path)
    await one.append("g", "a", 0, b"1 x\n")
    assert await other.stream_names("g") == ["a"]
    notes = tmp_path / "g" / NOTES
    with notes.open("a") as file:
        file.write("\n" * 2**20)
    await one.append("g", "b", 0, b"1 x\n")
    assert notes.stat().st_size < 1000
    assert await other.stream_names("g") == ["a", "b"]
    notes.write_text("")  # by a power cut
    await one.append("g", "c", 0, b"1 x\n")
    assert await other.stream_names("g") == names_in(tmp_path / "g") == ["a", "b", "c"]


async def test_a_server_that_hangs_holds_up_nothing_but_one_stream(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    await logs.append("g", "s", 0, b"1 x\n")
    with locked(tmp_path / "g" / "s"):
        with pytest.raises(FolderBusy, match="another server"), locked(tmp_path / "g" / "s"):
            pass
        waiting = [asyncio.create_task(logs.append("g", "s", 4, b"2 x\n")) for _ in range(40)]
        assert await logs.append("g", "t", 0, b"1 x\n") == 4
        assert not any(task.done() for task in waiting)
    assert set(await asyncio.gather(*waiting)) == {8}


async def test_streams_of_a_version_before_are_continued(tmp_path: Path) -> None:
    file = file_of("s", 9000)
    await Logs(tmp_path, 2000).append("g", "s", 0, file[:7000])
    for path in [*tmp_path.rglob("+lock"), *tmp_path.rglob(NOTES)]:
        path.unlink()
    logs = Logs(tmp_path, 2000)
    assert await logs.stream_names("g") == ["s"]
    assert await logs.append("g", "s", 6000, file[6000:]) == len(file)
    assert bytes_in(tmp_path, "s") == file


async def test_a_note_lost_by_a_power_cut_is_made_up_for(tmp_path: Path) -> None:
    file = file_of("s", 9000)
    logs = Logs(tmp_path, 2000)
    await logs.append("g", "s", 0, file[:8000])
    (tmp_path / "g" / "s" / "+lock").write_bytes(b"%020d" % 0)
    assert await logs.append("g", "s", 8000, file[8000:]) == len(file)
    assert bytes_in(tmp_path, "s") == file


async def test_events_put_through_several_servers_are_all_there_and_whole(tmp_path: Path) -> None:
    servers = [Logs(tmp_path, 500) for _ in range(4)]
    await servers[0].create_group("g", 1)
    await servers[0].create_stream("g", "s", 1)
    texts = [f"{n} {'x' * (n % 50)}" for n in range(200)]
    await asyncio.gather(
        *(servers[n % 4].put("g", "s", [(1000 + n, text)]) for n, text in enumerate(texts))
    )
    reader = await servers[0].reader("g", "s")
    assert reader is not None
    assert sorted(event.text for event in reader.forward(0)) == sorted(texts)
