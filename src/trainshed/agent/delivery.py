"""Where a node's results go, and how the nodes of a job bring theirs together.

Every node but the first puts its files, as plain tars, beside the job's output, and a marker last:

    <output path>/<job>/output/.parts/<host>/model.tar
                                            /output.tar
                                            /done          {"node": …, "parts": ["model"]}

The first node waits for the markers, makes one archive of all, and deletes the parts.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trainshed.agent import archive
from trainshed.agent.archive import Piece
from trainshed.agent.node import Node
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects

KINDS: Final = {"model": "model.tar.gz", "output": "output.tar.gz"}
"""What is delivered, and the object it becomes."""
_PLAIN: Final = {"model": "model", "output": "data"}
"""The folder it becomes with CompressionType NONE."""
_FIRST_LOOK_S: Final = 0.05
_SLOWEST_LOOK_S: Final = 2.0
_MARKER_BYTES: Final = 4096


class Delivery:
    """Carries one node's results out."""

    def __init__(self, node: Node, objects: RemoteObjects) -> None:
        """Raise ``ValueError`` when the plan's output path is no address."""
        self._node = node
        self._objects = objects
        self._output = parse(node.plan.output_path).joined(node.plan.job_name, "output")

    def run(self) -> None:
        """Deliver what is in model/ and output/data; raise as ``RemoteObjects`` does."""
        plan = self._node.plan
        found = {"model": self._collected("model"), "output": self._collected("output")}
        if plan.host != plan.hosts[0]:
            self._put_part(found)
            return
        # An agent that starts over would wait in vain for parts that the last one had dropped.
        delivered = self._node.folder / "delivered"
        if not delivered.exists():
            self._put_all(found)
            delivered.touch()
        for host in plan.hosts[1:]:
            self._drop_part(host)

    def _put_all(self, found: Mapping[str, dict[str, Piece]]) -> None:
        """Store what all hosts made, as soon as each has brought its part."""
        with contextlib.ExitStack() as opened:
            for host in self._node.plan.hosts[1:]:
                for kind in self._await_part(host):
                    part = opened.enter_context(archive.read_tar(self._fetched(host, kind)))
                    self._merge(found[kind], part, host)
            for kind, pieces in found.items():
                self._put(kind, pieces)

    def put_nothing(self) -> None:
        """Tell the first node not to wait for this one."""
        plan = self._node.plan
        if plan.host != plan.hosts[0]:
            self._put_part({})

    def _collected(self, kind: str) -> dict[str, Piece]:
        tree = self._node.tree
        root = tree.model if kind == "model" else tree.output_data
        return archive.collect(root, tree.base, self._node.log.say)

    def _put(self, kind: str, pieces: Mapping[str, Piece]) -> None:
        """Store one kind of result; nothing is stored when there is nothing."""
        if not pieces:
            return
        if self._node.plan.compression == "NONE":
            for name in sorted(pieces):
                piece = pieces[name]
                address = self._output.joined(_PLAIN[kind], name)
                self._objects.put(address, lambda sink, piece=piece: archive.copy(piece, sink))  # type: ignore[misc]
            return

        def write(sink: Sink) -> None:
            archive.write_tar(pieces, sink, compress=True)

        self._objects.put(self._output.joined(KINDS[kind]), write)

    def _put_part(self, found: Mapping[str, Mapping[str, Piece]]) -> None:
        place = self._part(self._node.plan.host)
        kinds = [kind for kind, pieces in found.items() if pieces]
        for kind in kinds:

            def write(sink: Sink, pieces: Mapping[str, Piece] = found[kind]) -> None:
                archive.write_tar(pieces, sink, compress=False)

            self._objects.put(place.joined(f"{kind}.tar"), write)
        marker = json.dumps({"node": self._node.plan.node_id, "parts": kinds}).encode()

        def mark(sink: Sink) -> None:
            sink.write(marker)

        self._objects.put(place.joined("done"), mark)

    def _await_part(self, host: str) -> tuple[str, ...]:
        """Return the kinds that a peer has put, as soon as its marker says so."""
        wait = _FIRST_LOOK_S
        while not self._node.stop.impatient:
            if (kinds := self._marked(host)) is not None:
                return kinds
            time.sleep(wait)
            wait = min(wait * 2, _SLOWEST_LOOK_S)
        if (kinds := self._marked(host)) is not None:
            return kinds
        self._node.log.say(f"the results of {host} were not waited for: the job is being stopped")
        return ()

    def _marked(self, host: str) -> tuple[str, ...] | None:
        """Return what a peer's marker of this attempt names; None while there is none."""
        try:
            text = self._objects.read(self._part(host).joined("done"), _MARKER_BYTES)
        except ObjectMissing:
            return None
        marker = json.loads(text)
        attempt = self._node.plan.node_id.rpartition(".")[0]
        if marker["node"] != f"{attempt}.{host}":
            return None
        return tuple(kind for kind in KINDS if kind in marker["parts"])

    def _fetched(self, host: str, kind: str) -> Path:
        target = self._node.folder / f"{host}-{kind}.tar"
        target.unlink(missing_ok=True)
        self._objects.fetch(self._part(host).joined(f"{kind}.tar"), target)
        return target

    def _merge(self, into: dict[str, Piece], pieces: Mapping[str, Piece], host: str) -> None:
        for name in sorted(into.keys() & pieces.keys()):
            self._node.log.say(f"{name} was made by more than one host: the one of {host} is kept")
        into.update(pieces)

    def _drop_part(self, host: str) -> None:
        place = self._part(host)
        for name in ("done", *(f"{kind}.tar" for kind in KINDS)):
            self._objects.delete(place.joined(name))

    def _part(self, host: str) -> Address:
        return self._output.joined(".parts", host)
