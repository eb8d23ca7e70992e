"""No archive at all, however made, changes or reaches anything outside its folder."""

import gzip
import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.toolkit.conftest import file, tar_of
from tests.toolkit.hostile import nested, tars

from trainshed.contract import archives
from trainshed.toolkit import unpack
from trainshed.toolkit.failure import ToolkitError

parts = st.sampled_from(["a", "b", "c", "..", ".", "", "outside"])
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
kinds = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
)
members = st.lists(
    st.builds(
        lambda name, kind, to: file(
            name,
            b"evil" if kind == tarfile.REGTYPE else b"",
            type=kind,
            linkname=to if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "",
            mode=0o755,
        ),
        names,
        kinds,
        names,
    ),
    max_size=7,
)


@settings(max_examples=200)
@given(members)
def test_nothing_outside_is_written_or_linked(
    content: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        folder = base / "deep" / "code"
        folder.mkdir(parents=True)
        (base / "outside").write_text("mine")
        archive = tar_of(base / "s.tar.gz", *content)
        try:
            unpack.unpack(archive, folder)
        except ToolkitError:
            pass
        else:
            for path in folder.rglob("*"):
                assert Path(os.path.realpath(path)).is_relative_to(folder)
        assert (base / "outside").read_text() == "mine"
        assert (base / "outside").stat().st_nlink == 1
        assert {entry.name for entry in base.iterdir()} == {"deep", "outside", "s.tar.gz"}
        assert [entry.name for entry in (base / "deep").iterdir()] == ["code"]


@settings(max_examples=300)
@given(tars(), st.booleans())
def test_lying_headers_are_refused_and_reach_nothing(text: bytes, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        folder = base / "deep" / "code"
        folder.mkdir(parents=True)
        (base / "s").write_bytes(gzip.compress(text) if packed else text)
        try:
            archives.unpack(base / "s", folder)
        except (archives.BrokenArchive, archives.RefusedArchive) as error:
            assert str(error)
        for path in folder.rglob("*"):
            assert Path(os.path.realpath(path)).is_relative_to(folder)
            assert path.lstat().st_mode & 0o7000 == 0
            assert path.is_symlink() or path.is_dir() or path.is_file()
        assert {entry.name for entry in base.iterdir()} == {"deep", "s"}


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_that_nests_names_for_ever_is_broken(tmp_path: Path, packed: bool) -> None:
    text = nested(3000)
    (tmp_path / "s").write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(archives.BrokenArchive):
        archives.unpack(tmp_path / "s", tmp_path)


def test_holes_that_nothing_could_fill_are_refused_by_ratio(tmp_path: Path) -> None:
    bomb, _ = file("bomb")
    bomb.size = 257 << 20
    (tmp_path / "s").write_bytes(bomb.tobuf() + b"\0" * 10240)
    with pytest.raises(archives.RefusedArchive, match=r"'bomb' .* 1100 times its own size"):
        archives.unpack(tmp_path / "s", tmp_path)
    assert not (tmp_path / "bomb").exists()


def test_more_than_the_disk_has_room_for_is_refused_before_it_is_written(tmp_path: Path) -> None:
    bomb, _ = file("bomb")
    bomb.size = 1 << 62
    (tmp_path / "s").write_bytes(bomb.tobuf() + b"\0" * 10240)
    with pytest.raises(archives.RefusedArchive, match="the room that is left on the disk"):
        archives.unpack(tmp_path / "s", tmp_path, most_ratio=float("inf"))
    assert not (tmp_path / "bomb").exists()


@pytest.mark.parametrize("when", ["nan", "inf", "-inf", "1e300", "-1e300", "-1"])
def test_a_time_that_no_file_system_knows_is_the_epoch(tmp_path: Path, when: str) -> None:
    member, data = file("a", b"a", pax_headers={"mtime": when})
    with tarfile.open(tmp_path / "s", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(data))
    assert archives.unpack(tmp_path / "s", tmp_path) == [tmp_path / "a"]
    assert (tmp_path / "a").stat().st_mtime == 0
