"""What the nodes of a chain of warm pools keep for those after them: folders of this machine.

    pools/lock                      held while somebody joins or leaves
    pools/<chain>/nodes/<node_id>   empty: the node is of the chain
    pools/<chain>/<host>/cache/     what the jobs wrote
    pools/<chain>/<host>/to-clean   there while files may be some container's user's
    pools/<chain>~<digits>/         being deleted

A node joins once its own folder is there, so whether a chain is in use is seen from the folders
alone, by every server. A job may be given the nodes of a pool in the very moment in which its time
is over: then what it kept is either in use already, and stays, or the job begins with an empty
folder; never is a folder deleted that a node works in.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_NODES: Final = "nodes"
_CACHE: Final = "cache"
_DOOMED: Final = "~"
"""Stands in no name of a chain."""


class Pools:
    """The folders of all chains beside one folder of nodes."""

    def __init__(self, nodes: Path) -> None:
        """``nodes`` holds a folder per node."""
        self._nodes = nodes
        self._root = nodes.parent / "pools"

    def join(self, chain: str, host: str, node_id: str) -> Path:
        """Return the folder that a node shares with those before and after it, made if missing.

        The node's own folder is there already.

        Raises:
            OSError: it can't be made.
        """
        folder = self._root / chain
        with self._alone():
            mark = folder / _NODES / node_id
            mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            mark.touch()
            cache = folder / host / _CACHE
            cache.mkdir(parents=True, exist_ok=True)
        return cache

    def leave(self, chain: str) -> list[Path]:
        """Return the folders that are to be deleted now that nodes of a chain are gone.

        None as long as one is there. Those that were not deleted last time are among them.

        Raises:
            OSError: it can't be seen.
        """
        folder = self._root / chain
        if not self._root.is_dir():
            return []
        with self._alone():
            if folder.is_dir() and not self._in_use(folder):
                folder.rename(f"{folder}{_DOOMED}{os.urandom(4).hex()}")
        return sorted(self._root.glob(f"{chain}{_DOOMED}*"))

    def chains(self) -> list[tuple[str, Path]]:
        """Return all chains that have something here, each with its folder."""
        if not self._root.is_dir():
            return []
        folders = (each for each in sorted(self._root.iterdir()) if each.is_dir())
        return [(folder.name.partition(_DOOMED)[0], folder) for folder in folders]

    def _in_use(self, folder: Path) -> bool:
        marks = (folder / _NODES).glob("*")
        return any((self._nodes / each.name).is_dir() for each in marks)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def hosts_of(folder: Path) -> list[Path]:
    """Return the folders of a chain's hosts, each of which may be left to clean."""
    return [each for each in sorted(folder.iterdir()) if each.is_dir() and each.name != _NODES]
