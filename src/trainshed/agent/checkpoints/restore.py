"""Brings what lies under S3Uri into the checkpoints folder, checked.

The objects may change while they are brought: another job may still save there. So what is gone
when its turn comes is passed over, and the manifests are believed for the very objects they name.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainshed.agent.checkpoints.kept import Kept, Known
from trainshed.agent.checkpoints.manifest import Line, is_manifest, lines_by_object
from trainshed.agent.checkpoints.place import BadPlace, Place
from trainshed.agent.crew import Crew
from trainshed.agent.written.folder import Signature
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, ObjectChanged

_WORKERS: Final = 8
_CHUNK: Final = 1 << 20


class BadCheckpoint(Exception):
    """What is in the store can't be brought back as it was; the text is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How much was brought."""

    files: int = 0
    size: int = 0
    """Bytes."""


class Restore:
    """One restoring into an empty folder."""

    def __init__(
        self,
        place: Place,
        objects: RemoteObjects,
        folder: Path,
        kept: Kept,
        *,
        for_all: bool,
        cancelled: Callable[[], bool],
    ) -> None:
        """Bring from ``place`` to ``folder``, and note in ``kept`` what is the same in both.

        ``for_all`` lets any user of the container change what is brought; ``cancelled`` is asked
        often, from any thread.
        """
        self._cancelled = cancelled
        self._place = place
        self._objects = objects
        self._folder = folder
        self._kept = kept
        self._modes = (0o777, 0o666) if for_all else (0o755, 0o644)
        self._lines: Mapping[tuple[str, str], Line] = {}
        self._lock = threading.Lock()
        self._done = Restored()

    def run(self) -> Restored:
        """Bring everything.

        Raises:
            BadCheckpoint: an object is damaged, or can't lie where its name wants it.
            StoreError: the store refused, stayed away, or nobody wants it any more.
        """
        with Crew(self._bring, _WORKERS) as crew:
            for task in self._listed():
                crew.take(task)
        return self._done

    def _listed(self) -> Iterator[tuple[str, Entry]]:
        """Yield (path, entry) of all that is to be brought; the manifests are read before."""
        prefix = self._place.prefix
        own = self._objects.list(self._place.manifests)
        self._lines = lines_by_object(self._place, self._objects, [each.key for each in own])
        for entry in self._objects.list(prefix):
            try:
                path = self._place.path_of(entry.key)
            except BadPlace as bad:
                raise BadCheckpoint(str(bad)) from bad
            if path and not is_manifest(path):
                yield path, entry
            elif not path and entry.size:
                raise BadCheckpoint(
                    f"the object {prefix.at(entry.key)} has content, but the name of a folder; "
                    "delete or rename it"
                )

    def _bring(self, task: tuple[str, Entry]) -> None:
        path, entry = task
        address, target = self._place.prefix.at(entry.key), self._folder / path
        line = self._lines.get((path, entry.etag))
        try:
            self._make(target.parent)
            try:
                digest = self._fetched(path, entry, line)
            except (ObjectMissing, ObjectChanged):
                target.unlink(missing_ok=True)
                if (now := self._now(path)) is None:
                    return
                entry, line = now, self._lines.get((path, now.etag))
                digest = self._fetched(path, entry, line)
            target.chmod(self._modes[1])
            if at := line.mtime if line else entry.modified:
                nanoseconds = int(at * 1e9)
                os.utime(target, ns=(nanoseconds, nanoseconds))
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as clash:
            raise BadCheckpoint(
                f"{address} would be written to {path!r}, where another object lies"
            ) from clash
        except OSError as error:
            raise BadCheckpoint(f"{address} cannot be written: {error.strerror}") from error
        signature = Signature.of(target.stat())
        known = Known(signature=signature, sha256=digest, etag=entry.etag, restored=True)
        self._kept.keep(path, known)
        with self._lock:
            done = self._done
            self._done = Restored(files=done.files + 1, size=done.size + signature.size)

    def _fetched(self, path: str, entry: Entry, line: Line | None) -> str:
        """Fetch an object and return its SHA-256, which is what the manifest says, if it does."""
        address, target = self._place.prefix.at(entry.key), self._folder / path
        digest = ""
        for _ in range(2):
            self._objects.fetch(address, target, entry)
            digest = self._sha256(target)
            if line is None or digest == line.sha256:
                return digest
            target.unlink()
        raise BadCheckpoint(
            f"{address} is damaged: its SHA-256 is {digest}, and was {line.sha256 if line else ''} "
            "when it was kept; delete it, or put it there again"
        )

    def _now(self, path: str) -> Entry | None:
        """Return what the store has there now; None when nothing."""
        try:
            return self._objects.stat(self._place.at(path))
        except ObjectMissing:
            return None

    def _make(self, folder: Path) -> None:
        """Make a folder and those it lies in, up to the checkpoints' own."""
        if folder == self._folder:
            return
        self._make(folder.parent)
        if not folder.is_dir():
            try:
                folder.mkdir()
            except FileExistsError:
                if not folder.is_dir():
                    raise
                return  # by another thread
            folder.chmod(self._modes[0])

    def _sha256(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                if self._cancelled():
                    raise Cancelled("reading what was brought was cancelled")
                digest.update(chunk)
        return digest.hexdigest()
