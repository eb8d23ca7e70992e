"""Which program an entry point's name means, and its command line.

Source: the rules of Amazon's ``sagemaker-training`` package.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from trainshed.toolkit.environment import on_path
from trainshed.toolkit.failure import ToolkitError


class Kind(Enum):
    """What an entry point is."""

    PACKAGE = "package"
    """The code folder holds a setup.py: it is installed, and the module run by its name."""
    PYTHON = "python"
    SHELL = "shell"
    """Everything else: run by a shell from the code folder."""


def kind_of(program: str, code: Path) -> Kind:
    """Return what ``program`` is, by its name and what lies beside it."""
    if program.endswith(".sh"):
        return Kind.SHELL
    if (code / "setup.py").exists():
        return Kind.PACKAGE
    return Kind.PYTHON if program.endswith(".py") else Kind.SHELL


def wants_installing(kind: Kind, code: Path) -> bool:
    """Tell whether something is installed first; a shell script looks after itself."""
    if kind is Kind.SHELL:
        return False
    return kind is Kind.PACKAGE or (code / "requirements.txt").exists()


def check(program: str, kind: Kind, code: Path) -> None:
    """Refuse a name that is no file of the code folder.

    Raises:
        ToolkitError: it is empty, reaches outside, reads as an option, or is not there.
    """
    parts = Path(program).parts
    if not program or program.startswith(("-", "/")) or ".." in parts or "\0" in program:
        raise ToolkitError(
            f"the entry point {program!r} is not a path inside the source folder; set "
            "sagemaker_program to one, such as 'train.py'"
        )
    if kind is not Kind.PACKAGE and not (code / program).is_file():
        held = ", ".join(sorted(entry.name for entry in code.iterdir())[:20]) or "nothing"
        raise ToolkitError(
            f"the entry point {program!r} is not in the source folder, which holds: {held}"
        )


def command(
    program: str,
    kind: Kind,
    python: list[str],
    arguments: list[str],
    code: Path,
    variables: Mapping[str, str],
) -> list[str]:
    """Return the command line, to be run with the code folder as working folder.

    Args:
        program: the entry point.
        kind: what it is.
        python: what runs a Python program: the interpreter and its options.
        arguments: the program's.
        code: the code folder.
        variables: the program's environment; its ``PATH`` is searched.

    Raises:
        ToolkitError: an R script without a first line ``#!`` and without ``Rscript``.
    """
    if kind is Kind.PACKAGE:
        module = program[:-3] if program.endswith(".py") else program
        return [*python, "-m", module.replace("/", "."), *arguments]
    if kind is Kind.PYTHON:
        return [*python, program, *arguments]
    if program.endswith((".R", ".r")) and not _has_first_line(code / program):
        return [_rscript(program, variables), program, *arguments]
    words = " ".join(shlex.quote(each) for each in [f"./{program}", *arguments])
    return ["/bin/sh", "-c", words]


def make_executable(path: Path) -> None:
    """Let a shell run a script whose archive lost its mode."""
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o755)


def _has_first_line(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _rscript(program: str, variables: Mapping[str, str]) -> str:
    """Return what runs an R script that does not say so; a shell would take it for its own."""
    found = on_path("Rscript", variables)
    if found is None:
        raise ToolkitError(
            f"{program} is an R script, and there is no Rscript on the PATH; use an image with R"
        )
    return found
