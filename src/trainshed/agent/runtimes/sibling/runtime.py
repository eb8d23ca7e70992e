"""Runs a node's container where the kubelet starts it, beside the agent.

The agent starts nothing here. It waits for the container, hears it, stops it, and finds it again
after a crash: it lives as long as the pod.
"""

import sys
import time
from collections.abc import Callable
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.base import Container
from trainshed.agent.runtimes.refusals import refused_command
from trainshed.agent.runtimes.sibling.cluster import Cluster
from trainshed.agent.runtimes.sibling.container import SiblingContainer
from trainshed.agent.runtimes.sibling.following import Following
from trainshed.agent.runtimes.sibling.own_pod import OwnPod
from trainshed.agent.runtimes.sibling.place import Place
from trainshed.agent.runtimes.sibling.pod import Main, State
from trainshed.agent.runtimes.sibling.processes import Processes
from trainshed.agent.runtimes.sibling.starting import Start, never_started
from trainshed.domain.facts import Kind, Outcome

KEPT: Final = "heard"
"""In the node's folder: what the container wrote, as it was heard."""
_LOOK_S: Final = 0.2
_PULLING_S: Final = 1.0
"""How long a start takes where nothing has to be pulled."""


class SiblingRuntime:
    """Watches over the container of one node."""

    def __init__(self, cluster: Cluster, place: Place, own: OwnPod) -> None:
        """Watch the pod ``own``, at ``place`` in ``cluster``."""
        self._cluster = cluster
        self._place = place
        self._own = own

    @property
    def sees_opt_ml(self) -> bool:
        """Return True: an image has a root of its own."""
        return True

    @property
    def interface(self) -> str:
        """What nearly every cluster's network calls a pod's own."""
        return "eth0"

    @property
    def starts_by_itself(self) -> bool:
        """Return True: the kubelet asks nobody."""
        return True

    @property
    def no_views(self) -> str:
        """Return why a channel can't be shown as it lies in the store: a pod mounts nothing."""
        return "a pod may mount nothing without privileges"

    def describe(self) -> str:
        """Return how the container runs."""
        return "pod"

    def notes(self, node: Node) -> list[str]:
        """Return nothing: what the pod gets was for the driver to say."""
        return []

    def fetch(self, node: Node) -> None:
        """Do nothing: the kubelet fetches the image."""

    def brings_code(self, node: Node) -> bool:
        """Tell whether our toolkit is laid into the image, which is not known beforehand."""
        return node.plan.script_mode

    def prepare(self, node: Node) -> Callable[[], Container]:
        """Wait until the kubelet has started the container, or says that it never will."""
        main = self._awaited(node)
        if main.image and node.journal.last(Kind.IMAGE) is None:
            node.journal.append(Kind.IMAGE, id=main.image, digest=main.digest)
        return lambda: self._container(node, main)

    def find(self, node: Node) -> Container | None:
        """Return the container, which is there as long as the pod; none but that ever ran."""
        while not self._own.wait(lambda pod: pod.main.state is not State.WAITING, _LOOK_S):
            if node.stop.impatient:
                return None
        pod = self._own.look()
        if pod is None:
            raise NodeOver(Outcome.LOST, "InternalServerError: the pod of this node is gone")
        return self._container(node, pod.main)

    def clear(self, node: Node) -> None:
        """Kill what still runs: a node may be over before its container is."""
        self.kill()

    def kill(self) -> None:
        """Kill the container, if it is there."""
        pod = self._own.look()
        if pod is not None and pod.main.state is State.RUNNING:
            try:
                Processes(self._place.processes, pod.main.container).kill()
            except OSError as error:
                print(f"cannot end the container: {error}", file=sys.stderr, flush=True)  # noqa: T201

    def _awaited(self, node: Node) -> Main:
        """Return the container as it is once it was started.

        Raises:
            NodeOver: it never will be, or the node was asked to stop before.
        """
        start, began, said = Start(image=node.plan.image), time.monotonic(), ""
        while True:
            self._own.wait(lambda pod: pod.main.state is not State.WAITING, _LOOK_S)
            pod = self._own.look()
            if pod is not None and pod.main.state is not State.WAITING:
                return pod.main
            if node.stop.called_off or self._own.gone:
                raise NodeOver(Outcome.STOPPED)
            if self._own.refusal:
                reason = f"InternalServerError: the agent cannot see its pod: {self._own.refusal}"
                raise NodeOver(Outcome.LOST, reason)
            if pod is not None and (over := start.look(pod.main)) is not None:
                raise over
            if time.monotonic() - began > _PULLING_S:
                node.journal.once(Kind.PULLING)
                node.reporter.start()
            if start.trouble != said:
                said = start.trouble
                node.log.say(f"the container does not start yet: {said}")

    def _container(self, node: Node, main: Main) -> Container:
        if never_started(main):
            if (never_ran := refused_command(main.message)) is not None:
                return never_ran
            raise NodeOver(
                Outcome.FAILED,
                f"ClientError: the container could not be started: {main.message or main.reason}",
            )
        following = Following(
            self._cluster, self._place.pod, node.folder / KEPT, complain=node.log.say
        )
        processes = Processes(self._place.processes, main.container)
        return SiblingContainer(self._own, following, processes, node.stop, node.log.say)
