"""What the steps of one node share, and how a step says that the node is over early."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.report import Reporter
from trainshed.agent.runtimes.base import Container
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


class Runtime(Protocol):
    """How a node's container is started. One object may serve several nodes."""

    @property
    def sees_opt_ml(self) -> bool:
        """Whether the container finds its tree under ``/opt/ml``."""
        ...

    @property
    def interface(self) -> str:
        """The network interface by which the container reaches the other nodes."""
        ...

    @property
    def starts_by_itself(self) -> bool:
        """Whether somebody else starts the container, as soon as the node has what it needs.

        Then it may run before ``prepare`` is called, and a wish to stop is for it to heed.
        """
        ...

    @property
    def no_views(self) -> str:
        """Why nothing can be mounted for the container while it runs, as a clause; "" if it can."""
        ...

    def describe(self) -> str:
        """Return how the container will run, for the journal."""
        ...

    def notes(self, node: "Node") -> list[str]:
        """Return what the user should know before the first line."""
        ...

    def fetch(self, node: "Node") -> None:
        """Have the image on the machine; repeatable.

        Raises:
            NodeOver: it can't be had, can't be run here, or the node was asked to stop.
        """
        ...

    def brings_code(self, node: "Node") -> bool:
        """Tell whether our toolkit will run the user's script, so that its code is to be brought.

        Asked after ``fetch``: an image may carry a toolkit of its own.
        """
        ...

    def prepare(self, node: "Node") -> Callable[[], Container]:
        """Do all that can be done before the container starts; return what starts it.

        Raises:
            NodeOver: there is nothing to run, or it can't be made. What is returned raises
                ``OSError`` when the machine has nothing to spare for it, and ``NodeOver``.
        """
        ...

    def find(self, node: "Node") -> Container | None:
        """Return the container that an agent before us started; None if it ended with that."""
        ...

    def clear(self, node: "Node") -> None:
        """Remove what ``fetch`` and ``prepare`` left behind; what is gone is no error."""
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
    runtime: Runtime
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
