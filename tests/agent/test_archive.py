"""What goes into a model archive, and what does not."""

import contextlib
import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.toolkit.hostile import nested, tars

from trainshed.agent.outputs.archive import (
    Complain,
    Piece,
    Vanished,
    collect,
    copy,
    read_tar,
    write_tar,
)
from trainshed.agent.written.folder import Folder


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    base = tmp_path / "ml"
    (base / "model/sub").mkdir(parents=True)
    (base / "model/b").write_text("b")
    (base / "model/sub/a").write_text("a")
    return base


def _collected(ml: Path, complain: Complain, name: str = "model") -> dict[str, Piece]:
    folder = Folder(ml / name, ml, seen_as=f"/opt/ml/{name}")
    return collect(folder, name, complain)


def _packed(ml: Path, said: list[str]) -> bytes:
    sink = io.BytesIO()
    write_tar(_collected(ml, said.append), sink, said.append, compress=True)
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
    pieces = _collected(ml, said.append)
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
    assert _collected(tmp_path, said.append) == {}
    assert said == ["model/ cannot be read (Not a directory): it was left out"]
    assert _collected(tmp_path / "gone", said.append) == {}
    assert len(said) == 1


@pytest.mark.parametrize("replaced", ["output", "output/data"])
def test_a_link_in_place_of_a_folder_of_the_platform_leads_nowhere(
    tmp_path: Path, replaced: str
) -> None:
    (tmp_path / "host/data").mkdir(parents=True)
    (tmp_path / "host/data/secret").write_text("s")
    place = tmp_path / "ml" / replaced
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "host" / ("" if replaced == "output" else "data"))
    said: list[str] = []
    assert _collected(tmp_path / "ml", said.append, "output/data") == {}
    assert said == ["output/data/ is not the folder that the platform made: it was left out"]


