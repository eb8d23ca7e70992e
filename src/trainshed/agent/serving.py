"""Makes a node of a folder, and walks it: what every agent does, however it came to its folder."""

import fcntl
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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

_LOCK_TRIES: Final = 5
_LOCK_PAUSE_S: Final = 0.02

MakeRuntime = Callable[[NodePlan], Runtime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is made of, where tests that hurt it put something else."""

    journal: Callable[[Path], Journal] = Journal
    reporter: Callable[[NodePlan, Journal, OutputLog, Callable[[], None]], Reporter] = Reporter
    steps: Sequence[Step] = STEPS


WHOLE: Final = Parts()


def heed_signals() -> None:
    """Ignore no signal that our starter ignored (nohup): the user's program would inherit that."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def node_of(
    folder: Path, plan: NodePlan, stop: Stop, make: MakeRuntime, parts: Parts = WHOLE
) -> Node:
    """Return the node of a folder, with everything that works for it."""
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


def carry_on(node: Node, steps: Sequence[Step], *, to_the_end: bool = True) -> None:
    """Walk the node, and end it where a fault of ours stops that."""
    give_up_uploads(node.plan, 0.0)
    listen(node)
    try:
        walk(node, steps, to_the_end=to_the_end)
    except Exception as error:  # noqa: BLE001 - the outermost: a node must not end untold
        traceback.print_exc()
        give_up(node, f"the agent failed: {type(error).__name__}: {error}")


def give_up_uploads(plan: NodePlan, patience_s: float) -> None:
    """Give up what an agent that died was sending to a store, as far as the store is there."""
    if plan.uploads and any(Path(plan.uploads).glob("*")):
        RemoteObjects.for_node(plan, patience_s=patience_s).give_up_unfinished()


def locked(path: Path) -> int | None:
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
