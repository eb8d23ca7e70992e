"""Whether a FUSE view can be mounted on this machine, and how one is taken away again.

A view that lost its process stays mounted, and answers every question with ENOTCONN. So whatever
deletes a node's folder unmounts first what is mounted below it.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from trainshed.agent.written.opening import real_path

_DEVICE: Final = "/dev/fuse"
_LIBRARIES: Final = ("libfuse3.so.3", "libfuse3.so.4")
_CONFIGURATION: Final = Path("/etc/fuse.conf")
_MOUNTS: Final = Path("/proc/self/mountinfo")
_DETACH: Final = 2
"""MNT_DETACH: who uses it may end in peace."""
_NO_FOLLOW: Final = 8
"""UMOUNT_NOFOLLOW."""
_TRIAL_S: Final = 20.0
_TRIAL: Final = "fuse-trial"
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


def why_not(folder: Path, *, shared: bool = False) -> str:
    """Return why no view can be mounted below ``folder``, as a clause; "" when one can.

    Args:
        folder: the node's.
        shared: whether processes of other users must be able to read it, as a container
            engine's must.
    """
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{_DEVICE} cannot be opened ({error.strerror})"
    if not library():
        return "libfuse3 is not installed"
    if os.geteuid() and shutil.which("fusermount3") is None:
        return "fusermount3 is not installed"
    if shared and not allows_others():
        return f"user_allow_other is not set in {_CONFIGURATION}, so containers could not read it"
    return _trial(folder)


def library() -> str:
    """Return what libfuse is called here; "" when it is not installed."""
    for name in _LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return ""


def allows_others() -> bool:
    """Tell whether we may mount what other users can read."""
    if os.geteuid() == 0:
        return True
    try:
        lines = _CONFIGURATION.read_text().splitlines()
    except OSError:
        return False
    return any(line.strip() == "user_allow_other" for line in lines)


def mounted_below(real: str) -> list[str]:
    """Return where something is mounted at or below a path, what was mounted last first.

    ``real`` is the path with all links followed but those that a container may have put there.
    """
    found = []
    for line in _MOUNTS.read_text(errors="surrogateescape").splitlines():
        place = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4])
        if place == real or place.startswith(f"{real}/"):
            found.append(place)
    return found[::-1]


def unmount_below(folder: Path, base: Path | None = None) -> None:
    """Take away all that is mounted at or below a folder, also what has lost its process.

    Args:
        folder: the folder.
        base: a folder above it, below which no links are followed, because a container may have
            put them there: each would lead to a folder of this machine.

    Raises:
        OSError: something is mounted there still.
    """
    real = real_path(folder, base or folder)
    for place in mounted_below(real):
        _unmount(place)
    if left := mounted_below(real):
        raise OSError(f"{left[0]} cannot be unmounted; do it by hand: umount -l {left[0]}")


def _unmount(place: str) -> None:
    if os.geteuid() == 0:
        how = _DETACH | _NO_FOLLOW
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(place), how)
        return
    program = shutil.which("fusermount3") or "fusermount3"
    subprocess.run([program, "-u", "-z", place], capture_output=True, check=False)


def _trial(folder: Path) -> str:
    """Mount something, look at it, and take it away; in a process of its own."""
    place = folder / _TRIAL
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-m", "trainshed.agent.feeding.trial", str(place)]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=_TRIAL_S, check=False)
        said = tried.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        why = f"a trial failed ({said})" if tried.returncode else ""
    except subprocess.TimeoutExpired:
        why = f"a trial did not end within {_TRIAL_S:g} s"
    unmount_below(place)
    place.rmdir()
    return why