def test_a_folder_that_becomes_a_link_takes_its_files_along(ml: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/a").write_text("secret")
    pieces = _collected(ml, print)
    (ml / "model/sub").rename(ml / "model/was-sub")
    (ml / "model/sub").symlink_to(tmp_path / "host")
    with pytest.raises(Vanished):
        copy(pieces["sub/a"], io.BytesIO())


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


def test_files_that_change_while_they_are_packed_leave_the_archive_whole(ml: Path) -> None:
    model = ml / "model"
    for name in ("1-grows", "2-shrinks", "3-goes", "4-becomes-a-link", "5-becomes-a-pipe"):
        (model / name).write_bytes(b"x" * 3_000_000)
    sink, said = io.BytesIO(), list[str]()
    pieces = _collected(ml, said.append)

    class Meddler:
        """A sink that changes the files while the first of them is on its way."""

        def write(self, data: bytes) -> int:
            if not sink.tell():
                with (model / "1-grows").open("ab") as file:
                    file.write(b"more")
            elif (model / "3-goes").exists():
                (model / "3-goes").unlink()
                for name in ("4-becomes-a-link", "5-becomes-a-pipe"):
                    (model / name).unlink()
                (model / "4-becomes-a-link").symlink_to("/etc/passwd")
                os.mkfifo(model / "5-becomes-a-pipe")
            if sink.tell() > 4_000_000:
                os.truncate(model / "2-shrinks", 1_000_000)
            return sink.write(data)

    write_tar(pieces, Meddler(), said.append, compress=False)
    sink.seek(0)
    with tarfile.open(fileobj=sink) as tar:
        names = tar.getnames()
        grown, shrunk = tar.extractfile("1-grows"), tar.extractfile("2-shrinks")
        assert grown is not None
        assert shrunk is not None
        assert grown.read() == b"x" * 3_000_000
        text = shrunk.read()
    assert names == ["1-grows", "2-shrinks", "b", "sub/a"]
    kept = text.rstrip(b"\0")
    assert kept == b"x" * len(kept)
    lost = len(text) - len(kept)
    cut = f"its last {lost} of 3000000 bytes are zeros in the archive"
    assert said == [
        "1-grows grew while it was packed: its first 3000000 bytes are kept",
        f"2-shrinks was cut short while it was packed: {cut}",
        *(
            f"{name} was deleted before it could be kept"
            for name in ("3-goes", "4-becomes-a-link", "5-becomes-a-pipe")
        ),
    ]
    assert lost > 0


def test_names_of_any_length_and_any_bytes_are_kept(ml: Path) -> None:
    deep = "/".join(["ordner" * 20] * 12)
    names = [b"gr\xc3\xb6\xc3\x9fe \xe6\x97\xa5", b"not \xff utf-8", b"new\nline", deep.encode()]
    for name in names:
        path = ml / "model" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name)
    with tarfile.open(fileobj=io.BytesIO(_packed(ml, []))) as tar:
        found = {os.fsencode(member.name): tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert {name: found[name] for name in names} == {name: name for name in names}


def test_hard_links_are_files_of_their_own(ml: Path) -> None:
    (ml / "model/again").hardlink_to(ml / "model/b")
    with tarfile.open(fileobj=io.BytesIO(_packed(ml, []))) as tar:
        assert [(m.name, m.isreg(), m.size) for m in tar][:2] == [
            ("again", True, 1),
            ("b", True, 1),
        ]


def test_a_sparse_file_of_more_than_8_gib_has_a_length_that_readers_understand(ml: Path) -> None:
    size = (8 << 30) + 5
    with (ml / "model/0-large").open("wb") as file:
        file.truncate(size)
    head = bytearray()

    class Enough(Exception):
        pass

    class Start:
        def write(self, data: bytes) -> int:
            head.extend(data)
            if len(head) > 4096:
                raise Enough
            return len(data)

    with pytest.raises(Enough):
        write_tar(_collected(ml, print), Start(), print, compress=False)
    with tarfile.open(fileobj=io.BytesIO(head), mode="r|") as tar:
        member = tar.next()
    assert member is not None
    assert (member.name, member.size) == ("0-large", size)


def test_without_igzip_the_archive_holds_the_same(ml: Path) -> None:
    (ml / "model/weights").write_bytes(os.urandom(3_000_000) + b"\0" * 1_000_000)
    program = (
        "import io, sys; sys.modules['isal'] = None\n"
        "from pathlib import Path; from trainshed.agent.outputs.archive import collect, write_tar\n"
        "from trainshed.agent.written.folder import Folder\n"
        f"ml, out = Path({str(ml)!r}), io.BytesIO()\n"
        "found = collect(Folder(ml / 'model', ml, seen_as=''), '', print)\n"
        "write_tar(found, out, print, compress=True)\n"
        "sys.stdout.buffer.write(out.getvalue())"
    )
    packed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    ours = _packed(ml, [])
    assert packed[:10] != ours[:10]  # the two libraries name different systems
    assert gzip.decompress(packed) == gzip.decompress(ours)
    assert (ours[3], ours[4:8]) == (0, b"\0\0\0\0")  # neither a name nor a time


def test_many_small_files_are_handed_on_in_few_large_pieces(ml: Path) -> None:
    for number in range(3000):
        (ml / f"model/{number}").write_bytes(b"x" * 100)
    sizes: list[int] = []

    class Sizes:
        def write(self, data: bytes) -> int:
            sizes.append(len(data))
            return len(data)

    write_tar(_collected(ml, print), Sizes(), print, compress=False)
    assert sum(sizes) > 3000 * 1024
    assert len(sizes) < 5


def test_a_part_that_ends_too_early_is_no_part(tmp_path: Path, ml: Path) -> None:
    with (tmp_path / "part.tar").open("wb") as sink:
        write_tar(_collected(ml, print), sink, print, compress=False)
    os.truncate(tmp_path / "part.tar", 600)
    with pytest.raises(tarfile.ReadError):
        read_tar(tmp_path / "part.tar")


@settings(max_examples=200)
@given(tars())
def test_a_part_with_lying_headers_names_nothing_outside_itself(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.tar"
        part.write_bytes(text)
        with contextlib.suppress(tarfile.TarError):
            for name, piece in read_tar(part).items():
                assert not {"", ".", ".."} & set(name.split("/"))
                assert piece.path == str(part)
                sink = io.BytesIO()
                copy(piece, sink)
                assert len(sink.getvalue()) == piece.size


def test_a_part_that_nests_names_for_ever_is_refused(tmp_path: Path) -> None:
    (tmp_path / "part.tar").write_bytes(nested(3000))
    with pytest.raises(tarfile.ReadError, match="malformed"):
        read_tar(tmp_path / "part.tar")
