"""One pass at a time, over a store that does something of its own between two bytes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.checkpoints.passes import Busy, Host, Store

from trainshed.agent.checkpoints.kept import Kept
from trainshed.agent.checkpoints.sync import Trust
from trainshed.agent.runtimes.base import Exit


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


def test_files_that_are_stored_together_are_named_before_and_one_alone_is_not(
    host: Host, store: Store
) -> None:
    host.write("one/a")
    host.run()
    assert store.acts == ["put c/one/a", "put c/.trainshed/algo-1.json"]
    for name in ("b", "a"):
        host.write(f"two/{name}")
    host.run()
    assert store.acts[0] == "put c/.trainshed/algo-1.storing"
    assert store.acts[-1] == "put c/.trainshed/algo-1.json"
    begun = json.loads(store.objects["c/.trainshed/algo-1.storing"])
    assert begun["paths"] == ["two/a", "two/b"]
    assert host.store.manifest().keys() == {"one/a", "two/a", "two/b"}


def test_nothing_is_stored_that_could_not_be_named_before(host: Host, store: Store) -> None:
    for name in ("a", "b"):
        host.write(name)
    store.refuses = ".storing"
    done = host.run()
    assert (done.stored, done.trouble, done.waiting) == (0, "access denied", {"a", "b"})
    assert store.files() == {}
    store.refuses = ""
    assert host.run().stored == 2


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
