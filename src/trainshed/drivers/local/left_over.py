"""Finds and ends what a node left although its agent is gone.

A container dies with its agent, except in the moment while bubblewrap sets it up: a process that
was cloned before it could ask to die with its parent waits for that parent for ever. Everything a
node runs carries the node's folder in its environment, so it is found without anybody's memory.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from trainshed.domain.names import NODE_VARIABLE

_PROC: Final = Path("/proc")


def end_left_over(folder: Path) -> list[int]:
    """Kill every process that carries the node's folder; return their pids."""
    mark = NODE_VARIABLE.encode() + b"=" + os.fsencode(folder.resolve())
    ended = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and _carries(entry, mark):
            pid = int(entry.name)
            with contextlib.suppress(ProcessLookupError):
                process = os.pidfd_open(pid)
                try:
                    # Looked at again: the number may have gone to another process meanwhile.
                    if _carries(entry, mark):
                        signal.pidfd_send_signal(process, signal.SIGKILL)
                        ended.append(pid)
                finally:
                    os.close(process)
    return ended


def has_mounts(folder: Path) -> bool:
    """Tell whether something is mounted at or below a folder."""
    path = str(folder.resolve())
    for code in (0o134, 0o40, 0o11, 0o12):  # as the kernel writes them there; the first is "\\"
        path = path.replace(chr(code), f"\\{code:03o}")
    table = (_PROC / "self/mountinfo").read_text(errors="surrogateescape")
    return f" {path}/" in table or f" {path} " in table


def _carries(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it is gone, or another user's
        return False
