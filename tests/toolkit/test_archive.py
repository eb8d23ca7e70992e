"""The toolkit as one file."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.toolkit.conftest import Job

from trainshed.toolkit import archive


def test_the_zip_alone_runs_a_job(job: Job, tmp_path: Path) -> None:
    archive.build(tmp_path / "toolkit.zip")
    job.code("train.py", "import sys; print(sys.argv[1:]); raise ValueError('bad')", lr=0.1)
    ended = job.run(sys.executable, "-I", "-S", str(tmp_path / "toolkit.zip"), "train")
    assert (ended.returncode, ended.stdout) == (1, "['--lr', '0.1']\n")
    assert "ValueError: bad" in job.failure


@pytest.mark.parametrize("words", [[], ["train"]])
def test_with_a_first_line_it_is_the_program_train(
    job: Job, tmp_path: Path, words: list[str]
) -> None:
    archive.build(tmp_path / "train", f"#!{sys.executable} -IS")
    job.code("train.py", "print('trained')")
    ended = job.run(str(tmp_path / "train"), *words)
    assert (ended.returncode, ended.stdout) == (0, "trained\n")
    assert (tmp_path / "train").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["python3", "python"])
def test_it_finds_a_python_itself_where_nobody_knows_the_image(
    job: Job, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / name).symlink_to(sys.executable)
    archive.build(folder / "train", archive.ANY_PYTHON)
    job.code("train.py", "print('trained')")
    job.variables["PATH"] = str(folder)
    ended = job.run(str(folder / "train"), "train")
    assert (ended.returncode, ended.stdout) == (0, "trained\n"), ended.stderr


def test_an_image_without_python_is_told_so(job: Job, tmp_path: Path) -> None:
    archive.build(tmp_path / "train", archive.ANY_PYTHON)
    job.variables["PATH"] = str(tmp_path)
    ended = job.run(str(tmp_path / "train"))
    assert ended.returncode == 127
    assert f"neither python3 nor python is on this image's PATH ({tmp_path})" in ended.stderr


@pytest.mark.parametrize("line", ["python3", "#!python3", "#!/bin/a\n#!/bin/b", "#!/" + "a" * 200])
def test_a_first_line_that_no_system_understands_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match="is no first line of a program"):
        archive.build(tmp_path / "train", line)


def test_it_is_built_by_a_program_too(tmp_path: Path) -> None:
    archive.build(tmp_path / "a", "#!/usr/bin/python3 -IS")
    program = [sys.executable, "-I", archive.__file__]
    subprocess.run([*program, str(tmp_path / "b"), "#!/usr/bin/python3 -IS"], check=True)
    subprocess.run([*program, str(tmp_path / "c")], check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "c").read_bytes().startswith(b"PK")
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "usage" in ended.stderr


def test_the_zip_needs_nothing_that_is_installed(tmp_path: Path) -> None:
    archive.build(tmp_path / "toolkit.zip")
    program = (
        f"import sys; sys.path.append({str(tmp_path / 'toolkit.zip')!r})\n"
        "import trainshed.toolkit.main, trainshed.toolkit.requirements\n"
        "from trainshed.toolkit.launchers import mpi, plain, rsh, torchrun, worker\n"
        "print(*{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names))"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert set(ended.stdout.split()) == {"trainshed", "__main__"}


def test_the_zip_holds_only_what_python_3_8_reads(tmp_path: Path) -> None:
    archive.build(tmp_path / "toolkit.zip")
    with zipfile.ZipFile(tmp_path / "toolkit.zip") as file:
        names = file.namelist()
        for name in names:
            ast.parse(file.read(name), name, feature_version=(3, 8))
    assert "__main__.py" in names
    assert all(name.startswith(("__main__", "trainshed/")) for name in names)
    assert {name.split("/")[1] for name in names[:-1]} == {"__init__.py", "contract", "toolkit"}


def test_the_same_sources_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        archive.build(tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
