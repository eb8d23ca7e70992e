"""Stores objects once each, by a crew, through any number of agents that die on the way.

What is stored stands in a file of the node's folder. Between an object and its line there lies an
instant in which an agent may die; of an archive, which is dear to store again and would be a second
version in a bucket that keeps versions, the file therefore tells beforehand what to look for.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from trainshed.agent.crew import Crew
from trainshed.agent.notes import Notes
from trainshed.agent.outputs import archive
from trainshed.agent.outputs.archive import Piece, Vanished
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

_CREW: Final = 12
_LARGE_CREW: Final = 2
_LARGE: Final = 8 << 20
"""Files of at least so many bytes travel in parts, each with a crew of its own."""


class Sent:
    """What was stored so far. Safe to share between threads; use it as a context."""

    def __init__(self, path: Path, objects: RemoteObjects) -> None:
        """Read what an agent before us wrote to ``path``."""
        self._objects = objects
        self._done: set[str] = set()
        self._begun: dict[str, dict[str, Any]] = {}
        self._notes = Notes(path)
        for line in self._notes.read():
            if "size" in line:
                self._begun[line["object"]] = line
            else:
                self._done.add(line["object"])

    def __enter__(self) -> "Sent":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._notes.close()

    def put(self, address: Address, write: Callable[[Sink], None], headers: Mapping[str, str],
            *, sure: bool = False) -> None:  # fmt: skip
        """Store an object unless it was stored before; raises as ``RemoteObjects.put`` does.

        Args:
            address: where.
            write: writes the bytes; the same ones each time.
            headers: what the object is stored with.
            sure: ask the store whether an agent that died had stored it; one request more.
        """
        if str(address) in self._done or (sure and self._is_there(address)):
            return
        if sure:
            before = self._etag(address)

            def counted(sink: Sink) -> None:
                counter = _Counter(sink)
                write(counter)
                self._notes.add({"object": str(address), "size": counter.size, "before": before})

            self._objects.put(address, counted, headers)
        else:
            self._objects.put(address, write, headers)
        self._notes.add({"object": str(address)})
        self._done.add(str(address))

    def _is_there(self, address: Address) -> bool:
        """Tell whether the object is the one that an agent before us was about to complete."""
        begun = self._begun.get(str(address))
        if begun is None or begun["before"] is None:
            return False
        try:
            found = self._objects.stat(address)
        except (StoreAway, Cancelled):
            raise
        except StoreError:
            return False
        return found.size == begun["size"] and found.etag not in {"", begun["before"]}

    def _etag(self, address: Address) -> str | None:
        """Return which object is there; "" for none, None where we may not ask."""
        try:
            return self._objects.stat(address).etag
        except ObjectMissing:
            return ""
        except (StoreAway, Cancelled):
            raise
        except StoreError:
            return None


def put_all(
    pieces: Mapping[Address, Piece],
    headers: Mapping[str, str],
    sent: Sent,
    gone: Callable[[Address], None],
) -> None:
    """Store files as they are, each as an object of its own; small ones many at a time.

    Args:
        pieces: the files by where they go.
        headers: what each is stored with.
        sent: what was stored before, and stores.
        gone: is told of a file that was deleted meanwhile.

    Raises:
        StoreError, OSError: of the first that cannot be stored; no other is begun then.
    """
    small: list[tuple[Address, Piece]] = []
    large: list[tuple[Address, Piece]] = []
    for address, piece in pieces.items():
        (large if _size(piece) >= _LARGE else small).append((address, piece))

    def put(task: tuple[Address, Piece]) -> None:
        address, piece = task
        try:
            sent.put(address, lambda sink: archive.copy(piece, sink), headers)
        except Vanished:
            gone(address)

    for tasks, most in ((small, _CREW), (large, _LARGE_CREW)):
        with Crew(put, most) as crew:
            for task in tasks:
                crew.take(task)


def encryption(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers by which a store encrypts as ``OutputDataConfig.KmsKeyId`` asks."""
    key = (request.get("OutputDataConfig") or {}).get("KmsKeyId")
    if not key:
        return {}
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": str(key),
    }


def _size(piece: Piece) -> int:
    if piece.size is not None:
        return piece.size
    try:
        return os.stat(piece.path).st_size  # noqa: PTH116 - text all the way
    except OSError:
        return 0  # whoever opens it finds out


class _Counter:
    """A sink that knows how much went into it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return self._sink.write(data)
