import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest
from tests.client.fake_server import FakeServer, announce, serving

ROOT = Path(__file__).parents[2]


class Typed(subprocess.Popen[str]):
    """A command; a test that fails while it runs is not held up by it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


class Shell:
    """Types commands, each a process of its own, for one data folder."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self.data_dir = data_dir
        self.folder = folder
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TRAINSHED_", "AWS_", "NO_COLOR"))
        } | {"TRAINSHED_DATA_DIR": str(data_dir), "PYTHONIOENCODING": "utf-8"}
        self._begun: list[Typed] = []

    def begin(self, *words: str, stdin: int = subprocess.DEVNULL) -> Typed:
        """Begin a command and return it."""
        process = Typed(
            [sys.executable, "-m", "trainshed.cli", *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )
        self._begun.append(process)
        return process

    def close(self) -> None:
        """End what a test that failed has left."""
        for process in self._begun:
            with process:
                process.kill()

    def __call__(self, *words: str, code: int = 0, typed: str | None = None) -> "Said":
        """Carry out a command that ends with this exit code, and return what it said.

        ``typed`` is piped into it.
        """
        stdin = subprocess.DEVNULL if typed is None else subprocess.PIPE
        with self.begin(*words, stdin=stdin) as process:
            out, err = process.communicate(typed, timeout=100)
        assert process.returncode == code, (process.returncode, out, err)
        return Said(out, err)


class Said:
    """What a command said."""

    def __init__(self, out: str, err: str) -> None:
        self.out = out
        self.err = err
        self.lines = out.splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder, for a data folder where no server runs."""
    folder = tmp_path / "here"
    folder.mkdir()
    made = Shell(tmp_path / "data", folder)
    yield made
    made.close()


@pytest.fixture
def fake(shell: Shell) -> Iterator[FakeServer]:
    """The server with memory, announced in the shell's data folder."""
    with serving(FakeServer()) as server:
        announce(server, shell.data_dir, os.getpid())
        yield server
