"""All operations of our own service, in one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trainshed.api.operations import Operation, offered
from trainshed.api.sagemaker.change import ChangeableJobs
from trainshed.api.trainshed.awaiting import AwaitTraining
from trainshed.api.trainshed.drill import DrillTraining
from trainshed.api.trainshed.explain import ExplainableJobs, ExplainTraining
from trainshed.api.trainshed.garbage import Collect, CollectGarbage
from trainshed.api.trainshed.prices import Prices
from trainshed.api.trainshed.queue import DescribeQueue, Lineup, OpenJobs
from trainshed.drivers.base import Capabilities


class Jobs(ExplainableJobs, ChangeableJobs, OpenJobs, Protocol):
    """The slice of ``TrainingRecords`` that these operations need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where jobs run."""

    backends: Mapping[str, Capabilities]
    """By name."""
    default: str
    """Where jobs go that name none."""
    lineup: Callable[[], Lineup] | None = None
    """See ``DescribeQueue``."""


def operations(
    records: Jobs,
    account: str,
    clock: Callable[[], datetime],
    places: Places,
    collect: Collect | None = None,
    awaiting: AwaitTraining | None = None,
) -> dict[tuple[str, str], Operation]:
    """Return what the service offers.

    CollectGarbage only where there is something to collect, AwaitTrainingJobs where one can wait.
    """
    tables = [
        ExplainTraining(
            records=records, account=account, clock=clock, prices=Prices(places.backends)
        ).operations(),
        DrillTraining(records=records, account=account, clock=clock).operations(),
        DescribeQueue(
            records=records,
            backends=places.backends,
            default=places.default,
            lineup=places.lineup,
        ).operations(),
    ]
    if collect is not None:
        tables.append(CollectGarbage(collect).operations())
    if awaiting is not None:
        tables.append(awaiting.operations())
    return offered(*tables)
