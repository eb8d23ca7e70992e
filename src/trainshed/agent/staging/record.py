"""Which files of a channel are whole, so that an agent that died does not begin anew.

A file beside the channel, one line for each whole object: ``<version> <bytes> <path as JSON>``. The
version is a digest of the object's address, size and etag. The first line names the boot of the
machine: only what was written since then is surely as it was written.
"""

import bisect
import functools
import json
import os
import threading
import time
from array import array
from hashlib import blake2b
from pathlib import Path
from typing import Final

from trainshed.agent.channels.items import Item

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_UNWRITTEN_BYTES: Final = 8 << 20
_UNWRITTEN_S: Final = 1.0
"""How much finished work may be forgotten when the agent is killed."""


class Record:
    """The whole files of one channel. A context; ``add`` is safe to call from several threads."""

    def __init__(self, path: Path, folder: Path) -> None:
        """Find what an agent before us brought into ``folder``; remove there what is not whole."""
        self._lock = threading.Lock()
        self._versions = array("Q")
        self._unwritten, self._written_at = 0, time.monotonic()
        self.bytes = 0
        """Of the files that were whole already."""
        paths = self._load(path, folder) if path.exists() and folder.is_dir() else array("Q")
        if paths:
            _sweep(str(folder), "", paths)
        else:
            _empty(folder)
            path.write_text(f"{boot_id()}\n")
        self._file = path.open("a")

    def __len__(self) -> int:
        """How many files were whole already."""
        return len(self._versions)

    def has(self, item: Item) -> bool:
        """Tell whether an agent before us brought this version of the object."""
        if not self._versions:
            return False
        wanted = version(item)
        at = bisect.bisect_left(self._versions, wanted)
        return at < len(self._versions) and self._versions[at] == wanted

    def add(self, item: Item, size: int) -> None:
        """Note that the object is there, whole."""
        line = f"{version(item):016x} {size} {json.dumps(item.path)}\n"
        with self._lock:
            self._file.write(line)
            self._unwritten += size
            now = time.monotonic()
            if self._unwritten > _UNWRITTEN_BYTES or now > self._written_at + _UNWRITTEN_S:
                self._file.flush()
                self._unwritten, self._written_at = 0, now

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _load(self, path: Path, folder: Path) -> "array[int]":
        """Take over the lines that hold; return the digests of their paths, sorted."""
        versions, paths, whole = array("Q"), array("Q"), 0
        with path.open("rb") as file:
            boot = file.readline()
            if boot.decode().strip() != boot_id():
                return paths
            whole = len(boot)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                digest, size, name = line.split(b" ", 2)
                place = json.loads(name)
                if _size(f"{folder}/{place}") == int(size):
                    versions.append(int(digest, 16))
                    paths.append(_digest(place))
                    self.bytes += int(size)
        os.truncate(path, whole)
        self._versions = array("Q", sorted(versions))
        return array("Q", sorted(paths))


@functools.cache
def boot_id() -> str:
    """Return what changes whenever the machine starts."""
    return _BOOT.read_text().strip()


def version(item: Item) -> int:
    """Return a digest, of 64 bits, of an object's address, size and etag."""
    return _digest(f"{item.address}\0{item.size}\0{item.etag}")


def _digest(text: str) -> int:
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(data, digest_size=8).digest())


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def _sweep(folder: str, below: str, kept: "array[int]") -> None:
    """Remove the files below a folder whose paths' digests are not among ``kept``."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _sweep(entry.path, f"{path}/", kept)
                continue
            digest = _digest(path)
            at = bisect.bisect_left(kept, digest)
            if at == len(kept) or kept[at] != digest:
                os.unlink(entry.path)  # noqa: PTH108 - a Path for each of a million takes its time


def _empty(folder: Path) -> None:
    if folder.exists():
        import shutil  # noqa: PLC0415 - 10 ms, and only after a crash

        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o755)
