"""What works beside a container while it runs: channels that are fed, checkpoints that are kept."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from trainshed.agent.channels.modes import fed
from trainshed.agent.node import Node
from trainshed.agent.watching.ending import Ending
from trainshed.contract import script_mode


class Companion(Protocol):
    """Begins just before the container, and is finished just after its end."""

    @property
    def fd(self) -> int:
        """Readable when ``trouble`` has something to tell; -1 when it never has."""
        ...

    def begin(self) -> None:
        """Begin, or take up again what an agent before us began.

        Raises:
            NodeOver: the container can't run without it.
        """
        ...

    def trouble(self) -> str:
        """Return why the container can't go on, as a FailureReason; "" while it can."""
        ...

    def left_s(self) -> float:
        """Return about how many seconds it will take to do what is left after the container's end.

        A program on a node that is taken away gets that much less time to save.
        """
        ...

    def finish(self) -> None:
        """Do what is left after the container's end, however it ended; then let go of all.

        Raises:
            NodeOver: it can't be done, and the job's result is not what it seems without it.
        """
        ...


def companions_of(node: Node, ending: Ending) -> Sequence[Companion]:
    """Return what the node's request asks for, in the order of beginning.

    ``ending`` tells them how the container ended.
    """
    found: list[Companion] = []
    if node.plan.request.get("CheckpointConfig"):
        # 15 ms of loading, which a job without checkpoints never pays.
        from trainshed.agent.checkpoints.companion import Checkpoints  # noqa: PLC0415

        found.append(Checkpoints(node, ending))
    if fed(node):
        # 20 ms of sockets and subprocess, which a job whose channels are files never pays.
        line = importlib.import_module("trainshed.agent.feeding.line")
        found.append(line.Line(node, ending))
    if script_mode.intermediate_output(node.plan.hyperparameters):
        # 5 ms of looking at files, which few jobs ask for.
        intermediate = importlib.import_module("trainshed.agent.outputs.intermediate")
        found.extend(intermediate.intermediate_of(node, ending))
    return found


@contextmanager
def beside(companions: Sequence[Companion]) -> Iterator[None]:
    """Have them begun within the block; at its end they are finished, last first.

    All are finished even when one of them fails; the first failure is raised.
    """
    begun: list[Companion] = []
    try:
        for companion in companions:
            begun.append(companion)
            companion.begin()
        yield
    finally:
        failures: list[BaseException] = []
        for companion in reversed(begun):
            try:
                companion.finish()
            except BaseException as error:  # noqa: BLE001 - raised again, when all are finished
                failures.append(error)
        if failures:
            raise failures[0]
