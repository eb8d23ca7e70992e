"""Has the containers of one attempt start together, as soon as the last is made.

A container whose peer is not there yet finds its name, and nobody at its address: "no route to
host", which programs take for the end (torchrun does), unlike a port that nobody listens on yet. So
none starts before all are made, their inputs staged; and the first host of each instance group,
which the others of a job turn to, starts before them.

What the agents of an attempt know of each other is one small file beside the lock that they share.
"""

import time
from pathlib import Path
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.docker import network
from trainshed.domain.facts import Outcome
from trainshed.domain.plan import NodePlan

_MADE: Final = "made"
_STARTED: Final = "started"
_LOOK_S: Final = 0.05
_LOOK_LATER_S: Final = 0.5
"""How often to look, at first and once it takes long."""
_SAID_AFTER_S: Final = 5.0
"""Seconds of waiting before the log hears of it."""


class Muster:
    """Which containers of an attempt are made, and which are started. One host waits for nobody."""

    def __init__(self, plan: NodePlan, lock: Path) -> None:
        """``lock`` is the file that the agents of this machine lock."""
        self._plan = plan
        self._path = _path(network.attempt_of(plan.node_id), lock)

    def note_made(self) -> None:
        """Note that this node's container is made; under the lock, as what ``forget`` goes by."""
        self._note(_MADE)

    def note_started(self) -> None:
        """Note that this node's container was started; again changes nothing."""
        self._note(_STARTED)

    def wait(self, node: Node) -> None:
        """Return once this node's container is to start.

        Raises:
            NodeOver: the node was asked to stop.
        """
        if len(self._plan.hosts) == 1:
            return
        began, said = time.monotonic(), False
        while missing := self._missing():
            if node.stop.asked:
                raise NodeOver(Outcome.STOPPED)
            waited = time.monotonic() - began
            if waited > _SAID_AFTER_S and not said:
                node.reporter.start()
                node.log.say(f"waiting for other hosts to get ready: {', '.join(missing)}")
                said = True
            node.stop.pause(_LOOK_LATER_S if said else _LOOK_S)

    def _missing(self) -> list[str]:
        """Return the hosts whose containers must be made, or started, before this one starts."""
        noted, plan = self._noted(), self._plan
        groups: list[list[str]] = [list(each["hosts"]) for each in plan.instance_groups]
        # Sorted as text, as resourceconfig.json has them.
        first = {min(hosts) for hosts in groups if hosts} or {plan.hosts[0]}
        wanted, word = (plan.hosts, _MADE) if plan.host in first else (sorted(first), _STARTED)
        return [host for host in wanted if (word, host) not in noted]

    def _note(self, word: str) -> None:
        if len(self._plan.hosts) == 1 or (word, self._plan.host) in self._noted():
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(f"{word} {self._plan.host}\n")

    def _noted(self) -> set[tuple[str, str]]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return set()
        return {(word, host) for word, _, host in (line.partition(" ") for line in lines)}


def forget(attempt: str, lock: Path) -> None:
    """Remove what was noted of an attempt; under the lock, when nothing of it is left."""
    _path(attempt, lock).unlink(missing_ok=True)


def _path(attempt: str, lock: Path) -> Path:
    return lock.parent / "attempts" / attempt
