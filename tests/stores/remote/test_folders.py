"""Objects that are plain files: only where it is allowed, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/z", "a/b/c", "a/b.d", "outside/secret"):
        path = tmp_path / ("" if name.startswith("outside") else "root") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "root"


def _at(path: Path | str) -> Address:
    return parse(f"file://{path}")


def test_a_folder_is_listed_in_the_order_of_whole_paths(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)])
    expected = [(f"{root}/a/b.d", 5), (f"{root}/a/b/c", 5), (f"{root}/a/z", 3)]
    assert _listed(objects, root / "a") == expected
    assert _listed(objects, f"{root}/a/") == expected
    assert _listed(objects, root / "a/z") == [(f"{root}/a/z", 3)]
    assert list(objects.list(_at(root / "none"))) == []


@pytest.mark.parametrize("path", ["../outside", "../outside/secret", "link", "a/../../outside"])
def test_nothing_outside_the_allowed_folders_is_touched(root: Path, path: str) -> None:
    (root / "link").symlink_to(root.parent / "outside")
    objects = RemoteObjects({}, [str(root)])
    for act in (
        lambda: list(objects.list(_at(f"{root}/{path}"))),
        lambda: objects.read(_at(f"{root}/{path}"), 9),
        lambda: objects.fetch(_at(f"{root}/{path}"), root / "got"),
        lambda: objects.put(_at(f"{root}/{path}/new"), lambda sink: None),
        lambda: objects.delete(_at(f"{root}/{path}")),
    ):
        with pytest.raises(StoreError, match="outside the folders"):
            act()
    assert (root.parent / "outside/secret").exists()


def test_without_allowed_folders_nothing_is_allowed(root: Path) -> None:
    with pytest.raises(StoreError, match="none"):
        RemoteObjects({}).read(_at(root / "a/z"), 1)


def test_a_link_inside_is_followed_and_a_loop_refused(root: Path) -> None:
    (root / "inside").symlink_to(root / "a/b")
    objects = RemoteObjects({}, [str(root)])
    assert _listed(objects, root / "inside") == [(f"{root}/inside/c", 5)]
    (root / "a/b/up").symlink_to(root / "a")
    with pytest.raises(StoreError, match="a link to a folder that holds it"):
        list(objects.list(_at(root / "a")))


def test_a_file_is_copied_and_the_target_must_be_new(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)])
    objects.fetch(_at(root / "a/z"), root / "copy")
    assert (root / "copy").read_text() == "a/z"
    with pytest.raises(FileExistsError):
        objects.fetch(_at(root / "a/z"), root / "copy")
    with pytest.raises(ObjectMissing):
        objects.fetch(_at(root / "no"), root / "other")


def test_a_copy_can_be_cancelled(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)], patience=Patience(cancelled=lambda: True))
    with pytest.raises(Cancelled):
        objects.fetch(_at(root / "a/z"), root / "copy")


def test_a_failing_write_leaves_the_old_file(root: Path) -> None:
    def write(sink: Sink) -> None:
        sink.write(b"half")
        raise ZeroDivisionError

    objects = RemoteObjects({}, [str(root)])
    with pytest.raises(ZeroDivisionError):
        objects.put(_at(root / "a/z"), write)
    assert (root / "a/z").read_text() == "a/z"
    assert sorted(path.name for path in (root / "a").iterdir()) == ["b", "b.d", "z"]


DIES = """
import os, signal, sys
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.store import RemoteObjects
def write(sink):
    sink.write(bytes(1 << 20))
    os.kill(os.getpid(), signal.SIGKILL)
RemoteObjects({}, [sys.argv[1]]).put(parse("file://" + sys.argv[1] + "/a/z"), write)
"""


def test_a_writer_that_dies_leaves_nothing_that_is_taken_for_data(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)])
    before = _listed(objects, root / "a")
    died = subprocess.run([sys.executable, "-c", DIES, str(root)], check=False)
    assert died.returncode == -9
    assert _listed(objects, root / "a") == before
    # As it is on disks where every file has a name.
    (root / "a/.trainshed-0123456789abcdef.part").write_bytes(b"half")
    (root / "a/.z.part").write_bytes(b"whole")
    assert _listed(objects, root / "a") == [(f"{root}/a/.z.part", 5), *before]


def test_two_writers_of_one_file_do_not_mix_their_bytes(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)])

    def first(sink: Sink) -> None:
        sink.write(b"first")
        objects.put_file(_at(root / "a/z"), root / "a/b/c")
        sink.write(b", to its end")

    objects.put(_at(root / "a/z"), first)
    assert (root / "a/z").read_bytes() == b"first, to its end"


def test_a_folder_that_is_emptied_while_a_file_is_written_there_comes_back(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)])
    (root / "p/q").mkdir(parents=True)
    (root / "p/q/last").write_text("")

    def write(sink: Sink) -> None:
        objects.delete(_at(root / "p/q/last"))
        sink.write(b"new")

    objects.put(_at(root / "p/q/r"), write)
    assert (root / "p/q/r").read_bytes() == b"new"


def test_deleting_takes_the_folders_it_empties(root: Path) -> None:
    objects = RemoteObjects({}, [str(root)])
    (root / "p/q").mkdir(parents=True)
    (root / "p/q/r").write_text("")
    objects.delete(_at(root / "p/q/r"))
    objects.delete(_at(root / "p/q/r"))
    assert not (root / "p").exists()
    assert (root / "a").exists()


def _listed(objects: RemoteObjects, folder: Path | str) -> list[tuple[str, int]]:
    return [(entry.key, entry.size) for entry in objects.list(_at(folder))]
