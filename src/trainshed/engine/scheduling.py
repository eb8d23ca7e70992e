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
    """Whether a job may start."""

    arn: str
    admitted: bool
    reason: str = ""
    """What it waits for; "" when it may start."""
    hopeless: str = ""
    """Why it will never start, as a FailureReason; "" when it may, now or later."""


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
        if request.nodes > backend.max_nodes:
            answers.append(
                Admission(request.arn, admitted=False, hopeless=_too_wide(request, backend))
            )
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


def _too_wide(request: Request, backend: Capabilities) -> str:
    return (
        "CapacityError: Unable to provision requested ML compute capacity. The job asks for "
        f"{request.nodes} nodes, the backend '{request.backend}' has at most {backend.max_nodes}: "
        f"lower InstanceCount, or raise max_nodes in [backends.{request.backend}]"
    )
