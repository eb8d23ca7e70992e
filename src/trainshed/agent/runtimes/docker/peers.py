"""What the nodes of one attempt let each other know: whose containers are made, and whose started.

None starts before all are made, that is, have their data. And a host's name stands in the others'
``/etc/hosts`` from its start on, for as long as they live: an engine's own names go with their
containers, so who begins late would look in vain for one that is over. Not before its start either:
until then nobody answers at its address, and "no route to host" is the end for programs that would
wait for a name, or for a port (torchrun's do). Engines do tell names a moment earlier, before the
container has its network; it stays a moment where containers start one after another.

    <lock's folder>/attempts/<attempt>/notes     "made algo-1 172.18.0.2", "started algo-1 …"
                                       algo-1    the /etc/hosts of that host's container
                                       turn      locked by who starts a container
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.docker import network
from trainshed.agent.runtimes.docker.locking import locked
from trainshed.domain.facts import Outcome
from trainshed.domain.plan import NodePlan

_MADE: Final = "made"
_STARTED: Final = "started"
_ALWAYS: Final = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
"""What engines write into each container's ``/etc/hosts``."""
_WRITABLE: Final = 0o666
"""Root in a container writes there, and where the engine maps users that is nobody here."""
_LOOK_S: Final = 0.05
_LOOK_LATER_S: Final = 0.5
"""How often to look, at first and once it takes long."""
_SAID_AFTER_S: Final = 5.0
"""Seconds of waiting before the log hears of it."""


class Peers:
    """One node's view of them. A job of one host has none, and nothing is noted of it."""

    def __init__(self, plan: NodePlan, lock: Path) -> None:
        """``lock`` is the file that the agents of this machine lock."""
        self._plan = plan
        self._lock = lock
        self._folder = _folder(network.attempt_of(plan.node_id), lock)
        self._alone = len(plan.hosts) == 1

    @property
    def names(self) -> Path:
        """The file that is ``/etc/hosts`` for this node's container."""
        return self._folder / self._plan.host

    def write_names(self, address: str) -> None:
        """Write ``names`` for a container that is to be made; under the lock.

        Args:
            address: this node's own.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        started = self._noted(_STARTED)
        started[self._plan.host] = address
        self.names.write_text(_ALWAYS + "".join(_line(*each) for each in started.items()))
        self.names.chmod(_WRITABLE)

    def note_made(self, address: str) -> None:
        """Note that this node's container is made; under the lock."""
        if self._plan.host not in self._noted(_MADE):
            self._note(_MADE, address)

    def note_started(self) -> None:
        """Let the others know this node's name; its container was started. Again is no error."""
        if self._alone:
            return
        with locked(self._lock):
            address = self._noted(_MADE).get(self._plan.host)
            if address is None or self._plan.host in self._noted(_STARTED):
                return
            for host in self._noted(_MADE):
                if host != self._plan.host:
                    # In place: the file is mounted.
                    with (
                        contextlib.suppress(FileNotFoundError),
                        (self._folder / host).open("r+") as names,
                    ):
                        names.seek(0, 2)
                        names.write(_line(self._plan.host, address))
            self._note(_STARTED, address)

    def wait(self, node: Node) -> None:
        """Return once the containers of all hosts are made.

        Raises:
            NodeOver: the node was asked to stop.
        """
        if self._alone:
            return
        began, said = time.monotonic(), False
        while missing := [host for host in self._plan.hosts if host not in self._noted(_MADE)]:
            if node.stop.called_off:
                raise NodeOver(Outcome.STOPPED)
            if not said and time.monotonic() - began > _SAID_AFTER_S:
                node.reporter.start()
                node.log.say(f"waiting for other hosts to get ready: {', '.join(missing)}")
                said = True
            node.stop.pause(_LOOK_LATER_S if said else _LOOK_S)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Start this node's container in here, while no other of the attempt starts."""
        with contextlib.nullcontext() if self._alone else locked(self._folder / "turn"):
            yield

    def _note(self, word: str, address: str) -> None:
        with (self._folder / "notes").open("a") as notes:
            notes.write(f"{word} {self._plan.host} {address}\n")

    def _noted(self, word: str) -> dict[str, str]:
        """Return addresses by host."""
        try:
            lines = (self._folder / "notes").read_text().splitlines()
        except FileNotFoundError:
            return {}
        found = (line.split() for line in lines)
        return {each[1]: each[2] for each in found if len(each) == 3 and each[0] == word}


def forget(attempt: str, lock: Path) -> None:
    """Remove what was noted of an attempt; under the lock, when nothing of it is left."""
    shutil.rmtree(_folder(attempt, lock), ignore_errors=True)


def _line(host: str, address: str) -> str:
    return f"{address}\t{host}\n"


def _folder(attempt: str, lock: Path) -> Path:
    return lock.parent / "attempts" / attempt
