"""Runs a node's container on a Docker engine, or on what speaks its API.

The container belongs to the engine, so it outlives the agent: an agent that starts over finds it
again by its name, and goes on where the last one stopped.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.base import Container
from trainshed.agent.runtimes.docker import images, network, programs, spec, toolkit
from trainshed.agent.runtimes.docker.cleaning import Left, clean, remove_containers
from trainshed.agent.runtimes.docker.container import DockerContainer
from trainshed.agent.runtimes.docker.engine import (
    Engine,
    EngineAway,
    EngineError,
    find_socket,
    patiently,
)
from trainshed.agent.runtimes.docker.locking import locked
from trainshed.agent.runtimes.docker.machine import Machine, Share, look, share
from trainshed.agent.runtimes.docker.ownership import take_back
from trainshed.agent.runtimes.docker.peers import Peers
from trainshed.agent.runtimes.docker.programs import Programs
from trainshed.agent.runtimes.docker.spec import Image
from trainshed.agent.runtimes.refusals import refused_command
from trainshed.agent.runtimes.writable import WRITABLE, open_up
from trainshed.contract import script_mode
from trainshed.domain.container import ARCHIVE, toolkit_secret, variables
from trainshed.domain.facts import Kind, Outcome
from trainshed.domain.plan import NodePlan

_NEVER: Final = "0001-01-01T00:00:00Z"
"""When a container that has not been started was."""
_CONFLICT: Final = 409
_CONFLICTS: Final = 20
_AGAIN_S: Final = 0.5
"""How often, and how far apart, to try for a name that another request holds."""


class DockerRuntime:
    """Starts the container of one node."""

    def __init__(self, plan: NodePlan) -> None:
        self._plan = plan
        self._engine: Engine | None = None
        self._left: Left | None = None
        self._image: Image | None = None
        self._machine: Machine | None = None
        self._programs: Programs | None = None
        """What the image has, where that matters: in script mode."""

    @property
    def sees_opt_ml(self) -> bool:
        """Return True: an image has a root of its own."""
        return True

    @property
    def interface(self) -> str:
        """The network interface by which the container reaches the other nodes."""
        return "lo" if network.name_for(self._plan) == "none" else "eth0"

    @property
    def starts_by_itself(self) -> bool:
        """Return False: the agent starts it."""
        return False

    @property
    def no_views(self) -> str:
        """Return nothing: the container sees what is mounted below its tree."""
        return ""

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
            self._image = self._found_image(node)
            if node.plan.script_mode:
                self._look_into(node, self._image)
        except EngineError as error:
            raise _lost(error) from error

    def brings_code(self, node: Node) -> bool:
        """Tell whether the toolkit is to be laid into the image."""
        return self._lays_toolkit

    def prepare(self, node: Node) -> Callable[[], Container]:
        """Make the container, and return what starts it."""
        try:
            image = self._found_image(node)
            container = self._made(node, image)
        except EngineError as error:
            raise _refused(error) from error
        self._peers(node).wait(node)
        return lambda: self._started(node, container, image.stop_signal)

    def find(self, node: Node) -> Container | None:
        """Return the container that an agent before us has started, or was about to."""
        self._left = Left.read(node.folder)
        if self._left is not None:
            # The settings may name another engine by now; the container stays where it is.
            self._engine = Engine(self._left.engine)
        engine = self._connected()
        path = f"/containers/{spec.container_name(node.plan)}/json"
        try:
            found = patiently(lambda: engine.get(path), self._tell_away(node))
        except EngineError as error:
            if error.status != 404:
                raise _lost(error) from error
            if node.journal.last(Kind.STOPPING) is not None:
                return None
            raise NodeOver(
                Outcome.LOST,
                f"InternalServerError: the container of {node.plan.host} was removed while it ran",
            ) from error
        container, image = str(found["Id"]), found["Config"]
        stop_signal = str(image.get("StopSignal") or spec.STOP_SIGNAL)
        if _is_started(found):
            return self._followed(node, container, stop_signal)
        return None if node.stop.called_off else self._started(node, container, stop_signal)

    def clear(self, node: Node) -> None:
        """Remove the container and its network; whoever removes the node tries again."""
        try:
            clean(node.folder, self._left)
        except EngineError as error:
            print(f"cannot clean up: {error}", file=sys.stderr, flush=True)  # noqa: T201

    def _peers(self, node: Node) -> Peers:
        left = self._left or Left.of(node.plan, self._connected(), node.folder)
        return Peers(node.plan, Path(left.lock))

    def _connected(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(find_socket(self._plan.engine, os.environ))
        return self._engine

    def _found_image(self, node: Node) -> Image:
        return self._image or images.fetch(node, self._connected())

    def _share(self, node: Node) -> Share:
        if self._machine is None:
            self._machine = look(self._connected())
        return share(node.plan, self._machine, shutil.disk_usage(node.folder).free)

    @property
    def _lays_toolkit(self) -> bool:
        found = self._programs
        return found is not None and bool(found.python) and not found.train

    def _look_into(self, node: Node, image: Image) -> None:
        """Find out what runs the user's script.

        Raises:
            NodeOver: nothing does.
        """
        plan, engine = node.plan, self._connected()
        Left.of(plan, engine, node.folder).write(node.folder)
        folders = spec.folders_of_path(plan, image)
        found = programs.look(engine, image, folders, _cache(node), spec.labels(plan))
        self._programs = found
        if not (found.train or found.python or image.entrypoint):
            raise NodeOver(
                Outcome.FAILED,
                f'ClientError: nothing in the image "{plan.image}" can run the script: it has no '
                f"ENTRYPOINT, and neither train nor python3 nor python on its PATH "
                f"({':'.join(folders)}); use an image with Python",
            )

    def _laid_in(self, node: Node) -> tuple[list[spec.Mount], dict[str, str]]:
        """Return what the toolkit needs: what the container sees, and variables."""
        if self._programs is None or not self._lays_toolkit:
            return [], {}
        python = self._programs.python
        train = toolkit.program(_cache(node), python)
        mounts = [
            spec.Mount(
                source=train, target=str(PurePosixPath(python).with_name("train")), read_only=True
            )
        ]
        if not self._programs.code:
            # An image's user may be none who could make it.
            node.tree.code.mkdir(exist_ok=True)
            node.tree.code.chmod(WRITABLE)
            mounts.append(spec.Mount(source=node.tree.code, target=str(node.seen.code)))
        told = toolkit_secret(node.plan)
        if node.source_archive.exists():
            mounts.append(spec.Mount(source=node.source_archive, target=ARCHIVE, read_only=True))
            told[script_mode.SOURCE_ARCHIVE_VARIABLE] = ARCHIVE
        return mounts, told

    def _made(self, node: Node, image: Image) -> str:
        """Make the container anew: one that is there has never been started."""
        engine, plan = self._connected(), node.plan
        given = self._share(node)
        if self._machine is None:
            raise RuntimeError("a share was given of no machine")
        mounts, laid_in = self._laid_in(node)
        body = spec.body(
            plan,
            image,
            environment={**laid_in, **variables(plan, node.seen)},
            mounts=[
                *spec.tree_mounts(plan, node.tree),
                *spec.file_system_mounts(plan),
                *mounts,
            ],
            given=given,
            machine=self._machine,
            folder=node.folder,
        )
        open_up(node)
        self._left = Left.of(plan, engine, node.folder)
        self._left.write(node.folder)
        if plan.warm_cache:
            # What its user writes there outlives the node, and is to be deleted by the agent's.
            self._left.write(Path(plan.warm_cache).parent)
        with locked(Path(self._left.lock)):
            remove_containers(engine, plan.node_id)
            joined, peers = network.ensure(engine, plan, node.log.say), self._peers(node)
            own = joined.addresses.get(plan.host)
            if own is None:
                spec.join_alone(body, plan, joined.name)
                return _created(engine, plan, body)
            peers.write_names(own)
            spec.join(body, joined.name, own, peers.names)
            container = _created(engine, plan, body)
            peers.note_made(own)
        return container

    def _started(self, node: Node, container: str, stop_signal: str) -> Container:
        engine = self._connected()
        tell = self._tell_away(node)
        unsure: list[EngineAway] = []

        def start() -> None:
            # An engine that went away over it may have started it, and it may be over by now: an
            # engine that is asked again then would run it again.
            if not (unsure and _has_started(engine, container)):
                engine.post(f"/containers/{container}/start")

        def note(away: EngineAway) -> None:
            unsure.append(away)
            tell(away)

        try:
            with self._peers(node).turn():
                patiently(start, note)
        except EngineError as error:
            if (never_ran := refused_command(str(error))) is not None:
                return never_ran
            raise _refused(error) from error
        return self._followed(node, container, stop_signal)

    def _followed(self, node: Node, container: str, stop_signal: str) -> DockerContainer:
        engine = self._connected()
        self._peers(node).note_started()

        def settle() -> None:
            try:
                take_back(engine, node.folder, spec.labels(node.plan))
            except EngineError as error:  # it may be readable all the same
                node.log.say(f"what the container wrote still belongs to its user: {error}")

        return DockerContainer(
            engine,
            container,
            stop_signal=stop_signal,
            complain=node.log.say,
            settle=settle,
            stopping=node.journal.last(Kind.STOPPING) is not None,
        )

    def _tell_away(self, node: Node) -> Callable[[EngineAway], None]:
        """Return what says in the job's log, once, that the engine does not answer."""
        told: list[str] = []

        def tell(away: EngineAway) -> None:
            if not told:
                node.log.say(str(away))
            told.append(str(away))

        return tell


def _created(engine: Engine, plan: NodePlan, body: dict[str, Any]) -> str:
    """Make a container; what an agent that died had asked for may be made only now, and goes."""
    tries = 0
    while True:
        try:
            made = engine.post("/containers/create", body, name=spec.container_name(plan))
        except EngineError as error:
            tries += 1
            if error.status != _CONFLICT or tries > _CONFLICTS:
                raise
            time.sleep(_AGAIN_S)
            remove_containers(engine, plan.node_id)
        else:
            return str(made["Id"])


def _has_started(engine: Engine, container: str) -> bool:
    return _is_started(engine.get(f"/containers/{container}/json"))


def _is_started(found: Mapping[str, Any]) -> bool:
    return bool(found["State"]["StartedAt"] != _NEVER)


def _cache(node: Node) -> Path:
    return Path(node.plan.cache or node.folder)


def _lost(error: EngineError) -> NodeOver:
    return NodeOver(Outcome.LOST, f"InternalServerError: {error}")


def _refused(error: EngineError) -> NodeOver:
    """Return the end of a node whose container an engine would not make or start."""
    if error.status == 400 or "unable to find user" in str(error):
        return NodeOver(Outcome.FAILED, f"ClientError: the container cannot be made: {error}")
    return _lost(error)
