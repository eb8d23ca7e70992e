"""Runs the container, once and never again for the same node."""

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.base import Container, Exit
from trainshed.agent.verdict import ASKED, NOTICE, note_stopping
from trainshed.agent.watching.companions import Companion, beside, companions_of
from trainshed.agent.watching.ending import Ending
from trainshed.agent.watching.watch import Watch
from trainshed.agent.written.opening import text_of
from trainshed.contract import exits
from trainshed.domain.facts import Kind, Outcome

_KILLED: Final = 128 + signal.SIGKILL
_FAILURE_BYTES: Final = 64 * 1024
_FULL_BYTES: Final = 4 * 1024 * 1024
"""A disk with less than this is full: what failed for want of room may have been large."""


def run_container(node: Node) -> None:
    """Run the command to its end; return at once when the journal has its end.

    Raises:
        NodeOver: there is nothing to run, it was stopped before it began, or it was lost with the
            agent that watched it.
    """
    if node.journal.last(Kind.EXITED) is not None:
        return
    ending = Ending()
    companions = companions_of(node, ending)
    with beside(companions):
        ran = _ran(node, companions, ending)
    if ran is None:
        _account_for_lost(node)
        return
    watch, ended = ran
    if watch.trouble:
        lost = watch.trouble.startswith("InternalServerError")
        raise NodeOver(Outcome.LOST if lost else Outcome.FAILED, watch.trouble)
    if ended.lost:
        raise NodeOver(Outcome.LOST, f"InternalServerError: {ended.lost}")
    tail = watch.tail()
    if ended.trouble and not watch.killed:
        ended = _never_ran(ended, tail)
    _note_exit(node, ended, tail, watch.killed, ending.over_at)


def _ran(node: Node, companions: Sequence[Companion], ending: Ending) -> tuple[Watch, Exit] | None:
    """Return how the container's run went; None when it ended with an agent before us."""
    if node.journal.last(Kind.TRAINING) is None:
        container = _started(node)
    elif (found := node.runtime.find(node)) is not None:
        container = found
    else:
        return None
    node.reporter.start()
    node.journal.settle()
    ending.follow(container.exited)
    watch = Watch(node, container, companions)
    with contextlib.ExitStack() as undo:
        undo.callback(container.abandon)
        undo.callback(ending.note_over)  # the first of the two
        watch.run()
        undo.pop_all()
    ending.note_over()
    ended = container.collect()
    ending.note_exit(ended, killed=watch.killed)
    return watch, ended


def _started(node: Node) -> Container:
    if node.stop.called_off and not node.runtime.starts_by_itself:
        raise NodeOver(Outcome.STOPPED)
    _introduce(node)
    start = node.runtime.prepare(node)
    # Before it starts: whoever finds this fact must never run the command a second time.
    node.journal.append(Kind.TRAINING, log=node.log.size)
    try:
        return start()
    except OSError as error:
        reason = f"InternalServerError: the container could not be started: {error}"
        raise NodeOver(Outcome.LOST, reason) from error


def _note_exit(node: Node, ended: Exit, tail: str, killed: bool, over_at: float) -> None:
    """Journal the end; ``killed`` when it was we who killed the container."""
    code, reason, killed_by_kernel = ended.exit_code, "", ended.oom and not killed
    full = bool(code) and _is_full(node)
    if code:
        failure = text_of(node.tree.failure, node.tree.base, _FAILURE_BYTES)
        reason = exits.failure_reason(code, failure, tail, killed_by_kernel, full)
    node.journal.append(
        Kind.EXITED,
        exit_code=code,
        oom=killed_by_kernel,
        no_room=bool(code) and (full or exits.tells_of_no_room(tail)),
        over=over_at,
        reason=reason,
    )


def _is_full(node: Node) -> bool:
    """Tell whether the disk that the container wrote its results to has no room left."""
    disk = os.statvfs(node.folder)
    no_more_files = disk.f_files > 0 and disk.f_favail == 0  # some file systems count none
    return disk.f_bavail * disk.f_frsize < _FULL_BYTES or no_more_files


def _account_for_lost(node: Node) -> None:
    """Say what became of a container whose agent died: the kernel took it along."""
    if node.stop.called_off:
        note_stopping(node.journal, ASKED if node.stop.asked else NOTICE)
    if node.journal.last(Kind.STOPPING) is None:
        raise NodeOver(
            Outcome.LOST,
            f"InternalServerError: the agent on {node.plan.host} ended while the container ran; "
            "the container ended with it, and is not run twice",
        )
    # It was to be stopped, and so it was: what it left in model/ is still wanted.
    node.journal.append(Kind.EXITED, exit_code=_KILLED, oom=False, reason="")


def _introduce(node: Node) -> None:
    """Write what the user should know before the first line."""
    for note in node.plan.notes:
        node.log.say(note)
    for note in node.runtime.notes(node):
        node.log.say(note)


def _never_ran(ended: Exit, tail: str) -> Exit:
    """Tell a command that could not be found or run from a container that could not be made."""
    last = tail.strip().rpartition("\n")[2]
    if "execvp" not in last:
        raise NodeOver(
            Outcome.LOST,
            f"InternalServerError: the container could not be set up ({ended.trouble}): {last}",
        )
    return Exit(exit_code=126 if "Permission denied" in last else 127)
