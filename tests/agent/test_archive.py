"""What goes into a model archive, and what does not."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from trainshed.agent.archive import collect, copy, read_tar, write_tar


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    base = tmp_path / "ml"
    (base / "model/sub").mkdir(parents=True)
    (base / "model/b").write_text("b")
    (base / "model/sub/a").write_text("a")
    return base


def _packed(ml: Path, said: list[str]) -> bytes:
    sink = io.BytesIO()
    write_tar(collect(ml / "model", ml, said.append), sink, said.append, compress=True)
    return sink.getvalue()


def test_the_same_files_make_the_same_bytes(ml: Path) -> None:
    first = _packed(ml, [])
    text = (ml / "model/b").stat()
    (ml / "model/b").unlink()
    (ml / "model/b").write_text("b")
    os.utime(ml / "model/b", (text.st_atime, text.st_mtime))
    assert _packed(ml, []) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(m.name, m.uid, m.uname) for m in tar] == [("b", 0, ""), ("sub/a", 0, "")]


def test_links_inside_stand_for_their_files_and_others_are_left_out(ml: Path) -> None:
    model = ml / "model"
    (model / "relative").symlink_to("sub/a")
    (model / "absolute").symlink_to("/opt/ml/model/sub/a")
    (model / "out").symlink_to("/etc/passwd")
    (model / "up").symlink_to("../input")
    (model / "folder").symlink_to("/etc")
    (model / "itself").symlink_to("itself")
    (model / "latest").symlink_to("sub")
    os.mkfifo(model / "pipe")
    said: list[str] = []
    pieces = collect(model, ml, said.append)
    assert sorted(pieces) == ["absolute", "b", "relative", "sub/a"]
    sink = io.BytesIO()
    copy(pieces["absolute"], sink)
    assert sink.getvalue() == b"a"
    assert len(said) == 6
    assert any(line.startswith("model/latest is a link to a folder, whose files") for line in said)
    assert "model/out is a link that leads elsewhere: it was left out" in said
    assert "model/pipe is not a plain file: it was left out" in said


def test_a_folder_that_cannot_be_read_is_spoken_of_and_one_that_is_gone_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "model").write_text("a file")
    said: list[str] = []
    assert collect(tmp_path / "model", tmp_path, said.append) == {}
    assert said == [f"{tmp_path}/model cannot be read (Not a directory): it was left out"]
    assert collect(tmp_path / "gone", tmp_path, said.append) == {}
    assert len(said) == 1


def test_a_part_of_another_host_cannot_name_files_outside(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "part.tar", "w") as tar:
        for name in ("good", "../bad", "/abs", "a/../../b"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert list(read_tar(tmp_path / "part.tar")) == ["good"]
