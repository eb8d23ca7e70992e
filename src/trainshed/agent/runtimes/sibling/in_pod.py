"""What the two agents of a pod do: one before the user's container, and one beside it.

They walk one list of steps over one journal, as one agent does elsewhere.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from trainshed.agent import own_log
from trainshed.agent.node import Node, Step
from trainshed.agent.runtimes.sibling.claim import Claim, NotOurs
from trainshed.agent.runtimes.sibling.cluster import Cluster
from trainshed.agent.runtimes.sibling.keeping import AGAIN, NOT_OURS, hide
from trainshed.agent.runtimes.sibling.laying import lay_for_container
from trainshed.agent.runtimes.sibling.own_pod import OwnPod
from trainshed.agent.runtimes.sibling.peers import await_peers
from trainshed.agent.runtimes.sibling.place import Place
from trainshed.agent.runtimes.sibling.runtime import SiblingRuntime
from trainshed.agent.sequence import STAGING
from trainshed.agent.serving import Parts, carry_on, heed_signals, locked, node_of
from trainshed.agent.stopping import Stop
from trainshed.domain.facts import Kind
from trainshed.domain.plan import NodePlan

_OVER: int = 1
"""Exit code that keeps the user's container from starting: the node is over."""


def stage(root: Path, parts: Parts) -> int:
    """Claim the node and bring everything in; return 0 when the user's container may start."""
    hide()
    own_log.say_what_there_is_room_for()
    place = Place.here(root)
    cluster = Cluster(place)
    plan = NodePlan.from_json(place.plan.read_text())
    claim = Claim(cluster, plan.node_id, place.uid)
    try:
        told = claim.take()
    except NotOurs as not_ours:
        _say_last(place, str(not_ours))
        return NOT_OURS
    place.node.mkdir(parents=True, exist_ok=True)
    plan = replace(plan, uploads=str(place.node / "uploads"))
    _write(place.node / "plan.json", plan.to_json())
    peers: Step = partial(await_peers, cluster=cluster, claim=claim)
    steps = (*parts.steps[:STAGING], lay_for_container, peers)
    served = _Served(place=place, cluster=cluster, parts=parts)
    node = served.walked(plan, steps, told, to_the_end=False)
    if node.journal.last(Kind.ENDED) is None:
        return 0
    if not _is_told(node):
        again = [sys.executable, "-I", "-m", "trainshed.agent", "--stage", str(root)]
        os.execv(again[0], again)  # noqa: S606 - no shell is wanted
    return _OVER


def beside(root: Path, parts: Parts) -> int:
    """Watch over the user's container and carry its results out; return 0 when all is told."""
    hide()
    own_log.say_what_there_is_room_for()
    place = Place.here(root)
    lock = locked(place.node / "agent.lock")
    if lock is None:
        return AGAIN  # one before us is just ending
    plan = NodePlan.from_json((place.node / "plan.json").read_text())
    served = _Served(place=place, cluster=Cluster(place), parts=parts)
    node = served.walked(plan, parts.steps[STAGING:], {}, to_the_end=True)
    return 0 if _is_told(node) else AGAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """One agent of a pod."""

    place: Place
    cluster: Cluster
    parts: Parts

    def walked(
        self, plan: NodePlan, steps: Sequence[Step], told: Mapping[str, Any], *, to_the_end: bool
    ) -> Node:
        """Return the node behind the last of the steps; ``told``: annotations of its claim."""
        stop = Stop(self.place.node / "stop")
        runtimes: list[SiblingRuntime] = []

        def leave() -> NoReturn:
            for runtime in runtimes:
                runtime.kill()
            os._exit(NOT_OURS)

        own = OwnPod(self.cluster, self.place, stop, leave)
        runtimes.append(SiblingRuntime(self.cluster, self.place, own))
        signal.signal(signal.SIGTERM, own.hear)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        heed_signals()
        own.heed(told)
        own.start()
        os.chdir("/")
        node = node_of(self.place.node, plan, stop, lambda _: runtimes[0], self.parts)
        _say_facts(node)
        node.reporter.start()
        carry_on(node, steps, to_the_end=to_the_end)
        return node


def _is_told(node: Node) -> bool:
    """Tell whether the server knows all that it wants to know of the node."""
    return node.stop.forgotten or node.reporter.up_to_date


def _say_facts(node: Node) -> None:
    """Have ``kubectl logs`` tell how far the node is."""
    silent = {Kind.METRICS, Kind.PROGRESS, Kind.CHECKPOINT}
    said = [node.journal.length]

    def say() -> None:
        for fact in node.journal.after(said[0], 100):
            said[0] = fact.n
            if fact.kind not in silent:
                detail = ", ".join(f"{name} {value!r}" for name, value in fact.detail.items())
                # One write: other threads speak there, too.
                sys.stderr.write(f"{node.plan.host} {fact.kind.value}: {detail}\n")

    node.journal.on_append(say)


def _say_last(place: Place, text: str) -> None:
    """Say it where ``kubectl logs`` and ``kubectl describe`` show it."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
    if place.last_words.exists():
        place.last_words.write_text(text)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
