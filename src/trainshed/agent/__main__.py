"""``python -m trainshed.agent <node folder>``: one node of a training job, from plan to end.

<node folder>               be the agent of a node
--wait [docker]             be a warm spare: everything is loaded, and the folder is read from
                            one line of standard input; end of input ends it
--clean <node folder>       unmount what a dead agent left mounted, give up what it was sending to
                            stores, and remove what it left in a container engine; exit code 0 when
                            nothing is left on the machine
--prepare docker [engine]   have an engine ready, and print what it has as a line of JSON
--feed <node folder> <lock> <socket>
                            feed a node's channels; the agent starts this, with two descriptors
--stage [root]              in a pod, before its other containers: be the agent until the user's
                            container may start; any exit code but 0 keeps that from starting
--keep [root]               in a pod, beside the user's container: have an agent there
--beside [root]             be that agent
                            (root: the folder below which the pod's own lie, by default /)
"""

import contextlib
import gc
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Final, NoReturn

from trainshed.agent import own_log
from trainshed.agent.node import Runtime
from trainshed.agent.serving import (
    WHOLE,
    MakeRuntime,
    Parts,
    carry_on,
    give_up_uploads,
    heed_signals,
    locked,
    node_of,
)
from trainshed.agent.stopping import Stop
from trainshed.domain.plan import NodePlan

_LATE: Final = (
    "http.client",
    "encodings.idna",
    "trainshed.agent.outputs.delivery",
    "trainshed.agent.staging.files",
    "trainshed.stores.objects.remote.listing",
    "trainshed.stores.objects.remote.bucket",
)
"""Loaded when first needed; a spare has the time to load them ahead."""
_USAGE: Final = (
    "usage: python -m trainshed.agent <node folder> | --wait [docker] | --clean <node folder> | "
    "--prepare docker [engine] | --feed <node folder> <lock> <socket> | "
    "--stage [root] | --keep [root] | --beside [root]\n"
)
_PATIENCE_S: Final = 10.0
"""How long to try to tell a store that an upload is given up."""


def main(arguments: list[str], parts: Parts = WHOLE) -> int:
    """Do what the command line says; return the process's exit code."""
    match arguments:
        case ["--wait"]:
            return _wait("process", parts)
        case ["--wait", "docker"]:
            return _wait("docker", parts)
        case ["--clean", folder]:
            return _clean(Path(folder))
        case ["--prepare", "docker"]:
            return _prepare("")
        case ["--prepare", "docker", engine]:
            return _prepare(engine)
        case ["--feed", folder, lock, door]:
            _feed(Path(folder), int(lock), int(door))
        case ["--stage" | "--keep" | "--beside" as word, *root] if len(root) < 2:
            return _in_pod(word, Path(*root) if root else Path("/"), parts)
        case [folder] if not folder.startswith("--"):
            return serve(Path(folder), _runtime, parts)
    sys.stderr.write(_USAGE)
    return 2


def serve(folder: Path, make: MakeRuntime, parts: Parts = WHOLE) -> int:
    """Work on a node's folder until its end is reported; at once 0 when another agent does."""
    folder = folder.absolute()
    stop = Stop(folder / "stop")
    signal.signal(signal.SIGTERM, stop.hear)
    heed_signals()
    with contextlib.ExitStack() as held:
        lock = locked(folder / "agent.lock")
        if lock is None:
            return 0
        held.callback(os.close, lock)
        plan = _plan(folder)
        if plan is None:
            return 0
        own = os.open(folder / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(own, 2)
        os.close(own)
        own_log.say_what_there_is_room_for()
        stop.look()
        os.chdir("/")
        carry_on(node_of(folder, plan, stop, make, parts), parts.steps)
    return 0


def _wait(kind: str, parts: Parts) -> int:
    """Load everything that a kind of runtime needs, and wait to be told a folder."""
    for name in _LATE:
        importlib.import_module(name)
    if kind == "docker":
        importlib.import_module("trainshed.agent.runtimes.docker.runtime")
    ready = _process() if kind == "process" else None
    gc.freeze()
    folder = sys.stdin.readline().strip()
    return serve(Path(folder), lambda plan: _runtime(plan, ready), parts) if folder else 0


def _runtime(plan: NodePlan, process: Runtime | None = None) -> Runtime:
    """Return what runs a plan; ``process`` is the process runtime, if it has been made already."""
    # Loaded when a plan asks for it: each would slow the other's start down.
    if plan.runtime == "docker":
        from trainshed.agent.runtimes.docker.runtime import DockerRuntime  # noqa: PLC0415

        return DockerRuntime(plan)
    return process or _process()


def _process() -> Runtime:
    from trainshed.agent.runtimes.process import ProcessRuntime  # noqa: PLC0415

    return ProcessRuntime(python=sys.executable)


def _clean(folder: Path) -> int:
    from trainshed.agent.feeding import mounting  # noqa: PLC0415
    from trainshed.agent.runtimes.docker import cleaning  # noqa: PLC0415

    try:
        # First: who looks for files to give back must not look into a view without a process.
        mounting.unmount_below(folder)
    except OSError as error:
        sys.stderr.write(f"{folder}: {error}\n")
        return 1
    with contextlib.suppress(OSError, ValueError, TypeError):  # no plan, or one not to be read
        plan = NodePlan.from_json((folder / "plan.json").read_text())
        give_up_uploads(plan, _PATIENCE_S)
    return cleaning.main(folder)


def _prepare(engine: str) -> int:
    from trainshed.agent.runtimes.docker import preparing  # noqa: PLC0415

    return preparing.main(engine)


def _in_pod(word: str, root: Path, parts: Parts) -> int:
    if word == "--keep":
        # Instead of us: it is there for as long as the pod, and does with a tenth of the memory.
        keeper = str(Path(__file__).with_name("runtimes") / "sibling" / "keeping.py")
        os.execv(sys.executable, [sys.executable, "-I", keeper, str(root)])  # noqa: S606
    # Loaded in pods alone.
    from trainshed.agent.runtimes.sibling import in_pod  # noqa: PLC0415

    return in_pod.stage(root, parts) if word == "--stage" else in_pod.beside(root, parts)


def _feed(folder: Path, lock: int, door: int) -> NoReturn:
    from trainshed.agent.feeding import process  # noqa: PLC0415

    process.main(folder, lock, door)


def _plan(folder: Path) -> NodePlan | None:
    """Return the node's plan, once its lock is held; None when no agent may begin any more.

    In this order: a node that is removed is marked as taken until the file beside it stands.
    """
    with contextlib.suppress(FileNotFoundError):
        if (folder / "taken").read_text() not in {"", "0"}:
            return None
    try:
        plan = NodePlan.from_json((folder / "plan.json").read_text())
    except FileNotFoundError:  # it is being removed, and that first
        return None
    return None if plan.removed and Path(plan.removed).exists() else plan


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
