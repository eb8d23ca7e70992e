"""What the manifests of all hosts say of the objects that lie in the store."""

from collections.abc import Iterable, Mapping, Sequence

from trainshed.agent.checkpoints.manifest import Line, Manifest
from trainshed.agent.checkpoints.place import Place
from trainshed.agent.checkpoints.storing import Storing
from trainshed.stores.objects.remote.store import RemoteObjects

_MANIFEST, _STORING = ".json", ".storing"


class Believed:
    """Read once, before anything is brought; objects are told by their path and ETag."""

    def __init__(self, manifests: Iterable[Manifest], begun: Iterable[Storing]) -> None:
        """Believe ``manifests``; ``begun`` are the passes of hosts, over or not."""
        self._lines: dict[tuple[str, str], Line] = {}
        self._torn: set[tuple[str, str]] = set()
        written: dict[str, float] = {}
        known = list(manifests)
        self._kept = _kept(known)
        for manifest in known:
            written[manifest.host] = manifest.at
            self._torn.update(manifest.torn.items())
            for path, line in manifest.files.items():
                if line.etag:
                    self._lines[path, line.etag] = line
        self.named = frozenset(path for path, _ in self._lines)
        """Paths that some manifest names."""
        self._begun = [each for each in begun if each.at > written.get(each.host, 0.0)]

    @classmethod
    def read(cls, place: Place, objects: RemoteObjects) -> "Believed":
        """Read what lies in the store; raise ``StoreError`` as ``RemoteObjects`` does."""
        manifests, begun = [], []
        for entry in objects.list(place.manifests):
            name = entry.key.rpartition("/")[2]
            if name.endswith(_MANIFEST):
                manifests.append(Manifest.read(place, objects, name.removesuffix(_MANIFEST)))
            elif name.endswith(_STORING):
                begun.append(Storing.read(place, objects, name.removesuffix(_STORING)))
        return cls(filter(None, manifests), filter(None, begun))

    def line(self, path: str, etag: str) -> Line | None:
        """Return what is known of an object; None of one that somebody else has put there."""
        return self._lines.get((path, etag))

    @property
    def whole(self) -> bool:
        """Whether every pass is known to have come to its end; else ``note_found`` is needed."""
        return not self._begun

    def note_found(self, etags: Mapping[str, str]) -> None:
        """Find out what is torn, by the ETags of all objects that are there, by path.

        A pass that has stored all it began to is whole, though its manifest was not written. Of one
        that has not, what it has stored is not used; but it stands for what it has replaced.
        """
        for each in self._begun:
            stored = [path for path in each.paths if self._is_new(path, etags)]
            if len(stored) < len(each.paths):
                new = (path for path in stored if path not in self.named)
                self._torn.update((path, etags[path]) for path in new)

    def is_torn(self, path: str, etag: str) -> bool:
        """Tell whether an object is part of what was never stored in whole."""
        return (path, etag) in self._torn and (path, etag) not in self._lines

    def lost(self, found: Iterable[str]) -> list[str]:
        """Return what was kept last and is not there any more, by the paths that are."""
        return sorted(self._kept.difference(found))

    def _is_new(self, path: str, etags: Mapping[str, str]) -> bool:
        return path in etags and (path, etags[path]) not in self._lines


def _kept(known: Sequence[Manifest]) -> set[str]:
    """Return what should lie there by the manifests of the youngest attempt.

    A host does not hear of it when another deletes what both were brought.
    """
    newest = max(known, key=lambda each: each.at, default=None)
    last = [each for each in known if newest is not None and each.attempt == newest.attempt]
    return {
        path
        for each in last
        for path, line in each.files.items()
        if len(last) == 1 or not line.restored
    }
