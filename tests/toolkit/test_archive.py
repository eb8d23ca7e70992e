"""The toolkit as one file."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.toolkit.conftest import Job

from trainshed.toolkit import archive


def test_the_zip_alone_runs_a_job(job: Job, tmp_path: Path) -> None:
    archive.build(tmp_path / "toolkit.zip")
    job.code("train.py", "import sys; print(sys.argv[1:]); raise ValueError('bad')", lr=0.1)
    ended = job.run(sys.executable, "-I", "-S", str(tmp_path / "toolkit.zip"), "train")
    assert (ended.returncode, ended.stdout) == (1, "['--lr', '0.1']\n")
    assert "ValueError: bad" in job.failure


def test_the_zip_needs_nothing_that_is_installed(tmp_path: Path) -> None:
    archive.build(tmp_path / "toolkit.zip")
    program = (
        f"import sys; sys.path.append({str(tmp_path / 'toolkit.zip')!r})\n"
        "import trainshed.toolkit.main, trainshed.toolkit.requirements\n"
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
