"""Who may start now: first come, first served, as far as a backend's nodes reach."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trainshed.drivers.base import Capabilities


@dataclass(frozen=True, slots=True)
class Request:
    """A job that wants nodes of a backend."""

    arn: str
    backend: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a job may start; ``reason`` says what it waits for, "" when it may."""

    arn: str
    admitted: bool
    reason: str = ""


def admit(
    waiting: Iterable[Request],
    in_use: Mapping[str, int],
    capabilities: Mapping[str, Capabilities],
) -> list[Admission]:
    """Decide over the waiting jobs, in the order they came.

    A job that does not fit holds back those behind it on the same backend, so a wide job is
    never starved by narrow ones. A backend that is not configured admits its jobs: planning
    then says why they cannot run.

    Args:
        waiting: oldest first.
        in_use: nodes taken, by backend.
        capabilities: by backend.
    """
    used = dict(in_use)
    full: dict[str, str] = {}
    answers = []
    for request in waiting:
        backend = capabilities.get(request.backend)
        if backend is None:
            answers.append(Admission(request.arn, admitted=True))
            continue
        taken = used.get(request.backend, 0)
        if request.backend not in full and taken + request.nodes <= backend.max_nodes:
            used[request.backend] = taken + request.nodes
            answers.append(Admission(request.arn, admitted=True))
            continue
        reason = full.setdefault(
            request.backend,
            f"Training job waiting for capacity: {taken} of {backend.max_nodes} nodes of the "
            f"backend '{request.backend}' are in use, the next job in line asks for "
            f"{request.nodes}",
        )
        answers.append(Admission(request.arn, admitted=False, reason=reason))
    return answers
