"""Where the code comes from, and what an archive may not do."""

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.toolkit.conftest import Job, file, tar_of

from trainshed.toolkit import unpack
from trainshed.toolkit.failure import ToolkitError

TRAIN = file("train.py", b"import pkg.part; print('from the archive', pkg.part.X)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "code"
    made.mkdir()
    return made


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_fetched_archive_is_unpacked_and_run(job: Job, tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "sourcedir.tar.gz",
        TRAIN,
        file("pkg", type=tarfile.DIRTYPE, mode=0o755),
        file("pkg/part.py", b"X = 1"),
    )
    job.hyperparameters(
        sagemaker_program="train.py", sagemaker_submit_directory="s3://bucket/sourcedir.tar.gz"
    )
    job.variables["TRAINSHED_SOURCE_ARCHIVE"] = str(archive)
    assert job.run().stdout == "from the archive 1\n"


def test_an_address_that_nobody_fetched_is_a_clear_failure(job: Job) -> None:
    job.hyperparameters(
        sagemaker_program="train.py", sagemaker_submit_directory="s3://bucket/sourcedir.tar.gz"
    )
    assert job.run().returncode == 1
    assert "s3://bucket/sourcedir.tar.gz" in job.failure
    assert "TRAINSHED_SOURCE_ARCHIVE" in job.failure


@pytest.mark.parametrize("form", ["folder", "file://folder", "tar", "file"])
def test_local_sources_are_taken(job: Job, tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("print('local')")
    tar = tar_of(tmp_path / "s.tar.gz", file("./train.py", b"print('local')"))
    forms = {
        "folder": str(source),
        "file://folder": f"file://{source}",
        "tar": str(tar),
        "file": str(source / "train.py"),
    }
    job.hyperparameters(sagemaker_program="train.py", sagemaker_submit_directory=forms[form])
    assert job.run().stdout == "local\n"
    assert names_in(source) == ["train.py"]


def test_a_local_source_that_is_not_there_is_named(job: Job) -> None:
    job.hyperparameters(sagemaker_program="a.py", sagemaker_submit_directory="/nowhere/code")
    assert job.run().returncode == 1
    assert "/nowhere/code" in job.failure


def test_a_hostile_archive_fails_the_job_by_the_members_name(job: Job, tmp_path: Path) -> None:
    job.hyperparameters(sagemaker_program="train.py")
    archive = tar_of(tmp_path / "s.tar.gz", TRAIN, file("../../evil.py", b"x"))
    job.variables["TRAINSHED_SOURCE_ARCHIVE"] = str(archive)
    assert job.run().returncode == 1
    assert "'../../evil.py'" in job.failure
    assert not list(tmp_path.rglob("evil.py"))


def link(name: str, to: str, **settings: Any) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, type=tarfile.SYMTYPE, linkname=to, **settings)


HOSTILE = {
    "an absolute path": [file("/tmp/evil", b"x")],
    "a way up": [file("a/../../evil", b"x")],
    "a link that is absolute": [link("evil", "/etc/passwd")],
    "a link that leads up": [link("a/evil", "../../outside")],
    "a file through a link": [link("a", "b"), link("b", ".."), file("a/evil", b"x")],
    "a link whose way changes later": [
        file("d", type=tarfile.DIRTYPE, mode=0o755),
        link("evil", "d/e/../.."),
        link("d/e", ".."),
    ],
    "a hard link to outside": [file("evil", type=tarfile.LNKTYPE, linkname="../outside")],
    "a hard link to an absolute path": [file("evil", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
    "a hard link to nothing": [file("evil", type=tarfile.LNKTYPE, linkname="missing")],
    "a device": [file("evil", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "a pipe": [file("evil", type=tarfile.FIFOTYPE)],
    "a file in the folder's own place": [file(".", b"evil")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_reaches_outside_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    archive = tar_of(tmp_path / "s.tar.gz", *HOSTILE[name])
    with pytest.raises(ToolkitError, match="is refused: "):
        unpack.unpack(archive, folder)
    assert (tmp_path / "outside").read_text() == "mine"
    assert names_in(tmp_path) == ["code", "outside", "s.tar.gz"]


def test_links_that_stay_inside_are_kept(folder: Path, tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "s.tar.gz",
        file("a/data", b"x"),
        link("b", "a"),
        link("a/up", "../a/data"),
        file("same", type=tarfile.LNKTYPE, linkname="a/data"),
    )
    unpack.unpack(archive, folder)
    assert [(folder / p).read_text() for p in ("b/data", "a/up", "same")] == ["x", "x", "x"]


def test_a_set_user_id_bit_is_not_kept_and_the_mode_is(folder: Path, tmp_path: Path) -> None:
    unpack.unpack(tar_of(tmp_path / "s.tar.gz", file("run", b"", mode=0o4755)), folder)
    assert (folder / "run").stat().st_mode & 0o7777 == 0o755


def test_what_the_image_has_is_replaced_never_written_through(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    (folder / "train.py").symlink_to(tmp_path / "outside")
    unpack.unpack(tar_of(tmp_path / "s.tar.gz", file("train.py", b"new")), folder)
    assert (folder / "train.py").read_text() == "new"
    assert (tmp_path / "outside").read_text() == "mine"


def test_a_sparse_bomb_is_refused_before_it_is_written(folder: Path, tmp_path: Path) -> None:
    bomb, _ = file("bomb")
    bomb.size = unpack.MAX_BYTES + 1
    path = tmp_path / "s.tar"
    path.write_bytes(bomb.tobuf() + b"\0" * 10240)
    with pytest.raises(ToolkitError, match="with 'bomb' it holds more than"):
        unpack.unpack(path, folder)
    assert names_in(folder) == []


def test_a_header_that_claims_too_much_is_not_read_into_memory(
    folder: Path, tmp_path: Path
) -> None:
    header, _ = file("././@PaxHeader", type=tarfile.XHDTYPE)
    header.size = 1024**3
    path = tmp_path / "s.tar"
    path.write_bytes(header.tobuf() + b"\0" * 10240)
    with pytest.raises(ToolkitError, match="claims 1073741824 bytes"):
        unpack.unpack(path, folder)


def test_too_many_members_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    member, _ = file("again", type=tarfile.DIRTYPE, mode=0o755)
    path.write_bytes(member.tobuf() * (unpack.MAX_MEMBERS + 1))
    with pytest.raises(ToolkitError, match="more than 100000 members"):
        unpack.unpack(path, folder)


@pytest.mark.parametrize("kept", [0, 1, 30, 200])
def test_a_broken_archive_is_a_clear_failure(folder: Path, tmp_path: Path, kept: int) -> None:
    path = tar_of(tmp_path / "s.tar.gz", file("train.py", os.urandom(4000)))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ToolkitError, match="cannot be unpacked"):
        unpack.unpack(path, folder)


def test_a_missing_archive_is_a_clear_failure(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="cannot be unpacked"):
        unpack.unpack(tmp_path / "none.tar.gz", folder)
