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
"""

import contextlib
import fcntl
import gc
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from trainshed.agent import own_log
from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.node import Node, Runtime, Step
from trainshed.agent.notices import listen
from trainshed.agent.report import Reporter
from trainshed.agent.sequence import STEPS, give_up, walk
from trainshed.agent.stopping import Stop
from trainshed.domain.facts import Kind
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.remote.store import RemoteObjects

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
    "--prepare docker [engine] | --feed <node folder> <lock> <socket>\n"
)
_LOCK_TRIES: Final = 5
_PATIENCE_S: Final = 10.0
"""How long to try to tell a store that an upload is given up."""
_LOCK_PAUSE_S: Final = 0.02


MakeRuntime = Callable[[NodePlan], Runtime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is made of, where tests that hurt it put something else."""

    journal: Callable[[Path], Journal] = Journal
    reporter: Callable[[NodePlan, Journal, OutputLog, Callable[[], None]], Reporter] = Reporter
    steps: Sequence[Step] = STEPS


_WHOLE: Final = Parts()


def main(arguments: list[str], parts: Parts = _WHOLE) -> int:
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
        case [folder] if not folder.startswith("--"):
            return serve(Path(folder), _runtime, parts)
    sys.stderr.write(_USAGE)
    return 2


def _heed_signals() -> None:
    """Ignore no signal that our starter ignored (nohup): the user's program would inherit that."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def serve(folder: Path, make: MakeRuntime, parts: Parts = _WHOLE) -> int:
    """Work on a node's folder until its end is reported; at once 0 when another agent does."""
    folder = folder.absolute()
    stop = Stop(folder / "stop")
    signal.signal(signal.SIGTERM, stop.hear)
    _heed_signals()
    with contextlib.ExitStack() as held:
        lock = _locked(folder / "agent.lock")
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
        node = _node(folder, plan, stop, make, parts)
        _give_up_uploads(node.plan, 0.0)
        listen(node)
        try:
            walk(node, parts.steps)
        except Exception as error:  # noqa: BLE001 - the outermost: a node must not end untold
            traceback.print_exc()
            give_up(node, f"the agent failed: {type(error).__name__}: {error}")
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


def _give_up_uploads(plan: NodePlan, patience_s: float) -> None:
    """Give up what an agent that died was sending to a store, as far as the store is there."""
    if plan.uploads and any(Path(plan.uploads).glob("*")):
        RemoteObjects.for_node(plan, patience_s=patience_s).give_up_unfinished()


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
        _give_up_uploads(plan, _PATIENCE_S)
    return cleaning.main(folder)


def _prepare(engine: str) -> int:
    from trainshed.agent.runtimes.docker import preparing  # noqa: PLC0415

    return preparing.main(engine)


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


def _node(folder: Path, plan: NodePlan, stop: Stop, make: MakeRuntime, parts: Parts) -> Node:
    journal, log = parts.journal(folder / "journal.jsonl"), OutputLog(folder / "output.log")
    runtime = make(plan)
    journal.once(Kind.STARTED, runtime=runtime.describe(), pid=os.getpid())
    return Node(
        folder=folder,
        plan=plan,
        journal=journal,
        log=log,
        stop=stop,
        reporter=parts.reporter(plan, journal, log, stop.forget_job),
        runtime=runtime,
        python=sys.executable,
    )


def _locked(path: Path) -> int | None:
    """Return the lock file, held and saying who holds it; None when it can't be ours.

    Whoever only looks whether it is held holds it for an instant; so one refusal is not believed.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # its node was removed
        return None
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
            continue
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {fields[19]}\n".encode(), 0)
        return fd
    os.close(fd)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
