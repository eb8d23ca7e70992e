"""The cache of objects that came over a network."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.agent.staging.cache import Cache, name_of
from trainshed.domain.errors import StoreError
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.troubles import Cancelled

MANY = 1 << 30


def name(number: int) -> str:
    return name_of("s3 here", parse(f"s3://b/{number}"), Entry(str(number), 1, "e"))


class Fetches:
    """Brings what it was told to, and counts how often."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.count = 0

    def __call__(self, target: Path) -> None:
        self.count += 1
        with target.open("xb") as file:
            file.write(self.body)


class Jobs:
    """Ask a cache for objects, each time for a new place."""

    def __init__(self, folder: Path, limit: int = MANY) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache", limit, lambda: False)
        self._made = 0

    def ask(self, number: int, fetch: Callable[[Path], None], size: int) -> bytes | None:
        self._made += 1
        target = self.folder / f"copy-{self._made}"
        if not self.cache.bring(name(number), size, target, fetch):
            assert not target.exists()
            return None
        return target.read_bytes()

    def entries(self) -> list[Path]:
        return list(self.folder.glob("cache/[0-9a-f][0-9a-f]/*"))

    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.entries())

    def parts(self) -> list[Path]:
        return list((self.folder / "cache/parts").iterdir())


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 256 << 10, (1 << 20) + 7])
def test_a_version_is_fetched_once(jobs: Jobs, size: int) -> None:
    fetch = Fetches(os.urandom(size))
    assert [jobs.ask(1, fetch, size) for _ in range(3)] == [fetch.body] * 3
    assert fetch.count == 1
    assert jobs.parts() == []


def test_what_a_job_does_to_its_copy_is_its_own(jobs: Jobs, tmp_path: Path) -> None:
    fetch = Fetches(b"first")
    jobs.ask(1, fetch, 5)
    (tmp_path / "copy-1").write_bytes(b"other")
    assert jobs.ask(1, fetch, 5) == b"first"


@pytest.mark.parametrize("at", [0, 99, 100, 115])
def test_an_entry_with_a_wrong_byte_is_fetched_anew(jobs: Jobs, at: int) -> None:
    fetch = Fetches(bytes(100))
    jobs.ask(1, fetch, 100)
    (entry,) = jobs.entries()
    with entry.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    assert jobs.ask(1, fetch, 100) == bytes(100)
    assert fetch.count == 2
    assert jobs.ask(1, fetch, 100) == bytes(100)
    assert fetch.count == 2


@pytest.mark.parametrize("left", [0, 50, 100, 115])
def test_an_entry_that_lost_its_end_is_fetched_anew(jobs: Jobs, left: int) -> None:
    fetch = Fetches(bytes(100))
    jobs.ask(1, fetch, 100)
    os.truncate(jobs.entries()[0], left)
    assert jobs.ask(1, fetch, 100) == bytes(100)
    assert fetch.count == 2


def test_agents_that_want_the_same_at_once_fetch_it_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    fetches: list[Path] = []

    def slow(target: Path) -> None:
        fetches.append(target)
        begun.set()
        go_on.wait(30)
        target.write_bytes(b"x")

    found: list[bool] = []

    def ask(number: int) -> None:
        agent = Cache(tmp_path / "cache", MANY, lambda: False)
        found.append(agent.bring(name(1), 1, tmp_path / f"copy-{number}", slow))

    agents = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    agents[0].start()
    begun.wait(30)
    for agent in agents[1:]:
        agent.start()
    go_on.set()
    for agent in agents:
        agent.join()
    assert (found, len(fetches)) == ([True] * 6, 1)
    assert all((tmp_path / f"copy-{number}").read_bytes() == b"x" for number in range(6))


def test_who_waits_for_anothers_fetch_can_be_stopped(tmp_path: Path) -> None:
    stopped: list[Cancelled] = []

    def ask_too(target: Path) -> None:
        try:
            Cache(tmp_path / "cache", MANY, lambda: True).bring(
                name(1), 1, tmp_path / "other", Fetches(b"x")
            )
        except Cancelled as cancelled:
            stopped.append(cancelled)
        target.write_bytes(b"x")

    assert Cache(tmp_path / "cache", MANY, lambda: False).bring(
        name(1), 1, tmp_path / "copy", ask_too
    )
    assert len(stopped) == 1


def test_a_fetch_that_fails_leaves_nothing(jobs: Jobs) -> None:
    def fail(target: Path) -> None:
        target.write_bytes(b"half")
        raise StoreError("refused")

    with pytest.raises(StoreError, match="refused"):
        jobs.ask(1, fail, 5)
    assert jobs.entries() + jobs.parts() == []
    assert jobs.ask(1, Fetches(b"whole"), 5) == b"whole"


def test_what_a_dead_agent_left_is_in_nobodys_way(jobs: Jobs) -> None:
    parts = jobs.folder / "cache/parts"
    (parts / name(1)).write_bytes(b"ha")
    assert jobs.ask(1, Fetches(b"whole"), 5) == b"whole"
    assert jobs.parts() == []


def test_what_lies_at_the_target_is_left_alone(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "copy-1").write_bytes(b"mine")
    assert not jobs.cache.bring(name(1), 1, tmp_path / "copy-1", Fetches(b"x"))
    assert not jobs.cache.bring(name(1), 1, tmp_path / "copy-1", Fetches(b"x"))
    assert (tmp_path / "copy-1").read_bytes() == b"mine"


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, limit=10 * 116)
    for number in range(10):
        jobs.ask(number, Fetches(bytes(100)), 100)
        os.utime(jobs.cache._path(name(number)), (number, number))
    jobs.ask(0, Fetches(b""), 100)  # used again: now the newest
    jobs.ask(10, Fetches(bytes(100)), 100)
    kept = {path.name for path in jobs.entries()}
    assert kept == {name(number) for number in (0, 2, 3, 4, 5, 6, 7, 8, 9, 10)}


@settings(max_examples=60)
@given(
    asked=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 400)), max_size=40),
    limit=st.integers(1, 1500),
)
def test_it_gives_what_was_fetched_and_never_takes_more_than_its_limit(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]], limit: int
) -> None:
    jobs = Jobs(tmp_path_factory.mktemp("cache"), limit)
    for number, size in asked:
        body = bytes([number]) * size
        found = jobs.ask(number * 1000 + size, Fetches(body), size)
        assert found == (body if size + 16 <= limit else None)
        assert jobs.bytes() <= limit
        assert jobs.cache.used == jobs.bytes()


def test_the_count_of_another_boot_is_not_believed(jobs: Jobs) -> None:
    jobs.ask(1, Fetches(bytes(100)), 100)
    (jobs.folder / "cache/used").write_text(f"{5:020} another-boot\n")
    assert jobs.cache.used == 116


def test_it_gives_way_when_room_is_wanted(jobs: Jobs) -> None:
    for number in range(10):
        jobs.ask(number, Fetches(bytes(100)), 100)
    jobs.cache.give_way(300)
    assert (len(jobs.entries()), jobs.cache.used) == (7, 7 * 116)
    jobs.cache.give_way(MANY)
    assert (jobs.entries(), jobs.cache.used) == ([], 0)


def test_versions_and_stores_are_told_apart() -> None:
    here, there = parse("s3://b/x"), parse("s3://b/y")
    names = {
        name_of("one", here, Entry("x", 1, "e")),
        name_of("two", here, Entry("x", 1, "e")),
        name_of("one", there, Entry("x", 1, "e")),
        name_of("one", here, Entry("x", 1, "f")),
        name_of("one", here, Entry("x", 2, "e")),
    }
    assert len(names) == 5
