"""What the steps of one node share, and how a step says that the node is over early."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainshed.agent.journal import Journal
from trainshed.agent.output import OutputLog
from trainshed.agent.report import Reporter
from trainshed.agent.runtimes.process import ProcessRuntime
from trainshed.agent.stopping import Stop
from trainshed.contract.tree import Tree
from trainshed.domain.facts import Outcome
from trainshed.domain.plan import NodePlan


class NodeOver(Exception):
    """A step found that nothing more can be done; the node ends with this outcome."""

    def __init__(self, outcome: Outcome, reason: str = "") -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Step(Protocol):
    """One stage of a node's life. It may be repeated from its start after a crash at any line."""

    def __call__(self, node: "Node") -> None:
        """Do it, or return at once when the journal says that it was done.

        Raises:
            NodeOver: the node is over early.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node, from the agent's side."""

    folder: Path
    plan: NodePlan
    journal: Journal
    log: OutputLog
    stop: Stop
    reporter: Reporter
    runtime: ProcessRuntime
    python: str
    """The agent's own interpreter; it runs the toolkit, which runs the user's."""

    @property
    def tree(self) -> Tree:
        """The tree as it lies on the node."""
        return Tree(self.folder / "ml")

    @property
    def seen(self) -> Tree:
        """The tree as the container sees it."""
        return Tree() if self.runtime.sees_opt_ml else self.tree

    @property
    def source_archive(self) -> Path:
        """Where script mode's code archive is put."""
        return self.folder / "sourcedir.tar.gz"
