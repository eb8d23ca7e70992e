"""What the jobs of a chaos run train: small, disturbed at any moment, with an end that is known.

A program of its own, run by its path with nothing but the standard library. Its hyperparameters say
what it does; it notes outside of its container when it began and ended, and holds a lock meanwhile,
so that two of it at once are seen. Its model tells whether each step was done, once and in order,
over however many attempts.
"""

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

TREE = Path("/opt/ml")
FAILURE = "the data is bad on purpose"
EXIT_CODE = 3


def step(digest: str, number: int) -> str:
    """Return what a step makes of what those before it made."""
    return hashlib.sha256(f"{digest}/{number}".encode()).hexdigest()


def model(job: str, host: str, steps: int, data: bytes) -> bytes:
    """Return the bytes of a finished model."""
    digest = hashlib.sha256(f"{job}/{host}".encode() + data).hexdigest()
    for number in range(steps):
        digest = step(digest, number)
    return f"{job} {host} {steps} {digest}\n".encode()


def line(attempt: str, number: int) -> str:
    """Return a line of the log; numbers count from 0 in each attempt."""
    return f"line {number} of attempt {attempt}: loss={1 / (1 + number):.6f}"


class Training:
    """One run of the program."""

    def __init__(self, asked: Mapping[str, str], host: str, attempt: str) -> None:
        """Begin, or go on from what was kept."""
        self._asked, self._host, self._attempt = asked, host, attempt
        self._steps = int(asked["steps"])
        self._kept = TREE / "checkpoints" / "state.json"
        self._lines = 0
        self.stopping = False
        self.number = 0
        begin = f"{asked['job']}/{host}".encode() + _data()
        self._digest = hashlib.sha256(begin).hexdigest()
        if asked.get("keeps") and self._kept.exists():
            state = json.loads(self._kept.read_text())
            self.number, self._digest = state["number"], state["digest"]

    def run(self) -> int:
        """Train to the end, or until stopped; return the exit code."""
        while self.number < self._steps and not self.stopping:
            time.sleep(float(self._asked["pace"]))
            if self._asked.get("fails") == str(self.number):
                (TREE / "output" / "failure").write_text(FAILURE)
                return EXIT_CODE
            self._digest = step(self._digest, self.number)
            self.number += 1
            self._say()
            self._keep()
        if not self.stopping:
            text = f"{self._asked['job']} {self._host} {self._steps} {self._digest}\n"
            (TREE / "model" / f"{self._host}.txt").write_text(text)
        return 0

    @property
    def said(self) -> int:
        """How many lines it has written."""
        return self._lines

    def _say(self) -> None:
        print(line(self._attempt, self._lines), flush=True)  # noqa: T201 - its log
        self._lines += 1

    def _keep(self) -> None:
        if not self._asked.get("keeps"):
            return
        new = self._kept.with_suffix(".new")
        new.write_text(json.dumps({"number": self.number, "digest": self._digest}))
        new.replace(self._kept)


def _data() -> bytes:
    """Return what is in the input channel, if there is one."""
    found = TREE / "input" / "data" / "train"
    files = sorted(each for each in found.rglob("*") if each.is_file()) if found.exists() else []
    return b"".join(each.read_bytes() for each in files)


def _attempt() -> str:
    """Return the number of the attempt that this container belongs to."""
    for word in Path("/proc/self/environ").read_bytes().split(b"\0"):
        name, _, value = word.partition(b"=")
        if name == b"TRAINSHED_NODE":
            return value.decode().rpartition("/")[2].split(".")[1]
    return "?"


def _note(notes: IO[str], what: str) -> None:
    """Write a line at once: whoever is killed after it has written it."""
    os.write(notes.fileno(), f"{what} {time.monotonic_ns()}\n".encode())


def main() -> int:
    """Train, alone."""
    config = TREE / "input" / "config"
    asked = json.loads((config / "hyperparameters.json").read_text())
    host = json.loads((config / "resourceconfig.json").read_text())["current_host"]
    place = Path(asked["outside"]) / f"{asked['job']}.{host}"
    attempt = _attempt()
    with Path(f"{place}.runs").open("a") as notes, place.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _note(notes, f"overlap {attempt}")
            return 1
        _note(notes, f"begin {attempt}")
        training = Training(asked, host, attempt)
        signal.signal(signal.SIGTERM, lambda *_: setattr(training, "stopping", True))
        code = training.run()
        how = "stopped" if training.stopping else "done"
        _note(notes, f"{how if code == 0 else 'failed'} {attempt} {training.said}")
    return code


if __name__ == "__main__":
    sys.exit(main())
