"""Brings what lies under S3Uri into the checkpoints folder, checked.

The objects may change while they are brought: another job may still save there. So what is gone
when its turn comes is passed over, and the manifests are believed for the very objects they name.
What a host has stored in part, before it was lost, is left: the checkpoint before it is whole.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trainshed.agent.checkpoints.believed import Believed
from trainshed.agent.checkpoints.kept import Kept, Known
from trainshed.agent.checkpoints.manifest import Line, is_own
from trainshed.agent.checkpoints.place import BadPlace, Place, listed
from trainshed.agent.crew import Crew
from trainshed.agent.written.folder import Signature
from trainshed.domain import sizes
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
    newest: float = 0.0
    """When the newest of them was made, in seconds since the epoch; 0 when nobody says."""
    torn: frozenset[str] = frozenset()
    """What was left, because the rest of what it belongs to was never stored."""
    lost: tuple[str, ...] = ()
    """What was kept once and is not there any more."""

    def told(self, where: str) -> list[str]:
        """Return lines that tell of it; ``where`` says what was brought from where to where."""
        lines = []
        if self.files:
            made = datetime.fromtimestamp(self.newest, UTC)
            newest = f"; the newest was made {made:%Y-%m-%d %H:%M:%S} UTC" if self.newest else ""
            lines.append(f"{sizes.files(self.files, self.size)} {where}{newest}")
        if self.torn:
            lines.append(
                f"{listed(self.torn)} left in the store: the host that stored it was lost before "
                "the rest of what it saved was stored too"
            )
        if self.lost:
            lines.append(f"{listed(self.lost)} was kept, and is in the store no more")
        return lines


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
        self._believed = Believed((), ())
        self._torn: set[str] = set()
        self._lock = threading.Lock()
        self._done = Restored()

    def run(self) -> Restored:
        """Bring everything.

        Raises:
            BadCheckpoint: an object is damaged, or can't lie where its name wants it.
            StoreError: the store refused, stayed away, or nobody wants it any more.
        """
        self._believed = Believed.read(self._place, self._objects)
        found: Iterable[tuple[str, Entry]] = self._listed()
        if not self._believed.whole:
            found = list(found)
            self._believed.note_found({path: entry.etag for path, entry in found})
        paths = set()
        with Crew(self._bring, _WORKERS) as crew:
            for path, entry in found:
                paths.add(path)
                if self._believed.is_torn(path, entry.etag):
                    self._torn.add(path)
                    self._kept.note_torn(path, entry.etag)
                else:
                    crew.take((path, entry))
        lost = tuple(self._believed.lost(paths))
        return replace(self._done, torn=frozenset(self._torn), lost=lost)

    def _listed(self) -> Iterator[tuple[str, Entry]]:
        """Yield (path, entry) of all that lies there."""
        prefix = self._place.prefix
        for entry in self._objects.list(prefix):
            try:
                path = self._place.path_of(entry.key)
            except BadPlace as bad:
                raise BadCheckpoint(str(bad)) from bad
            if path and not is_own(path):
                yield path, entry
            elif not path and entry.size:
                raise BadCheckpoint(
                    f"the object {prefix.at(entry.key)} has content, but the name of a folder; "
                    "delete or rename it"
                )

    def _bring(self, task: tuple[str, Entry]) -> None:
        path, entry = task
        address, target = self._place.prefix.at(entry.key), self._folder / path
        line = self._believed.line(path, entry.etag)
        try:
            self._make(target.parent)
            try:
                digest = self._fetched(path, entry, line)
            except (ObjectMissing, ObjectChanged):
                target.unlink(missing_ok=True)
                if (now := self._now(path)) is None:
                    return
                entry, line = now, self._believed.line(path, now.etag)
                digest = self._fetched(path, entry, line)
            target.chmod(self._modes[1])
            at = line.mtime if line else entry.modified
            if at:
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
            self._done = Restored(
                files=done.files + 1,
                size=done.size + signature.size,
                newest=max(done.newest, at),
            )

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
