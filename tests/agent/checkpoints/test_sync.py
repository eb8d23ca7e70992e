"""One pass at a time, over a store that does something of its own between two bytes."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainshed.agent.checkpoints.kept import Kept
from trainshed.agent.checkpoints.place import Place
from trainshed.agent.checkpoints.sync import Pass, Sync, Trust, Whose
from trainshed.agent.runtimes.base import Exit
from trainshed.agent.watching.ending import Ending
from trainshed.agent.written.folder import Folder
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import StoreAway

SEEN_AS = "/opt/ml/checkpoints"


class Store:
    """Objects in memory; ``meanwhile`` is done after the first bytes of an object came."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.acts: list[str] = []
        self.meanwhile: Callable[[str], None] = lambda key: None
        self.away = False
        self.refuses = ""

    def put(self, address: Address, write: Callable[[Sink], None]) -> None:
        if self.away:
            raise StoreAway("the store is away")
        if self.refuses and self.refuses in address.key:
            raise StoreError("access denied")
        taken = _Taken(lambda: self.meanwhile(address.key))
        write(taken)
        self.objects[address.key] = bytes(taken.data)
        self.acts.append(f"put {address.key}")

    def stat(self, address: Address) -> Entry:
        if address.key not in self.objects:
            raise ObjectMissing(address.key)
        return Entry(
            address.key, len(self.objects[address.key]), str(hash(self.objects[address.key]))
        )

    def read(self, address: Address, limit: int) -> bytes:
        if address.key not in self.objects:
            raise ObjectMissing(address.key)
        return self.objects[address.key][:limit]

    def delete(self, address: Address) -> None:
        if self.away:
            raise StoreAway("the store is away")
        self.objects.pop(address.key, None)
        self.acts.append(f"delete {address.key}")

    def files(self) -> dict[str, bytes]:
        return {key[2:]: body for key, body in self.objects.items() if "/.trainshed/" not in key}

    def manifest(self, host: str = "algo-1") -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = json.loads(self.objects[f"c/.trainshed/{host}.json"])[
            "files"
        ]
        return found


class _Taken:
    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.data = bytearray()
        self._meanwhile = meanwhile

    def write(self, data: bytes, /) -> int:
        first = not self.data
        self.data += data
        if first:
            self._meanwhile()
        return len(data)


class Busy(Ending):
    """A container that does something whenever somebody waits whether it ends; counts from 1."""

    def __init__(self, act: Callable[[int], object]) -> None:
        super().__init__()
        self._act = act
        self._waits = 0

    def wait(self, seconds: float) -> bool:
        self._waits += 1
        self._act(self._waits)
        return super().wait(0)


class Host:
    """One host's folder, and what keeps it."""

    def __init__(self, folder: Path, store: Store, name: str, hosts: tuple[str, ...]) -> None:
        self.root = folder / name / "checkpoints"
        self.root.mkdir(parents=True)
        self.store = store
        self.ending = Ending()
        self.said: list[str] = []
        self._state = folder / f"{name}.jsonl"
        self._whose = Whose(job="j", attempt="1.1", host=name, hosts=hosts)
        self.start()

    def start(self) -> None:
        """Begin as an agent that is new, or has been started again, does."""
        self.kept = Kept(self._state)
        self._sync = Sync(
            folder=Folder(self.root, self.root.parent, seen_as=SEEN_AS, own=".trainshed"),
            place=Place(parse("s3://b/c")),
            objects=self.store,  # type: ignore[arg-type]
            kept=self.kept,
            ending=self.ending,
            whose=self._whose,
            say=self.said.append,
            settle_s=0.03,
        )

    def write(self, path: str, data: bytes = b"x") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def run(self, trust: Trust = Trust.LIVE) -> Pass:
        self.store.acts.clear()
        return self._sync.run(trust)

    def end(self) -> None:
        self.ending.note_over()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def host(tmp_path: Path, store: Store) -> Iterator[Host]:
    host = Host(tmp_path, store, "algo-1", ("algo-1",))
    yield host
    host.kept.close()


