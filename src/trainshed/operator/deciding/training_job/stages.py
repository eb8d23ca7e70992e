"""How far a TrainingJob object is. Nothing keeps a stage: it is read off the object each time."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trainshed.operator.deciding import conditions, submitted
from trainshed.operator.deciding.training_job.reading import (
    is_settled,
    job_of,
    waits_for_somebody,
)
from trainshed.operator.kinds.base import FINALIZER
from trainshed.operator.objects import Object


class Stage(StrEnum):
    """Where an object stands."""

    NEW = "New"
    """Nothing was written into it yet."""
    TAKEN_IN = "TakenIn"
    """It has its finalizer and its job's name; nothing was asked for."""
    HELD = "Held"
    """``spec.stop`` is true, so nothing will be."""
    SUBMITTING = "Submitting"
    """What is asked for is noted; whether there is a job is not certain."""
    STALLED = "Stalled"
    """There is no job of its own, and there will be none until somebody acts."""
    FOLLOWED = "Followed"
    """Its job is there, and tells how far it is."""
    SETTLED = "Settled"
    """Its job is over, or was deleted by somebody: nothing more comes."""
    LEAVING = "Leaving"
    """It is to be deleted."""


MOVES: Final[Mapping[Stage, frozenset[Stage]]] = MappingProxyType(
    {
        Stage.NEW: frozenset({Stage.TAKEN_IN}),
        Stage.TAKEN_IN: frozenset(
            {Stage.HELD, Stage.SUBMITTING, Stage.STALLED, Stage.FOLLOWED, Stage.LEAVING}
        ),
        Stage.HELD: frozenset({Stage.SUBMITTING, Stage.STALLED, Stage.FOLLOWED, Stage.LEAVING}),
        Stage.SUBMITTING: frozenset({Stage.HELD, Stage.STALLED, Stage.FOLLOWED, Stage.LEAVING}),
        Stage.STALLED: frozenset(
            {Stage.TAKEN_IN, Stage.HELD, Stage.SUBMITTING, Stage.FOLLOWED, Stage.LEAVING}
        ),
        Stage.FOLLOWED: frozenset({Stage.SETTLED, Stage.LEAVING}),
        Stage.SETTLED: frozenset({Stage.LEAVING}),
        Stage.LEAVING: frozenset(),
    }
)
"""Every move that may be seen. docs/lifecycles.md draws this table; a test compares the two.

A job that is over when it is first described goes through ``FOLLOWED`` unseen: such moves are drawn
as two. An object without a finalizer is gone as soon as it is deleted.
"""


def stage_of(thing: Object) -> Stage:
    """Return how far an object is."""
    if thing.deleted is not None:
        return Stage.LEAVING
    if FINALIZER not in thing.finalizers:
        return Stage.NEW
    if job_of(thing):
        return Stage.SETTLED if is_settled(thing) else Stage.FOLLOWED
    if waits_for_somebody(thing):
        return Stage.STALLED
    synced = thing.condition(conditions.SYNCED)
    if synced is not None and synced.get("reason") == "Held":
        return Stage.HELD
    return Stage.SUBMITTING if submitted.of(thing) else Stage.TAKEN_IN


def is_lawful(before: Stage, after: Stage) -> bool:
    """Tell whether an object may be seen at one stage and then at another, by one write."""
    through = {after} | ({Stage.FOLLOWED} if after is Stage.SETTLED else set())
    return before is after or bool(MOVES[before] & through)
