"""Jobs that go on until they are let go, for tests that look into them."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Shell

LOOP = """
import os, pathlib, sys, time
print("began", flush=True)
while not pathlib.Path(os.environ["GATE"]).exists():
    print("tick", flush=True)
    time.sleep(0.05)
print("bye", flush=True)
sys.exit(int(os.environ.get("CODE", "0")))
"""
"""The program of such a job."""


def until_line(shell: Shell, job: str, line: str) -> None:
    """Return once a job has written a line."""
    with shell.begin("logs", "-f", job) as following:
        assert following.stdout is not None
        for said in following.stdout:
            if said == f"{line}\n":
                break
        else:
            raise AssertionError(f"{job} ended without {line!r}")
        following.kill()


def left_of_shells(shell: Shell) -> list[str]:
    """Return the folders that shells have left behind."""
    return [path.name for path in (shell.data_dir / "shells").glob("*")]


class Terminal:
    """A command with a terminal of its own, as a person has it."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self._fd, theirs = pty.openpty()
        self.said = b""
        # setsid makes the terminal the controlling one, so that Ctrl-C is a signal.
        self._process = subprocess.Popen(
            ["/usr/bin/setsid", "--ctty", sys.executable, "-m", "trainshed.cli", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=shell.folder,
            env=shell.environment | {"TERM": "xterm"},
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def until(self, text: str) -> None:
        """Return once this is shown."""
        while text.encode() not in self.said:
            assert select.select([self._fd], [], [], 60)[0], self.said.decode()
            assert self._read(), self.said.decode()

    def kill(self) -> None:
        """End the command as a crash does."""
        self._process.kill()
        self.end()

    def end(self) -> int:
        """Return the exit code, once it has ended and all is read."""
        while self._read():
            pass
        os.close(self._fd)
        return self._process.wait(60)

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says EIO when the other end is closed
            data = b""
        self.said += data
        return data


def model_of(shell: Shell, job: str) -> str:
    """Return the content of a job's model.txt."""
    shell("pull", job, "--to", "pulled")
    return Path(shell.folder, "pulled", "model.txt").read_text()
