"""Tells whether the kernel killed something for want of memory while a container ran."""

import contextlib
from pathlib import Path
from typing import Final

_VMSTAT: Final = Path("/proc/vmstat")


def kills() -> int:
    """Return how often the kernel did so on this machine since it booted; 0 where it won't say.

    Source: ``oom_kill`` of /proc/vmstat, which counts the kills of every memory cgroup too.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in _VMSTAT.read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0
