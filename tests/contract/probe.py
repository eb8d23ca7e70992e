#!/usr/bin/env python3
"""What a job's program sees of its container, written down as JSON.

It runs inside the container, on the image's own Python: standard library only, Python 3.8. As a
program (an image's own ``train``) it looks and ends; programs of jobs import it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

BASE = Path("/opt/ml")
FOLDERS = ("", "input", "input/config", "input/data", "model", "output", "output/data")
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def look() -> dict[str, Any]:
    """Return everything that a program can see of its container."""
    return {
        "tree": tree(),
        "files": files(BASE / "input"),
        "writable": {name: writable(BASE / name) for name in (*FOLDERS, "checkpoints", "/tmp")},
        "mounts": mounts(),
        "environment": dict(os.environ),
        "argv": sys.argv,
        "executable": sys.executable,
        "folder": str(Path.cwd()),
        "pid": os.getpid(),
        "first_process": first_process(),
        "uid": os.getuid(),
        "umask": umask(),
        "stdin": str(Path("/proc/self/fd/0").resolve()),
        "ignored": ignored(),
        "host_name": socket.gethostname(),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "shm_bytes": shm_bytes(),
        "memory_bytes": memory_bytes(),
        "processors": os.cpu_count(),
    }


def save(**more: Any) -> None:
    """Look, and write what was seen where it is carried out; ``more`` goes with it."""
    seen = {**look(), **more}
    write(f"output/data/seen-{config('resourceconfig')['current_host']}.json", json.dumps(seen))


def write(name: str, text: str | bytes) -> None:
    """Write a file below /opt/ml, with the folders it needs."""
    path = BASE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def config(name: str) -> Any:
    """Return the content of one of the config files."""
    return json.loads((BASE / "input" / "config" / f"{name}.json").read_text())


def tree() -> dict[str, dict[str, Any]]:
    """Return everything below /opt/ml by its path; the base itself is "."."""
    return {str(path.relative_to(BASE)): entry(path) for path in [BASE, *BASE.rglob("*")]}


def entry(path: Path) -> dict[str, Any]:
    status = path.lstat()
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISREG, "file"), (stat.S_ISLNK, "link"))
    kind = next((name for fits, name in kinds if fits(status.st_mode)), "other")
    return {"kind": kind, "mode": stat.S_IMODE(status.st_mode), "size": status.st_size}


def files(folder: Path) -> dict[str, str]:
    """Return the content of the files below a folder, a character a byte."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file()
    }


def writable(folder: Path) -> bool:
    path = folder / "probe-was-here"
    try:
        path.write_text("1")
        path.unlink()
    except OSError:
        return False
    return True


def mounts() -> dict[str, list[str]]:
    """Return the options of each mount by its place."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4]: line.split()[5].split(",") for line in lines}


def first_process() -> list[str]:
    words = Path("/proc/1/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return [word.decode("latin-1") for word in words]


def umask() -> int:
    found = os.umask(0o22)
    os.umask(found)
    return found


def ignored() -> list[str]:
    """Return the names of the signals that this program was started deaf to."""
    lines = Path("/proc/self/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    own = {signal.SIGPIPE, signal.SIGXFSZ}  # Python's doing
    return [each.name for each in signal.Signals if mask >> (each - 1) & 1 and each not in own]


def shm_bytes() -> int:
    found = os.statvfs("/dev/shm")
    return found.f_frsize * found.f_blocks


def memory_bytes() -> int:
    """Return the memory limit that the container's cgroup has; 0 for none that can be seen."""
    texts = [Path(name).read_text().strip() for name in LIMITS if Path(name).exists()]
    return next((int(text) for text in texts if text.isdigit() and int(text) < 1 << 60), 0)


def address(host: str, patience: float = 60.0) -> str:
    """Return a host's address; peers may need a moment before their names are known."""
    end = time.monotonic() + patience
    while True:
        try:
            return str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
        except OSError:
            if time.monotonic() > end:
                raise
            threading.Event().wait(0.1)


if __name__ == "__main__":
    print("the image's own program")
    save()
    write("model/made-by", "the image's own program")
