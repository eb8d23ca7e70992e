"""Keeps what a job writes to output/intermediate while it runs: where ``sagemaker_s3_output`` says.

Amazon's toolkit does this itself, with the container's keys, unless the folder is there already:
then the platform does. Here the platform does, for every toolkit: an isolated container has no
keys, and what it wrote last is stored even when it was killed. Nothing is ever deleted there.
"""

import math
import os
import threading
import time
from typing import Final

from trainshed.agent.node import Node
from trainshed.agent.notes import Notes
from trainshed.agent.outputs.sending import encryption
from trainshed.agent.waiting import Endurance
from trainshed.agent.watching.ending import Ending
from trainshed.agent.written.folder import Folder, Signature
from trainshed.agent.written.leases import is_being_written
from trainshed.agent.written.opening import NotHere
from trainshed.contract import script_mode
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

_PAUSE_S: Final = 1.0
"""Between two looks; a file that is the same in both, and closed, is whole."""
_LOOKING_SHARE: Final = 20
"""A look at very many files is followed by a pause so many times as long."""
_PATIENCE_S: Final = 15.0
"""How long one request goes on asking a store that is away while the container runs: its end must
not wait for that. What is not stored then is stored by the next look, or after the end."""
_CHUNK: Final = 1 << 20


class Unsettled(Exception):
    """A file is being written to."""


class Intermediate:
    """A companion that stores every version of a file that it sees at rest."""

    fd = -1

    def __init__(self, node: Node, place: Address, ending: Ending) -> None:
        """Store below ``place``; ``ending`` tells how the container ended."""
        self._node = node
        self._ending = ending
        self._place = place
        self._folder = Folder(
            node.tree.intermediate, node.tree.base, seen_as=str(node.seen.intermediate)
        )
        self._headers = encryption(node.plan.request)
        self._objects = self._reached(_PATIENCE_S)
        self._notes = Notes(node.folder / "intermediate.jsonl")
        self._settled = {path: Signature(*rest) for path, *rest in self._notes.read()}
        """What is stored, or will never be."""
        self._before: dict[str, Signature] = {}
        self._said: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intermediate", daemon=True)

    def begin(self) -> None:
        """Begin to look."""
        self._thread.start()

    def trouble(self) -> str:
        """Return "": a job is not stopped for what it can do without."""
        return ""

    def left_s(self) -> float:
        """Return 0: nothing that must be waited for."""
        return 0.0

    def finish(self) -> None:
        """Leave it at that; what is left is stored once the container's end is in the journal.

        Of a container that was cut short that may never be, so what it left is stored now.
        """
        self._over.set()
        self._thread.join()
        if self._node.journal.last(Kind.TRAINING) is not None and not self._ending.known:
            self._pass(live=False)
        self._notes.close()

    def conclude(self) -> None:
        """Store what is not stored yet: nobody writes any more. Repeatable."""
        # A node that is taken away is not kept from its last words by what the job can do without.
        self._objects = self._reached(math.inf if self._node.stop.notice is None else _PATIENCE_S)
        self._pass(live=False)
        self._notes.close()

    def _run(self) -> None:
        pause = _PAUSE_S
        while not self._over.wait(pause):
            pause = max(_PAUSE_S, _LOOKING_SHARE * self._pass(live=True))

    def _pass(self, *, live: bool) -> float:
        """Store what is new and at rest; return how many seconds the look took."""
        began = time.monotonic()
        found = self._folder.look()
        looked = time.monotonic() - began
        for path, why in found.left_out.items():
            self._say(f"{path} {why}: it is not kept")
        for path, signature in sorted(found.files.items()):
            at_rest = not live or self._before.get(path) == signature
            if self._settled.get(path) == signature or not at_rest:
                continue
            if live and self._over.is_set():
                break
            if self._is_dealt_with(path, signature, live=live):
                self._settled[path] = signature
                self._notes.add([path, *signature])
        self._before = found.files
        return looked

    def _is_dealt_with(self, path: str, signature: Signature, *, live: bool) -> bool:
        """Store one version of a file; tell whether it need not be tried again."""

        def write(sink: Sink) -> None:
            self._write(path, signature, sink, live=live)

        try:
            self._objects.put(self._place.joined(*path.split("/")), write, self._headers)
        except (NotHere, Unsettled, Cancelled):
            return False
        except StoreAway as away:
            self._say(f"{path} is not kept yet: {away}")
            return False
        except (StoreError, OSError) as error:
            self._say(f"{path} is not kept: {error}")
        return True

    def _write(self, path: str, signature: Signature, sink: Sink, *, live: bool) -> None:
        with self._folder.opened(path) as fd:
            if live and is_being_written(fd):
                raise Unsettled(path)
            while chunk := os.read(fd, _CHUNK):
                sink.write(chunk)
            if live and Signature.of(os.fstat(fd)) != signature:
                raise Unsettled(path)

    def _reached(self, patience_s: float) -> RemoteObjects:
        stop = self._node.stop
        return RemoteObjects.for_node(
            self._node.plan,
            cancelled=lambda: stop.forgotten,
            hurried=Endurance(self._node).over,
            patience_s=patience_s,
            complain=self._node.log.say,
        )

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._node.log.say(f"output/intermediate: {what}")


def intermediate_of(node: Node, ending: Ending) -> list[Intermediate]:
    """Return what keeps the node's intermediate output; none when the request names no place."""
    place = script_mode.intermediate_output(node.plan.hyperparameters)
    if not place:
        return []
    try:
        folder = parse(place).joined(node.plan.job_name, "output", "intermediate")
    except ValueError as error:
        node.log.say(f"{script_mode.S3_OUTPUT}: {error}; nothing is kept while the job runs")
        return []
    return [Intermediate(node, folder, ending)]
