"""Who may start now: first come, first served, as far as a backend's nodes reach."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from trainshed.drivers.base import Capabilities
from trainshed.engine.scheduling.answers import Admission


@dataclass(frozen=True, slots=True)
class Request:
    """A job that stands in a backend's line."""

    arn: str
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The head of a line, answered; who is not named waits for ``reason``."""

    answers: dict[str, Admission] = field(default_factory=dict)
    """By ARN: those who may start and those who never will, up to the first that must wait."""
    reason: str = ""
    """"" when nobody has to wait."""


def admit(line: Iterable[Request], in_use: int, backend: str, capabilities: Capabilities) -> Turn:
    """Decide over the jobs that wait for one backend.

    A job that does not fit holds back those behind it, so a wide job is never starved by narrow
    ones; the line is read no further than that.

    Args:
        line: oldest first.
        in_use: nodes of the backend that are taken.
        backend: its name, for the texts.
        capabilities: what it has.
    """
    answers: dict[str, Admission] = {}
    total = capabilities.max_nodes
    for request in line:
        if request.nodes > total:
            hopeless = (
                "CapacityError: Unable to provision requested ML compute capacity. The job asks "
                f"for {request.nodes} nodes, the backend '{backend}' has at most {total}: lower "
                f"InstanceCount, or raise max_nodes in [backends.{backend}]"
            )
            answers[request.arn] = Admission(admitted=False, hopeless=hopeless)
        elif in_use + request.nodes <= total:
            in_use += request.nodes
            answers[request.arn] = Admission(admitted=True)
        else:
            reason = (
                f"Training job waiting for capacity: {in_use} of {total} nodes of the backend "
                f"'{backend}' are in use, the next job in line asks for {request.nodes}"
            )
            return Turn(answers=answers, reason=reason)
    return Turn(answers=answers)
