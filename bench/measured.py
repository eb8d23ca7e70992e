"""What a command costs as a whole: its time, its processors' time, its memory."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LEFT_FREE: Final = 1 << 30
_FILLED: Final = 32 << 30


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


def fill_memory(folder: Path) -> None:
    """Have files take the memory that is free, until ``folder`` is removed.

    Where a host lends a machine its memory piece by piece, a page that was never used takes longer
    than all that is measured; and one that was freed is soon given back.
    """
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    path, buffer = folder / "holes", bytearray(1 << 20)
    with path.open("w+b", buffering=0) as file:
        file.truncate(min(max(pages - _LEFT_FREE, 0), _FILLED))
        while file.readinto(buffer):
            pass


def own_cpu() -> float:
    """Return the processor seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
