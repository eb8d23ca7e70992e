"""Runs a node's container on a Docker engine, or on what speaks its API.

The container belongs to the engine, so it outlives the agent: an agent that starts over finds it
again by its name, and goes on where the last one stopped.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from trainshed.agent.command import variables
from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.base import Container
from trainshed.agent.runtimes.docker import images, network, spec
from trainshed.agent.runtimes.docker.cleaning import Left, clean, remove_containers
from trainshed.agent.runtimes.docker.container import DockerContainer, refused_command
from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError, find_socket
from trainshed.agent.runtimes.docker.machine import Machine, Share, look, share
from trainshed.agent.runtimes.docker.spec import Image
from trainshed.domain.facts import Outcome
from trainshed.domain.plan import NodePlan

_WRITABLE: Final = 0o777
_NEVER: Final = "0001-01-01T00:00:00Z"
"""When a container that has not been started was."""


class DockerRuntime:
    """Starts the container of one node."""

    def __init__(self, plan: NodePlan) -> None:
        self._plan = plan
        self._engine: Engine | None = None
        self._image: Image | None = None
        self._machine: Machine | None = None

    @property
    def sees_opt_ml(self) -> bool:
        """Return True: an image has a root of its own."""
        return True

    @property
    def interface(self) -> str:
        """The network interface by which the container reaches the other nodes."""
        return "lo" if network.name_for(self._plan) == "none" else "eth0"

    def describe(self) -> str:
        """Return how the container will run."""
        return "docker"

    def notes(self, node: Node) -> list[str]:
        """Return where the container gets less than was asked for."""
        return list(self._share(node).notes)

    def fetch(self, node: Node) -> None:
        """Have the image on the machine, and see that the machine can run it."""
        try:
            self._share(node)
            self._found_image(node)
        except EngineError as error:
            raise _lost(error) from error

    def brings_code(self, node: Node) -> bool:
        """Tell whether the toolkit is to be laid into the image."""
        return False

    def prepare(self, node: Node) -> Callable[[], Container]:
        """Make the container, and return what starts it."""
        try:
            container = self._made(node)
        except EngineError as error:
            raise _lost(error) from error
        return lambda: self._started(node, container)

    def find(self, node: Node) -> Container | None:
        """Return the container that an agent before us has started, or was about to."""
        try:
            found = self._connected().get(f"/containers/{spec.container_name(node.plan)}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            raise _lost(error) from error
        if found["State"]["StartedAt"] == _NEVER:
            return self._started(node, str(found["Id"]))
        return self._followed(node, found)

    def clear(self, node: Node) -> None:
        """Remove the container and its network; whoever removes the node tries again."""
        try:
            clean(node.folder)
        except EngineError as error:
            print(f"cannot clean up: {error}", file=sys.stderr, flush=True)  # noqa: T201

    def _connected(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(find_socket(self._plan.engine, os.environ))
        return self._engine

    def _found_image(self, node: Node) -> Image:
        if self._image is None:
            self._image = images.fetch(node, self._connected())
        return self._image

    def _share(self, node: Node) -> Share:
        if self._machine is None:
            self._machine = look(self._connected())
        return share(node.plan, self._machine, shutil.disk_usage(node.folder).free)

    def _made(self, node: Node) -> str:
        """Make the container anew: one that is there has never been started."""
        engine, plan = self._connected(), node.plan
        given = self._share(node)
        if self._machine is None:
            raise RuntimeError("a share was given of no machine")
        body = spec.body(
            plan,
            self._found_image(node),
            environment=variables(plan),
            mounts=spec.tree_mounts(plan, node.tree),
            given=given,
            machine=self._machine,
            folder=node.folder,
        )
        _open_up(node)
        left = Left.of(plan, engine, node.folder)
        left.write(node.folder)
        with network.locked(Path(left.lock)):
            remove_containers(engine, plan.node_id)
            network.ensure(engine, plan)
            made = engine.post("/containers/create", body, name=spec.container_name(plan))
        return str(made["Id"])

    def _started(self, node: Node, container: str) -> Container:
        engine = self._connected()
        try:
            engine.post(f"/containers/{container}/start")
        except EngineAway as away:
            raise _lost(away) from away
        except EngineError as error:
            if (never_ran := refused_command(error)) is not None:
                return never_ran
            raise _lost(error) from error
        return self._followed(node, engine.get(f"/containers/{container}/json"))

    def _followed(self, node: Node, found: dict[str, Any]) -> Container:
        stop_signal = str(found["Config"].get("StopSignal") or "SIGTERM")
        return DockerContainer(self._connected(), str(found["Id"]), stop_signal, node.log.say)


def _open_up(node: Node) -> None:
    """Let any user write where a job may write: an image's own user is not known here."""
    tree = node.tree
    for folder in (tree.input, tree.model, tree.checkpoints, tree.output, tree.output_data):
        folder.chmod(_WRITABLE)


def _lost(error: EngineError) -> NodeOver:
    return NodeOver(Outcome.LOST, f"InternalServerError: {error}")
