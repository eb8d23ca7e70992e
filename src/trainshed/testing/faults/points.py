"""All points at which a server or an agent can be made to die, by name."""

import inspect
from typing import Final

from trainshed.agent.node import Step
from trainshed.agent.sequence import STEPS
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.testing.faults.wrapping import PARTS, points


def named(step: Step) -> str:
    """Return what a step of an agent is called."""
    return str(getattr(step, "__name__", "step"))


_UNASKED: Final = ("leases.owned", "leases.servers", "records.checkpoints")
"""What no server asks: it is there for tests and for people."""

REPORTS: Final = tuple(
    f"reports.{what}.{when}" for what in ("facts", "log") for when in ("before", "after")
)
OBJECTS: Final = tuple(
    f"objects.{name}.{when}"
    for name, each in vars(EmbeddedObjects).items()
    if not name.startswith("_") and inspect.iscoroutinefunction(each)
    for when in ("before", "after")
)
SERVER: Final = (
    *(p for what in PARTS for p in points(what) if p.rpartition(".")[0] not in _UNASKED),
    *REPORTS,
    *OBJECTS,
)
"""Those that a server passes."""
AGENT: Final = (
    *(f"journal.append.{when}" for when in ("before", "torn", "after")),
    *(f"step.{named(step)}.{when}" for step in STEPS for when in ("before", "after")),
    *(f"report.{when}" for when in ("before", "after")),
)
"""Those that an agent passes."""
