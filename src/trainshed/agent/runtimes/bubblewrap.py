"""What bubblewrap is told, so that a process sees ``/opt/ml`` as a container would.

The root is the host's, entry by entry, except ``/opt``: a fresh one that holds the host's entries
and the node's tree as ``ml``. Nothing is created on the host.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trainshed.agent.channels.mounts import Mount
from trainshed.contract.tree import Tree

OWN_PLACES: Final = frozenset({"opt", "proc"})


def arguments(
    *,
    ml: Path,
    hosts: Path,
    host: str,
    own_pids: bool,
    mounts: Sequence[tuple[Path, str]] = (),
    channels: Sequence[Mount] = (),
) -> list[str]:
    """Return bubblewrap's arguments, without the command.

    Args:
        ml: the folder that becomes ``/opt/ml``.
        hosts: the file that becomes ``/etc/hosts``.
        host: the container's host name.
        own_pids: whether it gets a PID namespace and ``/proc`` of its own.
        mounts: further folders, and where they are found.
        channels: folders of file systems.
    """
    found = ["--die-with-parent", "--unshare-uts", "--hostname", host]
    for entry in _entries("/"):
        if entry.name not in OWN_PLACES:
            found += _same(entry)
    if own_pids:
        found += ["--unshare-pid", "--as-pid-1", "--proc", "/proc"]
    else:
        found += ["--dev-bind", "/proc", "/proc"]
    found += ["--tmpfs", "/opt"]
    for entry in _entries("/opt"):
        if entry.name != "ml":
            found += _same(entry)
    found += ["--bind", str(ml), "/opt/ml"]
    known = Path("/etc/hosts")
    if known.exists():  # bubblewrap would create it on the host otherwise
        found += ["--bind", str(hosts), str(known.resolve())]
    for source, target in mounts:
        found += ["--bind", str(source), target]
    for each in channels:
        how = "--ro-bind" if each.read_only else "--bind"
        found += [how, each.source, str(Tree().channel(each.channel))]
    return found


def hosts_file(hosts: Sequence[str]) -> str:
    """Return ``/etc/hosts`` for a container: all nodes on this machine, then what it had.

    Each node has an address of its own, so that two can listen on the same port.
    """
    ours = "".join(f"127.0.1.{rank}\t{name}\n" for rank, name in enumerate(hosts, 1))
    known = Path("/etc/hosts")
    return ours + (
        known.read_text(errors="replace") if known.exists() else "127.0.0.1\tlocalhost\n"
    )


def _entries(folder: str) -> list[os.DirEntry[str]]:
    if not os.path.isdir(folder):  # noqa: PTH112 - beside scandir
        return []
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _same(entry: os.DirEntry[str]) -> list[str]:
    if entry.is_symlink():
        return ["--symlink", os.readlink(entry.path), entry.path]  # noqa: PTH115 - a DirEntry
    return ["--dev-bind-try", entry.path, entry.path]