def test_new_changed_and_deleted_files_go_to_the_store_in_an_order_that_is_safe(
    host: Host, store: Store
) -> None:
    host.write("old", b"1")
    host.write("stays", b"2")
    host.run()
    assert store.files() == {"old": b"1", "stays": b"2"}
    (host.root / "old").unlink()
    host.write("a/new", b"3")
    done = host.run()
    assert (done.stored, done.deleted) == (1, 1)
    assert store.acts == ["put c/a/new", "put c/.trainshed/algo-1.json", "delete c/old"]
    assert store.files() == {"a/new": b"3", "stays": b"2"}
    assert set(store.manifest()) == {"a/new", "stays"}


def test_nothing_is_done_when_nothing_changed(host: Host, store: Store) -> None:
    host.write("x")
    host.run()
    done = host.run()
    assert (store.acts, done.stored) == ([], 0)


def test_a_file_that_is_open_for_writing_waits_and_holds_deletes_back(
    host: Host, store: Store
) -> None:
    host.write("before", b"whole")
    host.run()
    (host.root / "before").unlink()
    with (host.root / "after").open("wb") as file:
        file.write(b"half")
        file.flush()
        done = host.run()
        assert store.files() == {"before": b"whole"}
        assert not done.waiting
        file.write(b" and half")
    host.run()
    assert store.files() == {"after": b"half and half"}


def test_a_file_that_changes_while_it_is_read_does_not_appear(host: Host, store: Store) -> None:
    path = host.write("x", b"1" * 3_000_000)
    store.meanwhile = lambda key: path.write_bytes(b"2" * 3_000_000) and None
    done = host.run()
    assert (store.files(), done.waiting) == ({}, {"x"})
    store.meanwhile = lambda key: None
    host.run()
    assert store.files() == {"x": b"2" * 3_000_000}


def test_a_file_that_is_replaced_while_it_is_read_appears_as_it_was(
    host: Host, store: Store
) -> None:
    path = host.write("x", b"1" * 3_000_000)

    def replace(key: str) -> None:
        host.write("x.tmp", b"2").replace(path)

    store.meanwhile = replace
    host.run()
    assert store.files() == {"x": b"1" * 3_000_000}
    store.meanwhile = lambda key: None
    host.run()
    assert store.files() == {"x": b"2"}


def test_a_file_that_is_replaced_all_the_time_is_kept_now_and_then(
    host: Host, store: Store
) -> None:
    path = host.write("x", b"0")
    host.ending = Busy(lambda n: host.write("y.tmp", str(n).encode()).replace(path))
    host.start()
    # Between the look and the storing another version always takes the place of the one seen.
    host.run()
    assert store.files()["x"] == b"1"
    host.run()
    assert store.files()["x"] == b"3"


def test_what_its_writers_death_has_closed_is_not_taken_for_whole(host: Host, store: Store) -> None:
    host.write("seen", b"1")
    host.run()
    with (host.root / "torn").open("wb") as file:
        file.write(b"half")
        file.flush()
        host.run()
    host.end()
    assert host.run().stored == 0
    host.ending.note_exit(Exit(exit_code=137), killed=True)
    done = host.run(Trust.SEEN)
    assert done.left_out == {"torn"}
    assert store.files() == {"seen": b"1"}
    done = host.run(Trust.CLOSED)
    assert done.left_out == {"torn"}
    assert host.run(Trust.ALL).stored == 1
    assert store.files() == {"seen": b"1", "torn": b"half"}


def test_what_was_seen_closed_is_kept_by_the_next_agent(host: Host, store: Store) -> None:
    store.away = True
    host.write("x", b"1")
    done = host.run()
    assert (done.trouble, done.away, done.waiting) == ("the store is away", True, {"x"})
    host.write("unseen", b"2")
    host.kept.close()
    store.away = False
    host.end()
    host.start()
    done = host.run(Trust.SEEN)
    assert (store.files(), done.left_out) == ({"x": b"1"}, {"unseen"})


def test_what_a_dead_agent_may_have_stored_is_deleted_with_its_file(
    host: Host, store: Store
) -> None:
    path = host.write("x", b"1")
    host.kept.begin("x")
    store.objects["c/x"] = b"1"
    host.kept.close()
    path.unlink()
    host.start()
    host.run()
    assert store.files() == {}


