"""How an object is read in parts, without a mount around it."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.agent.feeding.reading import ROOM, LocalReading, RemoteReading, Room
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, ObjectChanged

SIZE = 9_000_001
CONTENT = bytes(range(251)) * (SIZE // 251 + 1)
KIB = 1024


class Place:
    """An object, and what reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "x"
        self.path.write_bytes(CONTENT[:SIZE])
        self.objects = RemoteObjects({}, [str(folder)])
        self.address = Address("file", "", str(self.path))
        self.entry = self.objects.stat(self.address)
        self.room = Room()
        self.workers = ThreadPoolExecutor(4)

    def reading(self, entry: Entry | None = None) -> RemoteReading:
        return RemoteReading(
            self.objects,
            self.address,
            entry or self.entry,
            room=self.room,
            workers=self.workers,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("reading"))
    yield found
    found.workers.shutdown()


offsets = st.integers(0, SIZE + 10) | st.integers(0, 70).map(lambda n: n * 128 * KIB)
sizes = st.integers(0, 300 * KIB) | st.just(128 * KIB) | st.just(1024 * KIB)


@settings(max_examples=40)
@given(st.lists(st.tuples(offsets, sizes), max_size=12))
def test_any_reads_in_any_order_give_the_objects_bytes(
    place: Place, reads: list[tuple[int, int]]
) -> None:
    reading = place.reading()
    for offset, size in reads:
        assert reading.read(offset, size) == CONTENT[:SIZE][offset : offset + size]
    reading.close()
    assert place.room.take(ROOM)  # all that was taken is given back
    place.room.give(ROOM)


def test_threads_that_read_one_file_at_once_get_the_objects_bytes(place: Place) -> None:
    reading = place.reading()
    wrong: list[int] = []

    def check(first: int) -> None:
        for offset in range(first * 128 * KIB, SIZE, 4 * 128 * KIB):
            if reading.read(offset, 128 * KIB) != CONTENT[:SIZE][offset : offset + 128 * KIB]:
                wrong.append(offset)

    threads = [threading.Thread(target=check, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading.close()
    assert wrong == []
    assert place.room.take(ROOM)
    place.room.give(ROOM)


def test_where_there_is_no_room_only_what_is_asked_for_is_fetched(place: Place) -> None:
    assert place.room.take(ROOM)
    reading = place.reading()
    for offset in range(0, SIZE, 700 * KIB):
        assert reading.read(offset, KIB) == CONTENT[:SIZE][offset : offset + KIB]
    reading.close()
    assert not place.room.take(1)
    place.room.give(ROOM)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"etag": "another"}, id="another object"),
        pytest.param({"size": SIZE + 1, "etag": ""}, id="shorter than listed"),
    ],
)
def test_an_object_that_is_not_the_one_of_the_list_is_not_read(
    place: Place, entry: dict[str, object]
) -> None:
    reading = place.reading(place.entry._replace(**entry))  # type: ignore[arg-type]
    with pytest.raises(ObjectChanged):
        reading.read(SIZE - 10, 20)
    reading.close()


def test_who_waits_for_a_range_that_nobody_will_fetch_is_told(place: Place) -> None:
    crew, begun, go = ThreadPoolExecutor(1), threading.Event(), threading.Event()
    crew.submit(lambda: (begun.set(), go.wait(20)))
    begun.wait(20)
    reading = RemoteReading(
        place.objects, place.address, place.entry, room=place.room, workers=crew
    )
    with ThreadPoolExecutor(1) as program:
        waiting = program.submit(reading.read, 0, 10)
        while not crew._work_queue.qsize():
            begun.wait(0.01)
        crew.shutdown(wait=False, cancel_futures=True)
        assert isinstance(waiting.exception(20), Cancelled)
    go.set()
    reading.close()


def test_a_file_of_this_machine_that_is_written_to_is_not_read_any_more(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    reading = LocalReading(os.open(path, os.O_RDONLY), "x")
    assert reading.read(0, 10) == b"old"
    path.write_bytes(b"newer")
    with pytest.raises(ObjectChanged):
        reading.read(0, 10)
    reading.close()
