"""Has the store hold what the checkpoints folder holds: one pass at a time.

    look -> say what is about to be stored, if it is more than one file -> store what is new or
    changed -> write the manifest -> delete what is gone

In this order a crash in between leaves no fewer whole checkpoints than there were. A version of a
file is stored only when nobody has it open for writing, it did not change while it was read, and
the container went on after it was closed: what is closed by the death of its writer may be torn.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from trainshed.agent.checkpoints.kept import Kept, Known
from trainshed.agent.checkpoints.manifest import Line, Manifest
from trainshed.agent.checkpoints.place import Place
from trainshed.agent.checkpoints.storing import Storing
from trainshed.agent.watching.ending import Ending
from trainshed.agent.written.folder import Folder, Look, Signature
from trainshed.agent.written.leases import is_being_written
from trainshed.agent.written.opening import NotHere
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

SETTLE_S: Final = 0.5
"""How long the container must go on after a file was seen closed: far longer than it takes to
notice its death, even on a machine that is busy."""
_QUIET_S: Final = 3.0
"""How long a file must be unchanged where the kernel does not tell who writes."""
_TICK_S: Final = 0.02
"""Two changes closer than the kernel's clock ticks bear the same time."""
_HOLD_S: Final = 60.0
"""How long files that are being written hold back the deleting of others: what replaces a
checkpoint is often written after that is deleted."""
_MEANWHILE_S: Final = 1.0
"""How often to tell how a pass goes that stores something large."""
_WORKERS: Final = 4
_REFUSALS: Final = 10
"""How many files may be refused in a pass before the others are not tried any more."""
_CHUNK: Final = 1 << 20
_PACE: Final = 50e6
"""Bytes a second, where nothing was stored yet."""


class Trust(Enum):
    """Which closed files are taken for whole."""

    LIVE = "live"
    """The container runs: those that it goes on after."""
    ALL = "all"
    """It ended as it wished."""
    CLOSED = "closed"
    """It ended by a failure of its own: all but those last seen open for writing."""
    SEEN = "seen"
    """It, or a file it wrote, was cut short: those that were seen closed while it ran."""


@dataclass(slots=True)
class Pass:
    """What one pass came to."""

    stored: int = 0
    deleted: int = 0
    waiting: set[str] = field(default_factory=set)
    """Changes that are not in the store yet."""
    left_out: set[str] = field(default_factory=set)
    """Files that may be torn; the store keeps what it had."""
    trouble: str = ""
    """Why the store does not have all; "" when nothing stands against it."""
    away: bool = False
    """Whether that is because the store could not be reached."""
    look_s: float = 0.0
    """How long looking took."""


class Unsettled(Exception):
    """A file changed while it was read, or is being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Who keeps checkpoints."""

    job: str
    attempt: str
    host: str
    hosts: tuple[str, ...]


