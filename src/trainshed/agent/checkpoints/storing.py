"""What a host is about to store together: ``<S3Uri>/.trainshed/<host>.storing``.

    {"version": 1, "host": "algo-1", "at": 1767225600.1, "paths": ["step-4/a.pt", "step-4/b.pt"]}

Written before the first of several files, and void once the host's manifest is younger. A host that
was lost in between has stored part of what belongs together; who finds that part must not go on
from it. What lay there before is whole: it is deleted only after the manifest was written.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

from trainshed.agent.checkpoints.place import Place
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects

_VERSION: Final = 1
_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Storing:
    """One pass of a host that has begun."""

    host: str
    at: float
    paths: tuple[str, ...]

    def write(self, place: Place, objects: RemoteObjects) -> None:
        """Store it; raise ``StoreError`` as ``RemoteObjects`` does."""
        text = json.dumps({"version": _VERSION, **asdict(self)}).encode()

        def write(sink: Sink) -> None:
            sink.write(text)

        objects.put(place.storing(self.host), write)

    @classmethod
    def read(cls, place: Place, objects: RemoteObjects, host: str) -> "Storing | None":
        """Return what a host began to store last; None when nothing that can be read is there."""
        try:
            found = json.loads(objects.read(place.storing(host), _BYTES))
            paths = tuple(str(path) for path in found["paths"])
            return cls(host=str(found["host"]), at=float(found["at"]), paths=paths)
        except (ObjectMissing, ValueError, KeyError, TypeError):
            return None
