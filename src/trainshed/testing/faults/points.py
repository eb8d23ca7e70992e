"""All points at which a server or an agent can be made to die, by name."""

from typing import Final

from trainshed.agent.node import Step
from trainshed.agent.sequence import STEPS
from trainshed.testing.faults.wrapping import PARTS, points


def named(step: Step) -> str:
    """Return what a step of an agent is called."""
    return str(getattr(step, "__name__", "step"))


_UNASKED: Final = ("leases.owned", "leases.servers")
"""What no server asks: it is there for tests and for people."""

REPORTS: Final = tuple(
    f"reports.{what}.{when}" for what in ("facts", "log") for when in ("before", "after")
)
SERVER: Final = (
    *(p for what in PARTS for p in points(what) if p.rpartition(".")[0] not in _UNASKED),
    *REPORTS,
)
"""Those that a server passes."""
AGENT: Final = (
    *(f"journal.append.{when}" for when in ("before", "torn", "after")),
    *(f"step.{named(step)}.{when}" for step in STEPS for when in ("before", "after")),
    *(f"report.{when}" for when in ("before", "after")),
)
"""Those that an agent passes."""
