"""The toolkit runs on the Python of the image, from 3.8 on, and says so to older ones."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.toolkit.conftest import TOOLKIT, Job

PACKAGE = TOOLKIT.parent.parent
SOURCES = sorted(
    path for room in ("contract", "toolkit") for path in (PACKAGE / room).rglob("*.py")
)
LATER: dict[str, tuple[int, int]] = {
    "removeprefix": (3, 9),
    "removesuffix": (3, 9),
    "is_relative_to": (3, 9),
    "with_stem": (3, 9),
    "readlink": (3, 9),
    "hardlink_to": (3, 10),
    "bit_count": (3, 10),
    "pairwise": (3, 10),
    "tomllib": (3, 11),
    "StrEnum": (3, 11),
    "zoneinfo": (3, 9),
    "graphlib": (3, 9),
    "waitstatus_to_exitcode": (3, 9),
    "pidfd_open": (3, 9),
    "to_thread": (3, 9),
    "slots": (3, 10),
    "kw_only": (3, 10),
    "strict": (3, 10),
    "newline": (3, 10),
    "data_filter": (3, 12),
    "batched": (3, 12),
}
"""Names of the standard library and arguments of its functions, by the version they came with."""


def pythons() -> list[str]:
    """Return this Python, and the older and newer ones that are installed here."""
    found = [sys.executable]
    for minor in range(8, 15):
        where = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
        on_path = shutil.which(f"python3.{minor}")
        found += [str(path) for path in where] or ([on_path] if on_path else [])
    return [python for python in found if works(python)]


def works(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_is_read_by_python_3_8_and_asks_for_nothing_newer(path: Path) -> None:
    tree = ast.parse(path.read_text(), str(path), feature_version=(3, 8))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            used |= {alias.name for alias in node.names}
    assert used & LATER.keys() == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_annotations_are_never_evaluated(path: Path) -> None:
    tree = ast.parse(path.read_text())
    annotated = any(isinstance(node, (ast.FunctionDef, ast.AnnAssign)) for node in ast.walk(tree))
    assert not annotated or "from __future__ import annotations" in path.read_text()


def test_a_job_runs_on_every_python_of_this_machine(tmp_path: Path) -> None:
    for number, python in enumerate(pythons()):
        job = Job(tmp_path / str(number))
        job.code("train.py", "import sys; print(sys.argv[1:]); raise ValueError('bad')", lr=0.1)
        ended = job.run(python, "-I", "-S", str(TOOLKIT), "train")
        assert (ended.returncode, ended.stdout) == (1, "['--lr', '0.1']\n"), (python, ended.stderr)
        assert "ValueError: bad" in job.failure


def test_every_module_loads_on_every_python_of_this_machine() -> None:
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in SOURCES
        if not path.name.startswith("__")
    ]
    program = f"import sys; sys.path.append({str(PACKAGE.parent)!r}); import {', '.join(names)}"
    for python in pythons():
        ended = subprocess.run(
            [python, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, (python, ended.stderr)


def test_the_first_file_is_read_by_python_3_6_to_say_what_is_needed() -> None:
    text = (TOOLKIT).read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    check = next(node for node in tree.body if isinstance(node, ast.If))
    assert "version_info < (3, 8)" in ast.unparse(check.test)
    told = "import sys; sys.version_info = (3, 6, 15)\n" + text
    ended = subprocess.run(
        [sys.executable, "-I", "-c", told], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "this is Python 3.6, and running training scripts takes Python 3.8" in ended.stderr
