"""What the store holds of the checkpoints, as far as this host knows; survives the agent.

One JSON object a line, appended before or after each act; the last line of a path counts:

    {"path": "a/b", "seen": [size, ino, mtime_ns, ctime_ns]}    closed while the container ran
    {"path": "a/b", "open": true}                               was open for writing, or no more
    {"path": "a/b", "begun": true}                              may be in the store from now on
    {"path": "a/b", "kept": [...], "sha256": …, "etag": …, "restored": false}
    {"path": "a/b", "gone": true}                               deleted in the store
    {"path": "a/b", "torn": "<etag>"}                           part of what was stored in part
"""

import contextlib
import json
import os
import threading
from collections.abc import Container, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trainshed.agent.appending import append
from trainshed.agent.written.folder import Signature

_SLACK: Final = 1000
"""Lines that may be out of date before the file is written anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One object of which this host knows what it holds."""

    signature: Signature
    """Of the local file that has the same bytes."""
    sha256: str
    etag: str
    """What the store told of the object just after it was stored; "" when it tells nothing."""
    restored: bool
    """Whether it was brought from the store and has not been changed here since."""


class Kept:
    """Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the file, and read what a former agent left there."""
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}
        self._begun: set[str] = set()
        self._seen: dict[str, Signature] = {}
        self._open: set[str] = set()
        self._torn: dict[str, str] = {}
        self._lines = 0
        self._size = 0
        self._fd = -1
        *lines, unfinished = path.read_bytes().split(b"\n") if path.exists() else [b""]
        for line in lines:
            # Zeros, where the machine lost its power: what was kept is kept once more.
            with contextlib.suppress(json.JSONDecodeError):
                self._take(json.loads(line))
        try:
            self._begin_anew()
        except OSError:
            if not lines:
                raise
            # The disk is full, perhaps by what the job has made, which must not be lost for this.
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._fd).st_size - len(unfinished)
            os.ftruncate(self._fd, self._size)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known, self._begun, self._seen, self._open = {}, set(), {}, set()
            self._torn = {}
            self._begin_anew()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    @property
    def known(self) -> Mapping[str, Known]:
        """A copy of what is known, by path."""
        with self._lock:
            return dict(self._known)

    @property
    def torn(self) -> Mapping[str, str]:
        """ETags, by path, of objects that no host may go on from."""
        with self._lock:
            return dict(self._torn)

    def note_torn(self, path: str, etag: str) -> None:
        """Note that an object is part of what was stored in part; it was not brought."""
        self._write({"path": path, "torn": etag})

    def get(self, path: str) -> Known | None:
        """Return what is known of one path."""
        with self._lock:
            return self._known.get(path)

    def paths(self) -> set[str]:
        """Return what this host has put in the store or brought from it, also perhaps."""
        with self._lock:
            return self._known.keys() | self._begun

    def was_seen(self, path: str, signature: Signature) -> bool:
        """Tell whether that version of a file was seen closed while the container ran."""
        with self._lock:
            seen = self._seen.get(path)
            return seen is not None and seen.same_bytes(signature)

    def see(self, path: str, signature: Signature) -> None:
        """Note that a version was seen closed, with the container running on after that."""
        self._write({"path": path, "seen": signature})

    def was_open(self, path: str) -> bool:
        """Tell whether a file was open for writing when the container was last seen to run."""
        with self._lock:
            return path in self._open

    def note_open(self, paths: Set[str]) -> None:
        """Note which files are open for writing, the container running."""
        with self._lock:
            before = set(self._open)
        for path in paths ^ before:
            self._write({"path": path, "open": path in paths})

    def forget_unseen(self, files: Container[str]) -> None:
        """Forget versions of files that are not there any more and never were stored."""
        with self._lock:
            for path in [each for each in self._seen if each not in files]:
                del self._seen[path]

    def begin(self, path: str) -> None:
        """Note, before it is stored, that the path may be in the store from now on."""
        self._write({"path": path, "begun": True})

    def keep(self, path: str, known: Known) -> None:
        """Note what the store holds now."""
        self._write(_line_of(path, known))

    def drop(self, path: str) -> None:
        """Note that the store has no such object any more."""
        self._write({"path": path, "gone": True})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            self._take(line)
            if self._lines > 2 * (len(self._known) + len(self._seen)) + _SLACK:
                self._begin_anew()
            else:
                data = json.dumps(line).encode() + b"\n"
                self._size = append(self._fd, data, self._size)
                self._lines += 1

    def _take(self, line: Mapping[str, Any]) -> None:
        match line:
            case {"path": path, "kept": signature, "sha256": sha256, "etag": etag}:
                self._known[path] = Known(
                    signature=Signature(*signature),
                    sha256=sha256,
                    etag=etag,
                    restored=line["restored"],
                )
                self._begun.discard(path)
                self._seen.pop(path, None)
            case {"path": path, "seen": signature}:
                self._seen[path] = Signature(*signature)
            case {"path": path, "open": bool(is_open)}:
                (self._open.add if is_open else self._open.discard)(path)
            case {"path": path, "torn": str(etag)}:
                self._torn[path] = etag
            case {"path": path, "begun": True}:
                self._begun.add(path)
            case {"path": path}:
                self._known.pop(path, None)
                self._begun.discard(path)
                self._seen.pop(path, None)
            case _:
                raise ValueError(f"{self._path} has a line that names no path: {line}")

    def _begin_anew(self) -> None:
        lines: list[Mapping[str, Any]] = [_line_of(*each) for each in self._known.items()]
        lines += [{"path": path, "begun": True} for path in self._begun]
        lines += [{"path": path, "seen": each} for path, each in self._seen.items()]
        lines += [{"path": path, "open": True} for path in self._open]
        lines += [{"path": path, "torn": etag} for path, etag in self._torn.items()]
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        new = self._path.with_name(f"{self._path.name}.new")
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._size = append(fd, data, 0)
            new.replace(self._path)
        except OSError:
            os.close(fd)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._lines = fd, len(lines)


def _line_of(path: str, known: Known) -> Mapping[str, Any]:
    return {
        "path": path,
        "kept": known.signature,
        "sha256": known.sha256,
        "etag": known.etag,
        "restored": known.restored,
    }
