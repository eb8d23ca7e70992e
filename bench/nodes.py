"""A node as an agent has it, without a server: for measuring one step alone."""

import sys
from pathlib import Path

from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.node import Node
from trainshed.agent.report import Reporter
from trainshed.agent.runtimes.process import Degree, ProcessRuntime
from trainshed.agent.stopping import Stop
from trainshed.testing.plans import node_plan


def node(folder: Path, **changes: object) -> Node:
    """Return a node that works in ``folder``; ``changes`` are its plan's."""
    # Nobody listens there: what is reported costs nothing.
    plan = node_plan(folder, server_url="http://127.0.0.1:9", token="none", **changes)
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(plan.to_json())
    journal, log = Journal(folder / "journal.jsonl"), OutputLog(folder / "output.log")
    return Node(
        folder=folder,
        plan=plan,
        journal=journal,
        log=log,
        stop=Stop(folder / "stop"),
        reporter=Reporter(plan, journal, log, lambda: None),
        runtime=ProcessRuntime(python=sys.executable, most=Degree.BARE),
        python=sys.executable,
    )
