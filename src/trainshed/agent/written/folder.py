"""What lies in a folder that a container writes to.

A symbolic link stands for its file when that lies below the folder too, as the container would find
it there; one that leads elsewhere stands for nothing, wherever on this machine it may lead.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from trainshed.agent.written.opening import NotHere, is_itself, opened, real_path
from trainshed.contract.tree import BASE

GONE: Final = "is not there"
_LINK_TO_NOTHING: Final = "is a link that leads to no file"


class Signature(NamedTuple):
    """What changes whenever a file does."""

    size: int
    ino: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """Return the signature in a file's status."""
        return cls(status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)

    def same_bytes(self, other: "Signature") -> bool:
        """Tell whether at most the owner, the mode or the names of a file have changed."""
        return self[:3] == other[:3]


class Found(NamedTuple):
    """Something in the folder that is no folder, or a folder that could not be read."""

    path: str
    """Below the folder; ``x/`` for a folder, "" for the whole."""
    target: str
    """Where its bytes lie, no link left in it."""
    status: os.stat_result | None
    """Of the file; None when nobody could ask."""
    why: str = ""
    """Why it stands for no file, to be put behind its name; "" when it does."""


@dataclass(slots=True)
class Look:
    """One look at the folder."""

    files: dict[str, Signature] = field(default_factory=dict)
    """By path below the folder."""
    blind: list[str] = field(default_factory=list)
    """What could not be looked at, folders as ``x/``; "" is the whole. What is there is unknown."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What is no file, and why, by path."""

    def knows(self, path: str) -> bool:
        """Tell whether a file that was not found is really gone."""
        return not any(path.startswith(folder) for folder in self.blind)


class Folder:
    """A folder of the node's tree. Safe to share between threads."""

    def __init__(self, root: Path, base: Path, *, seen_as: str, own: str = "") -> None:
        """Look at ``root``.

        Args:
            root: the folder.
            base: the tree that it lies in.
            seen_as: where the container sees it, for links that are absolute.
            own: a name in it that is the platform's, and no file of the job's; "" for none.
        """
        self.real = real_path(root, base)
        self._base = os.path.realpath(base)
        self._seen_as = seen_as
        self._own = own

    def found(self) -> Iterator[Found]:
        """Yield what lies in it, at any depth. Nothing is done in quadratic time or recursion."""
        if not is_itself(self.real):
            yield Found("", self.real, None, "is not the folder that the platform made")
            return
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(f"{self.real}/{below}") as entries:
                    for entry in entries:
                        path = f"{below}{entry.name}"
                        if entry.is_dir(follow_symlinks=False) and path != self._own:
                            waiting.append(f"{path}/")
                        elif (each := self._seen(path, entry)) is not None:
                            yield each
            except FileNotFoundError:
                if not below:
                    yield Found("", self.real, None, GONE)
            except OSError as error:
                yield Found(below, self.real, None, f"cannot be read ({error.strerror})")

    def look(self) -> Look:
        """Return what objects of a store can be made of it."""
        look = Look()
        for each in self.found():
            path, why = each.path, each.why
            try:
                path.encode()
            except UnicodeEncodeError:
                path = path.encode("utf-8", "backslashreplace").decode()
                why = "has no name in UTF-8"
            if why:
                if each.status is None:
                    look.blind.append(each.path)
                if why not in {GONE, _LINK_TO_NOTHING}:
                    look.left_out[path or "."] = why
            elif each.status is not None:
                look.files[path] = Signature.of(each.status)
        return look

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """Open a file of the folder for reading.

        Raises:
            NotHere: it is gone, no plain file, or not below the folder.
            OSError: it cannot be read.
        """
        fd = opened(self._resolved(f"{self.real}/{path}"), self.real)
        try:
            yield fd
        finally:
            os.close(fd)

    def _seen(self, path: str, entry: os.DirEntry[str]) -> Found | None:
        """Return what an entry stands for; None when it is gone already."""
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Found(path, entry.path, None, f"cannot be read ({error.strerror})")
        if path == self._own:
            return Found(path, entry.path, status, "has the name of the platform's own folder")
        target = entry.path
        if stat.S_ISLNK(status.st_mode):
            try:
                target = self._resolved(target)
                status = os.stat(target)  # noqa: PTH116 - a thousand times a second
            except NotHere:
                return Found(path, target, status, "is a link that leads elsewhere")
            except OSError:
                return Found(path, target, status, _LINK_TO_NOTHING)
            if stat.S_ISDIR(status.st_mode):
                why = "is a link to a folder, whose files are kept under their own names"
                return Found(path, target, status, why)
        is_file = stat.S_ISREG(status.st_mode)
        return Found(path, target, status, "" if is_file else "is not a plain file")

    def _resolved(self, path: str) -> str:
        """Return the file that ``path`` is, or as a link stands for, as the container finds it.

        Raises:
            NotHere: it leads out of the folder.
        """
        with contextlib.suppress(OSError):
            text = os.readlink(path)  # noqa: PTH115 - the text, not a Path
            if text.startswith(f"{self._seen_as}/"):
                path = self.real + text[len(self._seen_as) :]
            elif text.startswith(f"{BASE}/"):
                path = self._base + text[len(BASE) :]
        target = os.path.realpath(path)
        if not target.startswith(f"{self.real}/"):
            raise NotHere(path)
        return target
