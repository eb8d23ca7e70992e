"""Keeps what a job made where no store would take it: a refused upload must not cost the model.

A node's folder goes with the node. So the results are moved, which takes no room on a full disk, to
a folder beside it that nobody but the user removes, and the job's FailureReason names that folder.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.written.opening import is_itself, real_path
from trainshed.domain.facts import Kind, Outcome

_LONGEST: Final = 400
"""Characters of each part of a reason, so that the folder behind them still fits into 1,024."""
_NOTE: Final = "unsent.json"
_UNTOLD: Final = "InternalServerError: the results could not be delivered, nor noted why"


def keep(node: Node) -> str:
    """Move the results, and return the folder that holds them; "" when there are none to keep.

    Repeatable: what an agent before us moved counts.

    Raises:
        OSError: they can't be moved; they are still where they were.
    """
    if not node.plan.unsent:
        return ""
    target = _place(node)
    for name, source in (("model", node.tree.model), ("data", node.tree.output_data)):
        # Were there a link on the way, what it leads to would be moved: somebody else's.
        mine = is_itself(real_path(source, node.tree.base))
        if mine and _holds_any(source) and not (target / name).exists():
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            source.rename(target / name)
    return str(target) if target.exists() else ""


def end_unsent(node: Node, outcome: Outcome, why: str) -> NodeOver:
    """Keep the results of a node that can't deliver them; return how it is over.

    From here on no agent tries again: the folders may be empty, which is no empty result.
    """
    note = node.folder / _NOTE
    unfinished = note.with_suffix(".new")
    with contextlib.suppress(OSError):  # a full disk; the moved folders tell as much
        unfinished.write_text(json.dumps({"outcome": outcome.value, "why": why}))
        unfinished.replace(note)
    return _over(node, outcome, why)


def ended_unsent(node: Node) -> NodeOver | None:
    """Return how a node is over whose results an agent before us could not deliver, or None."""
    note = node.folder / _NOTE
    if not note.exists():
        moved = node.plan.unsent and _place(node).exists()
        return _over(node, Outcome.LOST, _UNTOLD) if moved else None
    told = json.loads(note.read_text())
    return _over(node, Outcome(told["outcome"]), told["why"])


def _over(node: Node, outcome: Outcome, why: str) -> NodeOver:
    exited = node.journal.last(Kind.EXITED)
    own = str(exited.detail.get("reason") or "") if exited else ""
    reason = f"{own[:_LONGEST]}; {why[:_LONGEST]}" if own else why[:_LONGEST]
    try:
        where = keep(node)
    except OSError as error:
        where = ""
        reason += f"; what the job made could not be kept: {error}"
    if where:
        reason += f"; what the job made is kept on {os.uname().nodename} in {where}"
    return NodeOver(outcome, reason)


def _place(node: Node) -> Path:
    """Return the folder where a node's results are kept that found no store."""
    return Path(node.plan.unsent) / node.plan.job_name / node.plan.node_id


def _holds_any(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False
