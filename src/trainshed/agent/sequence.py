"""The life of a node, step by step.

    lay out -> fetch image -> bring inputs -> restore checkpoints -> run container
    -> keep the last checkpoints and intermediate output -> carry out -> end

A node that is to be taken away begins nothing more, has its container stop, and carries nothing out
but checkpoints.

Each step looks into the journal and returns at once when it was done by an agent that died, so the
list is simply walked again from its start.
"""

import contextlib
from collections.abc import Sequence
from typing import Final

from trainshed.agent import notices
from trainshed.agent.node import Node, NodeOver, Step
from trainshed.agent.outputs.unsent import end_unsent
from trainshed.agent.steps.checkpoints import keep_last_checkpoints, restore_checkpoints
from trainshed.agent.steps.container import run_container
from trainshed.agent.steps.image import fetch_image
from trainshed.agent.steps.inputs import bring_inputs
from trainshed.agent.steps.layout import lay_out
from trainshed.agent.steps.outputs import carry_out, keep_intermediate
from trainshed.agent.verdict import ASKED, note_stopping, verdict
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind, Outcome
from trainshed.stores.objects.remote.store import RemoteObjects

STEPS: Final[tuple[Step, ...]] = (
    lay_out,
    fetch_image,
    bring_inputs,
    restore_checkpoints,
    run_container,
    keep_last_checkpoints,
    keep_intermediate,
    carry_out,
)
STAGING: Final = STEPS.index(run_container)
"""How many of the steps come before the container's; elsewhere they may be another process's."""
_GOODBYE_S: Final = 10.0
"""How long to try to tell the first node that it need not wait for this one."""


def walk(node: Node, steps: Sequence[Step] = STEPS, *, to_the_end: bool = True) -> None:
    """Take the node from wherever its journal stands to ``ended``, and report everything.

    Where it is not to go ``to_the_end``, another process goes on behind the last of the steps. A
    node that is over before has ended all the same.
    """
    if node.journal.last(Kind.ENDED) is None:
        stopping = node.journal.last(Kind.STOPPING)
        # A job that ran for too long is not one that somebody wants an end of.
        if stopping is not None and stopping.detail.get("reason") == ASKED:
            node.stop.remember()
        notices.recall(node)
        if node.journal.last(Kind.EXITED) is not None:
            node.reporter.start()  # what is left may wait for long, and be told to wait no longer
        try:
            for step in steps:
                step(node)
            if not to_the_end:
                return
            outcome, reason = verdict(node.journal)
        except NodeOver as over:
            outcome, reason = _left_early(node, over)
        notices.tell(node)
        node.runtime.clear(node)
        node.journal.append(Kind.ENDED, outcome=outcome.value, reason=reason)
    if not node.stop.forgotten:
        node.reporter.finish()


def give_up(node: Node, why: str) -> None:
    """End a node that a fault of ours stopped, and report it."""
    if node.journal.last(Kind.ENDED) is None:
        reason = f"InternalServerError: {why}"
        if node.journal.last(Kind.EXITED) is not None:
            with contextlib.suppress(OSError):
                reason = end_unsent(node, Outcome.LOST, reason).reason
        node.journal.append(Kind.ENDED, outcome=Outcome.LOST.value, reason=reason)
        with contextlib.suppress(OSError, ValueError, TypeError):  # whoever removes the node does
            node.runtime.clear(node)
    node.reporter.finish()


def _left_early(node: Node, over: NodeOver) -> tuple[Outcome, str]:
    """Return how a node is over whose steps were not all done; tell its peers where they wait."""
    outcome, notice = over.outcome, node.stop.notice
    if outcome is Outcome.STOPPED and notice is not None and not node.stop.asked:
        return Outcome.INTERRUPTED, notice.reason
    if outcome is Outcome.STOPPED:
        note_stopping(node.journal, ASKED)
    if len(node.plan.hosts) > 1 and outcome is not Outcome.INTERRUPTED and not node.stop.forgotten:
        _say_goodbye(node)
    return outcome, over.reason


def _say_goodbye(node: Node) -> None:
    # 15 ms of tarfile, paid by nodes that fail.
    from trainshed.agent.outputs.delivery import Delivery  # noqa: PLC0415

    objects = RemoteObjects.for_node(node.plan, patience_s=_GOODBYE_S)
    with contextlib.suppress(StoreError, ValueError):
        Delivery(node, objects).put_nothing()
