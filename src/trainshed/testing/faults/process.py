"""Faults in a real process: it dies by SIGKILL of itself, and what it died of is on disk before."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from trainshed.testing.faults.faults import Faults, Struck
from trainshed.testing.faults.plan import Plan


def faults(
    plan: str, life: int, noted: Path | None, jump: Callable[[float], None] = lambda _: None
) -> Faults:
    """Return the faults of this process.

    Args:
        plan: as ``Plan.parse`` reads it.
        life: how often it was started, this time included.
        noted: gets a line ``<process id>@<monotonic clock> <fault>`` for each fault just before it
            happens.
        jump: has the process's clock jump.
    """

    def note(struck: Struck) -> None:
        if noted is None:
            return
        line = f"{os.getpid()}@{time.monotonic():.3f} {struck}\n".encode()
        descriptor = os.open(noted, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    return Faults(Plan.parse(plan), life=life, die=kill_itself, jump=jump, note=note)


def kill_itself() -> NoReturn:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # the signal is on its way
        time.sleep(1)
