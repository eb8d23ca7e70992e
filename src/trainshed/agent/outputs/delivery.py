"""Where a node's results go, and how the nodes of a job bring theirs together.

Every node but the first puts its files, as plain tars, beside the job's output, and a marker last:

    <output path>/<job>/output/.parts/<host>/model.tar
                                            /output.tar
                                            /done          {"node": …, "parts": ["model"]}

The first node waits for the markers, makes one archive of all, and deletes the parts. It may die
at any line: what it has stored stands in ``sent`` in its folder, and is not stored again.
"""

import contextlib
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from typing import Final

from trainshed.agent.node import Node
from trainshed.agent.outputs import archive
from trainshed.agent.outputs.archive import Piece, shown
from trainshed.agent.outputs.sending import Sent, encryption, put_all
from trainshed.agent.waiting import out_of_time, time_left
from trainshed.agent.written.folder import Folder
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import StoreAway

KINDS: Final = {"model": "model.tar.gz", "output": "output.tar.gz"}
"""What is delivered, and the object it becomes."""
_PLAIN: Final = {"model": "model", "output": "data"}
"""The folder it becomes with CompressionType NONE."""
_FIRST_LOOK_S: Final = 0.05
_SLOWEST_LOOK_S: Final = 2.0
_MARKER_BYTES: Final = 4096
_LONGEST_KEY: Final = 1024
"""Bytes; S3's limit."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_CLASHES_NAMED: Final = 5
"""Files of one name that the job's status tells."""
_CLASHES_SAID: Final = 20
"""Files of one name that are told one by one; of more, only how many there are."""


