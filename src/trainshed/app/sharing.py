"""What settings say of sharing a server: projects and their quotas, the queue, spot, prices.

[projects.vision]
weight = 2
max_gpus = 8
access_keys = { AKVISION00000001 = "a secret of at least 16 letters" }

[queue]
ageing_minutes = 60
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf
from typing import Annotated

import msgspec

from trainshed.api.sagemaker.standing import DEFAULT_PROJECT, Rules
from trainshed.drivers.base import Capabilities
from trainshed.drivers.capacity import Count, Price
from trainshed.engine.scheduling import Lineup, Place, Policy, Project

_SHORTEST_SECRET = 16


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose jobs share a part of the server, and how much of it they may use at once."""

    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Its share is to those of others as their weights are."""
    max_jobs: Count | None = None
    max_nodes: Count | None = None
    max_gpus: Count | None = None
    instance_types: tuple[str, ...] = ()
    """Patterns of the instance types that it may use; all by default."""
    max_cost_per_hour: Price | None = None
    """Counts nodes whose price is known (``[backends.NAME.prices]``)."""
    access_keys: dict[str, str] = msgspec.field(default_factory=dict)
    """Access key to secret: jobs of whoever signs with them are the project's, if no tag names
    another. They may do all that the server's own keys may."""


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How jobs wait for nodes."""

    ageing_minutes: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    """Waiting so long is worth a level of priority; 0: nothing. The default has a job of the lowest
    priority go before all others after four days."""
    memory_hours: Annotated[float, msgspec.Meta(ge=0)] = 24.0
    """After so long what a project has used counts half in its share; 0: only what it uses now."""
    backfill: bool = True
    """Whether jobs may pass one that waits for room, where that can't delay it."""
    preemption: bool = True
    """Whether preemptible jobs make room for those of higher priority."""
    release_pools_minutes: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """For one that has waited so long, warm nodes in its way are let go; by default never."""


class SpotSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Managed spot training."""

    require_checkpoints: bool = False
    """Whether spot training without a CheckpointConfig is refused, which the service accepts."""


def policy(queue: QueueSettings, projects: Mapping[str, ProjectSettings]) -> Policy:
    """Return the rules of the queue."""
    patience = queue.release_pools_minutes
    return Policy(
        projects={stored(name): _project(stored(name), each) for name, each in projects.items()},
        ageing=queue.ageing_minutes * 60,
        half_life=queue.memory_hours * 3600,
        backfill=queue.backfill,
        preemption=queue.preemption,
        pool_patience=inf if patience is None else patience * 60,
    )


def rules(
    projects: Mapping[str, ProjectSettings],
    spot: SpotSettings,
    backends: Mapping[str, Capabilities],
    default: str,
) -> Rules:
    """Return what jobs may ask for; ``default``: the backend of those that name none."""
    return Rules(
        projects={*projects, DEFAULT_PROJECT} if projects else (),
        keys=projects_of_keys(projects),
        types={name: [pattern for pattern, _ in each.instances] for name, each in backends.items()},
        backend=default,
        spot_needs_checkpoints=spot.require_checkpoints,
    )


def lineup(
    rules: Policy, backends: Mapping[str, Capabilities], default: str
) -> Callable[[datetime], Lineup]:
    """Return what makes a look at the line of a moment; ``default`` as in ``rules``."""
    places = {name: Place.of(name, each) for name, each in backends.items()}
    return lambda now: Lineup(places, rules, default, now.timestamp())


def stored(name: str) -> str:
    """Return what jobs' rows call a project: nothing, where none was named."""
    return "" if name == DEFAULT_PROJECT else name


def secrets(projects: Mapping[str, ProjectSettings]) -> dict[str, str]:
    """Return the secrets of all projects' keys, by access key."""
    return {key: each.access_keys[key] for each in projects.values() for key in each.access_keys}


def projects_of_keys(projects: Mapping[str, ProjectSettings]) -> dict[str, str]:
    """Return whose each key is, as rows call it, by access key."""
    return {key: stored(name) for name, each in projects.items() for key in each.access_keys}


def check(projects: Mapping[str, ProjectSettings]) -> None:
    """See that each key is of one project and long enough to be one.

    Raises:
        ValueError: one is not.
    """
    owners: dict[str, str] = {}
    for name, each in projects.items():
        for key, secret in each.access_keys.items():
            where = f"projects.{name}.access_keys: {key!r}"
            if key in owners:
                raise ValueError(f"{where} is a key of projects.{owners[key]} already")
            if not (key.isascii() and key.isalnum()):
                raise ValueError(f"{where} may have letters and digits alone")
            if len(secret) < _SHORTEST_SECRET:
                raise ValueError(f"{where}: its secret is shorter than {_SHORTEST_SECRET} letters")
            owners[key] = name


def _project(name: str, settings: ProjectSettings) -> Project:
    return Project(
        name=name,
        weight=settings.weight,
        max_jobs=settings.max_jobs,
        max_nodes=settings.max_nodes,
        max_gpus=settings.max_gpus,
        instance_types=settings.instance_types,
        max_cost_per_hour=settings.max_cost_per_hour,
    )
