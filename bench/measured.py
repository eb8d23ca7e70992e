"""What a command costs as a whole: its time, its processors' time, its memory."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run, all of its processes together."""

    seconds: float
    cpu: float
    """Processor seconds, user and system."""
    rss: float
    """MB that the largest of its processes had at most."""


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message holds what it said.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if env is None else {**os.environ, **env},
    )
    assert process.stdout is not None
    said: list[bytes] = []
    # Read beside the waiting: a full pipe would hold the command up.
    reader = threading.Thread(target=lambda: said.append(process.stdout.read()[-2000:]))  # type: ignore[union-attr]
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    process.stdout.close()
    if process.returncode:
        text = b"".join(said).decode(errors="replace")
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {text}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def own_cpu() -> float:
    """Return the processor seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
