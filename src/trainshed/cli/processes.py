"""Finds the processes of a node that runs without an engine, and joins them.

Everything that a node runs carries the node's folder in its environment. What the container is
made of (bubblewrap, the reaper) carries it too, and is passed over: the oldest other process is
the job's own.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainshed.agent.runtimes import process as runtime
from trainshed.client.errors import ClientError
from trainshed.domain.names import NODE_VARIABLE

_PROC: Final = Path("/proc")
_REAPER: Final = os.fsencode(Path(runtime.__file__).with_name("reaper.py"))
_OPTIONS: Final = {"user": "--user", "mnt": "--mount", "uts": "--uts", "pid": "--pid"}
"""A namespace's file below ``/proc/<pid>/ns``, and what nsenter calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What has a command join a container's processes."""

    argv: list[str]
    environment: Mapping[str, str]
    folder: str | None
    """Where it begins; None when ``argv`` sees to that."""


def first(folder: Path) -> int | None:
    """Return the pid of the first process of a node's container; None when none can be seen."""
    found = sorted((_started(pid), pid) for pid in _marked(folder))
    return found[0][1] if found else None


def join(pid: int, command: Sequence[str]) -> Joining:
    """Return what runs a command beside a process: in its namespaces, with its environment.

    Raises:
        ClientError: the process is gone, or this user may not look into it.
    """
    place = _PROC / str(pid)
    try:
        pairs = [line.partition(b"=") for line in (place / "environ").read_bytes().split(b"\0")]
        environment = {os.fsdecode(name): os.fsdecode(text) for name, sign, text in pairs if sign}
        foreign = [kind for kind in _OPTIONS if _namespace(place, kind) != _namespace("self", kind)]
        folder = str((place / "cwd").readlink())
    except FileNotFoundError as error:
        raise ClientError("the job's process has just ended", "trainshed describe @last") from error
    except PermissionError as error:
        raise ClientError(
            f"process {pid} is another user's", "run it as the user who runs the server, or as root"
        ) from error
    if not foreign:
        return Joining(argv=list(command), environment=environment, folder=folder)
    nsenter = shutil.which("nsenter")
    if nsenter is None:
        raise ClientError("nsenter is not on PATH", "install util-linux")
    argv = [nsenter, "--target", str(pid), "--wd", *(_OPTIONS[kind] for kind in foreign)]
    if "user" in foreign:
        argv.append("--preserve-credentials")
    return Joining(argv=[*argv, "--", *command], environment=environment, folder=None)


def _marked(folder: Path) -> Iterator[int]:
    mark = NODE_VARIABLE.encode() + b"=" + os.fsencode(folder.resolve())
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            program = (entry / "exe").readlink().name
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it is gone, or another user's
            continue
        if program != "bwrap" and _REAPER not in words:
            yield int(entry.name)


def _started(pid: int) -> int:
    """Return when a process began, in clock ticks since boot; proc(5), field 22."""
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    except OSError:  # it is gone: whoever is there goes before it
        return 1 << 62


def _namespace(place: Path | str, kind: str) -> str:
    return str((_PROC / place / "ns" / kind).readlink())