def test_an_object_that_another_has_put_there_is_left_alone(host: Host, store: Store) -> None:
    store.objects["c/theirs"] = b"1"
    host.write("x")
    host.run()
    assert set(store.files()) == {"theirs", "x"}


def test_a_file_that_only_changed_hands_is_not_stored_again(host: Host, store: Store) -> None:
    path = host.write("x", b"1")
    host.run()
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        path.chmod(0o600)
    host.run()
    assert "put c/x" not in store.acts
    host.run()
    assert store.acts == []


def test_one_refused_file_does_not_stand_in_the_way_of_others(host: Host, store: Store) -> None:
    store.refuses = "odd"
    for name in ("a", "odd", "z"):
        host.write(name)
    done = host.run()
    assert set(store.files()) == {"a", "z"}
    assert (done.trouble, done.away, done.waiting) == ("access denied", False, {"odd"})


def test_a_folder_that_is_gone_as_a_whole_deletes_nothing(host: Host, store: Store) -> None:
    host.write("x")
    host.run()
    host.root.rename(host.root.with_name("elsewhere"))
    host.run()
    assert set(store.files()) == {"x"}


def test_links_stand_for_their_files_and_what_is_no_file_is_said_once(
    host: Host, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s")
    host.write("step-1", b"1")
    (host.root / "latest").symlink_to("step-1")
    (host.root / "absolute").symlink_to("/opt/ml/checkpoints/step-1")
    (host.root / "outside").symlink_to(tmp_path / "secret")
    os.mkfifo(host.root / "pipe")
    host.write(".trainshed/x")
    host.run()
    host.run()
    assert store.files() == {"step-1": b"1", "latest": b"1", "absolute": b"1"}
    assert sorted(host.said) == [
        "checkpoints: .trainshed has the name of the platform's own folder: it is not kept",
        "checkpoints: outside is a link that leads elsewhere: it is not kept",
        "checkpoints: pipe is not a plain file: it is not kept",
    ]


def test_a_link_in_place_of_the_folder_neither_gives_nor_takes_anything(
    host: Host, store: Store, tmp_path: Path
) -> None:
    host.write("x", b"1")
    host.run()
    host.root.rename(host.root.with_name("away"))
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("s")
    host.root.symlink_to(tmp_path / "host")
    host.run()
    assert store.files() == {"x": b"1"}
    assert host.said == ["checkpoints: . is not the folder that the platform made: it is not kept"]


def test_two_hosts_that_save_the_same_file_are_told(tmp_path: Path, store: Store) -> None:
    hosts = [Host(tmp_path, store, name, ("algo-1", "algo-2")) for name in ("algo-1", "algo-2")]
    for each in hosts:
        each.write("x", each.root.parent.name.encode())
        each.write("same", b"1")
        each.run()
        each.kept.close()
    assert hosts[0].said == []
    assert hosts[1].said == [
        "checkpoints: x was saved by algo-2 and algo-1: the store has only the last"
    ]


def test_the_state_of_a_long_run_stays_small(tmp_path: Path, host: Host) -> None:
    host.write("x")
    host.run()
    known = host.kept.get("x")
    assert known is not None
    for _ in range(5000):
        host.kept.keep("x", known)
    assert (tmp_path / "algo-1.jsonl").stat().st_size < 400_000
    assert Kept(tmp_path / "algo-1.jsonl").known == {"x": known}


def test_the_state_is_found_where_the_disk_has_no_room_for_another(
    tmp_path: Path, host: Host
) -> None:
    host.write("x")
    host.run()
    known = host.kept.known
    host.kept.close()
    with (tmp_path / "algo-1.jsonl").open("ab") as file:
        file.write(b'\0\0\n{"path": "torn')
    (tmp_path / "algo-1.jsonl.new").mkdir()  # as good as no room
    again = Kept(tmp_path / "algo-1.jsonl")
    assert again.known == known
    again.begin("y")
    again.close()
    assert Kept(tmp_path / "algo-1.jsonl").paths() == {"x", "y"}