class Sync:
    """The passes of one host. Called from one thread at a time."""

    def __init__(
        self,
        *,
        folder: Folder,
        place: Place,
        objects: RemoteObjects,
        kept: Kept,
        ending: Ending,
        whose: Whose,
        say: Callable[[str], None],
        settle_s: float = SETTLE_S,
    ) -> None:
        """Keep ``folder`` at ``place``.

        ``settle_s`` is how long the container must go on after a file was seen closed.
        """
        self.meanwhile: Callable[[Pass], None] = lambda _: None
        """Called now and then while a pass stores, in the thread that makes it."""
        self._folder = folder
        self._place = place
        self._objects = objects
        self._kept = kept
        self._ending = ending
        self._whose = whose
        self._say = say
        self._settle_s = settle_s
        self._open: dict[str, float] = {}
        """Since when (monotonic) files are seen being written."""
        self._quiet: dict[str, tuple[Signature, float]] = {}
        self._told: set[str] = set()
        self._unwritten = False
        """Whether the manifest is behind."""
        self._stop_storing = threading.Event()
        self._refusals = 0
        self._why = ""
        self._away = False
        self._behind = 0
        """Bytes that wait to be stored."""
        self._largest = 0
        """Bytes that a pass has stored at most, lately: about one checkpoint."""
        self._pace = 0.0
        """Bytes a second, as last seen; 0 before."""

    @property
    def left_s(self) -> float:
        """About how many seconds it takes to store what waits, and another checkpoint."""
        return (self._behind + self._largest) / (self._pace or _PACE)

    def take_up(self) -> None:
        """Go on for an agent that may have stored files and not written the manifest."""
        self._unwritten = True

    def run(self, trust: Trust) -> Pass:
        """Make one pass; what can't be done now is in its result, and is tried in the next."""
        done = Pass()
        began = time.monotonic()
        found = self._folder.look()
        done.look_s = time.monotonic() - began
        self._tell_left_out(found)
        changed = [path for path, each in found.files.items() if self._differs(path, each)]
        gone = [
            each for each in self._kept.paths() if each not in found.files and found.knows(each)
        ]
        self._kept.forget_unseen(found.files)
        ready = self._settled(changed, found, trust, done)
        if trust is Trust.LIVE and self._ending.over:
            return done
        self._store_all(ready, found, trust, done)
        held = self._holds_back(trust, done)
        try:
            if done.stored or self._unwritten or (gone and not held):
                self._write_manifest(set() if held else set(gone))
            if not held:
                for path in gone:
                    self._delete(path)
                    done.deleted += 1
        except StoreError as error:
            done.trouble = done.trouble or str(error)
            done.away = done.away or isinstance(error, StoreAway)
            done.waiting |= set(gone)
        return done

    def _differs(self, path: str, signature: Signature) -> bool:
        known = self._kept.get(path)
        return known is None or known.signature != signature

    def _settled(self, changed: list[str], found: Look, trust: Trust, done: Pass) -> list[str]:
        """Return the changed files that may be stored, and wait for that if need be."""
        verdicts = {path: self._is_closed(path, found.files[path]) for path in changed}
        closed = [path for path, verdict in verdicts.items() if verdict]
        still_open = [path for path, verdict in verdicts.items() if verdict is False]
        if trust is not Trust.LIVE:
            whole = [path for path in closed if self._is_whole(path, found.files[path], trust)]
            done.left_out |= set(still_open) | (set(closed) - set(whole))
            return whole
        now = time.monotonic()
        before, self._open = self._open, {path: self._open.get(path, now) for path in still_open}
        if not closed:
            if not self._ending.over:
                self._kept.note_open(self._open.keys())
            return []
        if self._ending.wait(self._settle_s):
            # Whoever had these open may have died over them: that stands as it was noted.
            self._open = before
            return []
        self._kept.note_open(self._open.keys())
        for path in closed:
            self._kept.see(path, found.files[path])
        return closed

    def _is_whole(self, path: str, signature: Signature, trust: Trust) -> bool:
        """Tell whether a file that is closed after the container's end is taken for whole."""
        known = self._kept.get(path)
        if known is not None and known.signature.same_bytes(signature):
            return True  # given to another user, which has not changed it
        if trust is Trust.ALL or self._kept.was_seen(path, signature):
            return True
        return trust is Trust.CLOSED and not self._kept.was_open(path)

    def _is_closed(self, path: str, signature: Signature) -> bool | None:
        """Tell whether nobody writes to a file; None when there is none any more."""
        try:
            with self._folder.opened(path) as fd:
                written = is_being_written(fd)
        except NotHere:
            return None
        except OSError:
            return True  # let storing say why
        if written is None:
            first, since = self._quiet.get(path, (None, 0.0))
            if first != signature:
                since = time.monotonic()
                self._quiet[path] = (signature, since)
            written = not self._ending.over and time.monotonic() < since + _QUIET_S
        return not written

    def _store_all(self, ready: list[str], found: Look, trust: Trust, done: Pass) -> None:
        done.waiting |= set(ready)
        if not ready:
            return
        self._stop_storing.clear()
        self._refusals, self._away = 0, False
        began = time.monotonic()
        if len(ready) > 1:
            whose = Storing(host=self._whose.host, at=time.time(), paths=tuple(sorted(ready)))
            try:
                whose.write(self._place, self._objects)
            except StoreError as error:
                done.trouble, done.away = str(error), isinstance(error, StoreAway)
                return
        self._behind = sum(found.files[path].size for path in ready)

        def store(path: str) -> str:
            return self._store(path, found.files[path], trust)

        # A new file before one that replaces another: each leaves more whole checkpoints.
        ordered = sorted(ready, key=lambda path: (self._kept.get(path) is not None, path))
        with ThreadPoolExecutor(min(_WORKERS, len(ordered)), "checkpoints") as crew:
            storing = [crew.submit(store, path) for path in ordered]
            for path, under_way in zip(ordered, storing, strict=True):
                trouble = self._awaited(under_way, done)
                if not trouble:
                    done.stored += 1
                    done.waiting.discard(path)
                elif trouble == _LATER:
                    if trust is not Trust.LIVE:
                        done.left_out.add(path)
                else:
                    done.trouble = done.trouble or trouble
        done.away = self._away
        self._note_pace(found, [path for path in ready if path not in done.waiting], began)

    def _awaited(self, under_way: Future[str], done: Pass) -> str:
        """Return what storing a file came to, telling now and then how the pass goes."""
        while not wait([under_way], _MEANWHILE_S).done:
            self.meanwhile(done)
        return under_way.result()

    def _note_pace(self, found: Look, stored: list[str], began: float) -> None:
        size = sum(found.files[path].size for path in stored)
        self._behind -= size
        self._largest = max(size, self._largest // 2)
        if size:
            self._pace = size / max(time.monotonic() - began, _TICK_S)

    def _store(self, path: str, signature: Signature, trust: Trust) -> str:
        """Store one file; return why not, ``_LATER`` when only its time has not come."""
        if self._stop_storing.is_set():
            return self._why
        if trust is Trust.LIVE and self._ending.over:
            return _LATER  # the container's end must not wait for its turn in the journal
        try:
            known = self._same_bytes(path, signature) or self._put(path, signature, trust)
        except (Unsettled, NotHere):
            return _LATER
        except Cancelled as cancelled:
            return str(cancelled)
        except StoreError as error:
            self._refusals += 1
            if isinstance(error, StoreAway) or self._refusals >= _REFUSALS:
                self._why, self._away = str(error), isinstance(error, StoreAway)
                self._stop_storing.set()
            return str(error)
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        self._kept.keep(path, known)
        return ""

    def _same_bytes(self, path: str, signature: Signature) -> Known | None:
        """Return what is known of a file of which only the owner or the mode may have changed."""
        known = self._kept.get(path)
        if known is None or not known.signature.same_bytes(signature):
            return None
        now, digest = self._read(path, None)
        if now != signature or digest != known.sha256:
            return None
        return Known(signature=signature, sha256=digest, etag=known.etag, restored=known.restored)

    def _put(self, path: str, signature: Signature, trust: Trust) -> Known:
        taken: list[tuple[Signature, str]] = []

        def write(sink: Sink) -> None:
            taken[:] = [self._read(path, sink)]
            if trust is Trust.LIVE and taken[0][0] != signature:
                # Replaced since it was seen closed, perhaps by one who has just died over it.
                if self._ending.wait(self._settle_s):
                    raise Unsettled(path)
            elif trust is Trust.SEEN and not self._kept.was_seen(path, taken[0][0]):
                raise Unsettled(path)

        address = self._place.at(path)
        self._kept.begin(path)
        self._objects.put(address, write)
        try:
            etag = self._objects.stat(address).etag
        except ObjectMissing:  # another host has deleted it
            etag = ""
        return Known(signature=taken[0][0], sha256=taken[0][1], etag=etag, restored=False)

    def _read(self, path: str, sink: Sink | None) -> tuple[Signature, str]:
        """Read a whole file, into ``sink`` if there is one; return what it was.

        Raises:
            Unsettled: it changed meanwhile, or is being written.
        """
        digest = hashlib.sha256()
        with self._folder.opened(path) as fd:
            if is_being_written(fd):
                raise Unsettled(path)
            before = Signature.of(os.fstat(fd))
            if self._is_fresh(before):
                time.sleep(_TICK_S)
            while chunk := os.read(fd, _CHUNK):
                if sink is not None:
                    sink.write(chunk)
                digest.update(chunk)
            status = os.fstat(fd)
            after = Signature.of(status)
            # A file that another has taken the place of gets a new ctime by that alone.
            same = after.same_bytes(before) if status.st_nlink == 0 else after == before
            if not same or is_being_written(fd):
                raise Unsettled(path)
        return before, digest.hexdigest()

    def _is_fresh(self, signature: Signature) -> bool:
        """Tell whether a file may be changed again without its times telling."""
        age = time.time_ns() - max(signature.ctime_ns, signature.mtime_ns)
        return age < _TICK_S * 1e9

    def _holds_back(self, trust: Trust, done: Pass) -> bool:
        """Tell whether deletes must wait, lest the last whole checkpoint be among them."""
        if done.left_out or done.waiting or done.trouble:
            return True
        since = time.monotonic() - _HOLD_S
        return trust is Trust.LIVE and any(at > since for at in self._open.values())

    def _write_manifest(self, without: set[str]) -> None:
        self._unwritten = True
        files = {
            path: Line.of(each) for path, each in self._kept.known.items() if path not in without
        }
        whose = self._whose
        mine = Manifest(
            job=whose.job,
            attempt=whose.attempt,
            host=whose.host,
            at=time.time(),
            files=files,
            torn=self._kept.torn,
        )
        mine.write(self._place, self._objects)
        self._unwritten = False
        for host in whose.hosts:
            if host != whose.host:
                self._tell_clashes(mine, Manifest.read(self._place, self._objects, host))

    def _tell_clashes(self, mine: Manifest, other: Manifest | None) -> None:
        if other is None or (other.job, other.attempt) != (mine.job, mine.attempt):
            return
        for path in sorted(mine.files.keys() & other.files.keys()):
            ours, theirs = mine.files[path], other.files[path]
            if not (ours.restored or theirs.restored) and ours.sha256 != theirs.sha256:
                self._tell_once(
                    path, f"was saved by {mine.host} and {other.host}: the store has only the last"
                )

    def _delete(self, path: str) -> None:
        self._objects.delete(self._place.at(path))
        self._kept.drop(path)

    def _tell_left_out(self, found: Look) -> None:
        for path, why in found.left_out.items():
            self._tell_once(path, f"{why}: it is not kept")

    def _tell_once(self, path: str, what: str) -> None:
        text = f"checkpoints: {path} {what}"
        if text not in self._told:
            self._told.add(text)
            self._say(text)


_LATER: Final = "\0later"


def totals(kept: Iterable[Known]) -> tuple[int, int]:
    """Return how many files were stored by this host, and their bytes."""
    own = [each.signature.size for each in kept if not each.restored]
    return len(own), sum(own)
