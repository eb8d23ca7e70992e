"""Installs what the user's code asks for, before it starts.

In a container the interpreter belongs to the job, so pip installs into it. Where it belongs to
the user (the platform then names a folder for environments), it must not be changed: the
packages go into a virtual environment that also sees the interpreter's own packages, made once
for each content of requirements.txt and used again by later jobs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from trainshed.toolkit.child import Children, Ended
from trainshed.toolkit.entry_point import Kind
from trainshed.toolkit.failure import StepFailed, ToolkitError

_COMPLETE: Final = "trainshed-complete"
"""Made last in an environment: without it, there is none."""

_CREATE: Final = """\
import glob, importlib.util, os, site, sys, venv
target = sys.argv[1]
has_pip = importlib.util.find_spec("pip") is not None
venv.EnvBuilder(symlinks=True, clear=True, with_pip=not has_pip).create(target)
own = list(site.getsitepackages())
if site.ENABLE_USER_SITE:
    own.insert(0, site.getusersitepackages())
(packages,) = glob.glob(os.path.join(glob.escape(target), "lib", "python*", "site-packages"))
with open(os.path.join(packages, "trainshed-parent.pth"), "w", encoding="utf-8") as file:
    for folder in filter(os.path.isdir, own):
        file.write("import site; site.addsitedir(%r)\\n" % folder)
"""
"""Run by the user's interpreter: an environment that sees that interpreter's packages behind its
own. ``addsitedir`` and not a plain line, so that .pth files found there count too."""


class Installer:
    """Installs with one interpreter."""

    def __init__(self, children: Children, python: str, variables: dict[str, str]) -> None:
        self._children = children
        self._python = python
        self._variables = {
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            **variables,
            # The user's files lie in pip's working folder; their names must not hide pip's own.
            "PYTHONSAFEPATH": "1",
        }

    def install(self, kind: Kind, code: Path, environments: str | None, private: Path) -> str:
        """Install what ``code`` asks for; return the interpreter that sees it.

        Args:
            kind: a package is installed itself, with its requirements.
            code: the code folder.
            environments: folder of the environments; None to install into the interpreter.
            private: where an environment goes that no other job can use.

        Raises:
            ToolkitError: nothing usable came of it, and nothing half-made is left.
        """
        what = _arguments(kind, code)
        if self._variables.get("CA_REPOSITORY_ARN"):
            raise ToolkitError(
                "CA_REPOSITORY_ARN asks for a CodeArtifact index, which this runtime does not "
                "offer; set PIP_INDEX_URL to an index that needs no AWS login"
            )
        if environments is None:
            # Distributions mark their Python as theirs; here it is the job's.
            self._variables.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
            print("trainshed: installing with pip: " + " ".join(what), flush=True)
            self._pip(self._python, kind, what, code)
            return self._python
        if _editable(code):
            return self._built(private, kind, what, code)
        Path(environments).mkdir(parents=True, exist_ok=True)
        return self._shared(Path(environments) / self._key(kind, code), kind, what, code)

    def _shared(self, folder: Path, kind: Kind, what: list[str], code: Path) -> str:
        python = str(folder / "bin" / "python")
        if not (folder / _COMPLETE).exists():
            with folder.with_suffix(".lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    print("trainshed: waiting for the job that installs the same", flush=True)
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / _COMPLETE).exists():
                    return self._built(folder, kind, what, code)
        os.utime(folder / _COMPLETE)  # when it was last used, for whoever tidies up
        print(f"trainshed: using the environment {folder.name}, made by an earlier job", flush=True)
        return python

    def _built(self, folder: Path, kind: Kind, what: list[str], code: Path) -> str:
        """Make an environment in its final place: its scripts name their interpreter by path."""
        print(f"trainshed: making the environment {folder.name} for: {' '.join(what)}", flush=True)
        python = str(folder / "bin" / "python")
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            self._create(kind, folder)
            self._pip(python, kind, what, code)
            (folder / _COMPLETE).touch()
            undo.pop_all()
        return python

    def _create(self, kind: Kind, folder: Path) -> None:
        ended = self._run([self._python, "-c", _CREATE, str(folder)], str(folder.parent))
        if ended.exit_code:
            named = [self._python, "-m", "venv", str(folder)]
            raise StepFailed(_failure(kind), ended.exit_code, ended.stderr_tail, named)

    def _pip(self, python: str, kind: Kind, what: list[str], code: Path) -> None:
        command = [python, "-m", "pip", "install", *what]
        ended = self._run(command, str(code))
        if ended.exit_code:
            raise StepFailed(_failure(kind), ended.exit_code, ended.stderr_tail, command)

    def _run(self, command: list[str], folder: str) -> Ended:
        try:
            return self._children.run(command, self._variables, folder)
        except OSError as error:
            raise ToolkitError(f"{command[0]} cannot be started: {error}") from error

    def _key(self, kind: Kind, code: Path) -> str:
        digest = hashlib.sha256()
        interpreter = Path(self._python)
        settings = interpreter.parent.parent / "pyvenv.cfg"
        for path in (interpreter, settings):
            made = path.stat().st_mtime_ns if path.exists() else 0
            digest.update(f"{path}\0{made}\0".encode())
        requirements = code / "requirements.txt"
        if requirements.exists():
            digest.update(requirements.read_bytes())
        if kind is Kind.PACKAGE or _names_files(code):
            _add_files(digest, code)
        return digest.hexdigest()[:24]


def _arguments(kind: Kind, code: Path) -> list[str]:
    """Return what pip is asked to install."""
    listed = ["-r", "requirements.txt"] if (code / "requirements.txt").exists() else []
    return [".", *listed] if kind is Kind.PACKAGE else listed


def _failure(kind: Kind) -> str:
    return "InstallModuleError" if kind is Kind.PACKAGE else "InstallRequirementsError"


def _lines(code: Path) -> list[str]:
    if not (code / "requirements.txt").exists():
        return []
    text = (code / "requirements.txt").read_text("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _editable(code: Path) -> bool:
    """Tell whether the environment would point into this job's code folder."""
    return any(line.startswith(("-e", "--editable")) for line in _lines(code))


def _names_files(code: Path) -> bool:
    """Tell whether other files of the code folder decide what is installed."""
    options = ("-r", "--requirement", "-c", "--constraint", "-f", "--find-links", ".", "/")
    return any(line.startswith(options) or "file:" in line for line in _lines(code))


def _add_files(digest: hashlib._Hash, code: Path) -> None:
    for path in sorted(code.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(code)}\0{content}\0".encode())