class Delivery:
    """Carries one node's results out."""

    def __init__(self, node: Node, objects: RemoteObjects) -> None:
        """Raise ``ValueError`` when the plan's output path is no address."""
        self._node = node
        self._objects = objects
        self._output = parse(node.plan.output_path).joined(node.plan.job_name, "output")
        self._headers = encryption(node.plan.request)
        self._clashes: list[str] = []

    def run(self) -> None:
        """Deliver what is in model/ and output/data.

        Raises:
            StoreError: as ``RemoteObjects`` does, or a file has a name that no object can have.
            OSError: a file cannot be read.
        """
        plan = self._node.plan
        found = {"model": self._collected("model"), "output": self._collected("output")}
        if plan.host != plan.hosts[0]:
            self._put_part(found)
            return
        # An agent that starts over would wait in vain for parts that the last one had dropped.
        delivered = self._node.folder / "delivered"
        if not delivered.exists():
            self._put_all(found)
            with contextlib.suppress(OSError):  # a full disk; no other agent may ever ask
                delivered.touch()
        for host in plan.hosts[1:]:
            self._drop_part(host)

    def put_nothing(self) -> None:
        """Tell the first node not to wait for this one."""
        plan = self._node.plan
        if plan.host != plan.hosts[0]:
            self._put_part({})

    def clashes_told(self) -> str:
        """Return a sentence on the files that more than one host made; "" when there are none."""
        if not self._clashes:
            return ""
        named = ", ".join(self._clashes[:_CLASHES_NAMED])
        more = len(self._clashes) - _CLASHES_NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"More than one host made files of one name; of these was kept: {named}{rest}"

    def _put_all(self, found: Mapping[str, dict[str, Piece]]) -> None:
        """Store what all hosts made, as soon as each has brought its part; no empty result."""
        for host in self._node.plan.hosts[1:]:
            for kind in self._await_part(host):
                self._merge(found[kind], self._part_of(host, kind), host)
        if len(self._clashes) > _CLASHES_SAID:
            self._node.log.say(
                f"{len(self._clashes)} files in all were made by more than one host; give each "
                "host names of its own"
            )
        with Sent(self._node.folder / "sent", self._objects) as sent:
            if self._node.plan.compression == "NONE":
                # All are named before the first is stored: one name may be refused.
                addressed = {
                    _below(self._output.joined(_PLAIN[kind]), name): found[kind][name]
                    for kind in KINDS
                    for name in sorted(found[kind])
                }
                put_all(addressed, self._headers, sent, self._tell_of_deleted)
                return
            for kind, pieces in found.items():
                if pieces:
                    write = self._packing(pieces, compress=True)
                    sent.put(self._output.joined(KINDS[kind]), write, self._headers, sure=True)

    def _collected(self, kind: str) -> dict[str, Piece]:
        tree = self._node.tree
        root = tree.model if kind == "model" else tree.output_data
        seen = self._node.seen.base / root.relative_to(tree.base)
        folder = Folder(root, tree.base, seen_as=str(seen))
        return archive.collect(folder, root.name, self._node.log.say)

    def _tell_of_deleted(self, address: Address) -> None:
        self._node.log.say(f"what belongs to {shown(str(address))} was deleted before it was kept")

    def _packing(self, pieces: Mapping[str, Piece], *, compress: bool) -> Callable[[Sink], None]:
        def write(sink: Sink) -> None:
            archive.write_tar(pieces, sink, self._node.log.say, compress=compress)

        return write

    def _put_part(self, found: Mapping[str, Mapping[str, Piece]]) -> None:
        place = self._part(self._node.plan.host)
        kinds = [kind for kind, pieces in found.items() if pieces]
        for kind in kinds:
            write = self._packing(found[kind], compress=False)
            self._objects.put(place.joined(f"{kind}.tar"), write, self._headers)
        marker = json.dumps({"node": self._node.plan.node_id, "parts": kinds}).encode()

        def mark(sink: Sink) -> None:
            sink.write(marker)

        self._objects.put(place.joined("done"), mark, self._headers)

    def _await_part(self, host: str) -> tuple[str, ...]:
        """Return the kinds that a peer has put, as soon as its marker says so."""
        wait = _FIRST_LOOK_S
        while not self._node.stop.impatient:
            if (kinds := self._marked(host)) is not None:
                return kinds
            if out_of_time(self._node):
                raise StoreAway(f"the part of {host} had not come when the node was taken away")
            self._node.stop.pause(min(wait, time_left(self._node)))
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
        try:
            marker = json.loads(text)
            node, parts = marker["node"], marker["parts"]
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{self._part(host)}/done is no marker of a node: {error!r}"
            ) from error
        attempt = self._node.plan.node_id.rpartition(".")[0]
        if node != f"{attempt}.{host}":
            return None
        return tuple(kind for kind in KINDS if kind in parts)

    def _part_of(self, host: str, kind: str) -> dict[str, Piece]:
        """Fetch a peer's files, and return them."""
        target = self._node.folder / f"{host}-{kind}.tar"
        target.unlink(missing_ok=True)
        address = self._part(host).joined(f"{kind}.tar")
        self._objects.fetch(address, target)
        try:
            return archive.read_tar(target)
        except tarfile.TarError as error:
            raise StoreError(f"{address} is not as {host} put it: {error}") from error

    def _merge(self, into: dict[str, Piece], pieces: Mapping[str, Piece], host: str) -> None:
        for name in sorted(into.keys() & pieces.keys()):
            self._clashes.append(f"{shown(name)} ({host}'s)")
            if len(self._clashes) <= _CLASHES_SAID:
                self._node.log.say(
                    f"{shown(name)} was made by more than one host: the one of {host} is kept"
                )
        into.update(pieces)

    def _drop_part(self, host: str) -> None:
        place = self._part(host)
        for name in ("done", *(f"{kind}.tar" for kind in KINDS)):
            self._objects.delete(place.joined(name))

    def _part(self, host: str) -> Address:
        return self._output.joined(".parts", host)


def _below(folder: Address, name: str) -> Address:
    """Return where a file goes that is stored as it is.

    Raises:
        StoreError: no object can have its name.
    """
    address = folder.joined(name)
    if address.scheme == "file":
        return address
    try:
        size = len(address.key.encode())
    except UnicodeEncodeError:
        raise _unnameable(name, "one is not UTF-8") from None
    if _CONTROLS.search(name):
        raise _unnameable(name, "one has control characters")
    if size > _LONGEST_KEY:
        raise _unnameable(
            name, f"one makes a key of {size} bytes, where {_LONGEST_KEY} are allowed"
        )
    return address


def _unnameable(name: str, why: str) -> StoreError:
    # What to do comes first: a reason is cut off at its end.
    return StoreError(
        f"with CompressionType NONE a file's name must fit an object, and {why}; rename the file, "
        f"or ask for GZIP: {shown(name)}"
    )
