"""What a host says it has kept: ``<S3Uri>/.trainshed/<host>.json``.

    {"version": 1, "job": "digits", "attempt": "3f2a.1", "host": "algo-1", "at": 1767225600.1,
     "files": {"step-3/w.pt": {"size": 12, "sha256": "…", "etag": "…", "mtime": 1767225599.2,
                               "restored": true}},
     "torn": {"step-4/w.pt": "…"}}    ETags of what was stored in part of a checkpoint

An entry holds for the very object it names by its ETag and no other: whoever puts another one there
since, a person or a host, makes it void. So a manifest may be out of date without doing harm.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from trainshed.agent.checkpoints.kept import Known
from trainshed.agent.checkpoints.place import OWN, Place
from trainshed.domain.errors import ObjectMissing
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects

_VERSION: Final = 1
_MANIFEST_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One file of a manifest."""

    size: int
    sha256: str
    """Lower-case hex digits."""
    etag: str
    mtime: float
    """Seconds since the epoch."""
    restored: bool

    @classmethod
    def of(cls, known: Known) -> "Line":
        """Return what a manifest says of a known object."""
        return cls(
            size=known.signature.size,
            sha256=known.sha256,
            etag=known.etag,
            mtime=known.signature.mtime_ns / 1e9,
            restored=known.restored,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that a host has kept."""

    job: str
    attempt: str
    host: str
    at: float
    files: Mapping[str, Line]
    torn: Mapping[str, str] = field(default_factory=dict)
    """ETags, by path, of objects that are part of a checkpoint of which the rest was never stored;
    no host brings them."""

    def write(self, place: Place, objects: RemoteObjects) -> None:
        """Store it; raise ``StoreError`` as ``RemoteObjects`` does."""
        text = json.dumps({"version": _VERSION, **asdict(self)}, sort_keys=True).encode()

        def write(sink: Sink) -> None:
            sink.write(text)

        objects.put(place.manifest(self.host), write)

    @classmethod
    def read(cls, place: Place, objects: RemoteObjects, host: str) -> "Manifest | None":
        """Return what a host has stored; None when that is nothing, or nothing that can be read."""
        try:
            found = json.loads(objects.read(place.manifest(host), _MANIFEST_BYTES))
        except (ObjectMissing, ValueError):
            return None
        try:
            return cls(
                job=str(found["job"]),
                attempt=str(found["attempt"]),
                host=str(found["host"]),
                at=float(found["at"]),
                files={path: _line(each) for path, each in found["files"].items()},
                torn={str(path): str(etag) for path, etag in found.get("torn", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def attempt_of(plan: NodePlan) -> str:
    """Return what names the attempt that a node belongs to."""
    return plan.node_id.rpartition(".")[0]


def is_own(path: str) -> bool:
    """Tell whether a path below S3Uri is the platform's own."""
    return path.startswith(f"{OWN}/")


def _line(found: Any) -> Line:  # noqa: ANN401 - whatever JSON holds
    restored = False
    with contextlib.suppress(KeyError):
        restored = bool(found["restored"])
    return Line(
        size=int(found["size"]),
        sha256=str(found["sha256"]),
        etag=str(found["etag"]),
        mtime=float(found["mtime"]),
        restored=restored,
    )
