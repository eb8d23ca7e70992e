"""What the scheduler is told: places, projects, the rules, who waits, who runs, what is kept warm.

Times are seconds since the epoch: they are compared by the ten thousand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Final

from trainshed.domain import patterns
from trainshed.domain.instances import Instance, known
from trainshed.drivers.base import Capabilities

TOP_PRIORITY: Final = 99
_GPU_LOAD: Final = 16.0
"""How many processors a GPU counts for in a project's share: between what Amazon's on-demand prices
say of a T4 (11) and of a V100 (about 70); what matters is that it counts for more than its host."""

Types = tuple[tuple[str, int], ...]
"""(instance type, nodes of it)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Need:
    """What a job takes of its place, if it runs there on these types; all of it or nothing.

    One value for all who ask for the same; get it by ``Board.need``.
    """

    instance_type: str = ""
    """See ``Admission.instance_type``."""
    types: Types
    nodes: int
    bins: tuple[tuple[int, int], ...] = ()
    """(position in ``Place.capacity``, nodes that count there)."""
    gpus: int = 0
    load: float = 0.0
    """What it counts for in its project's share."""
    cost: float = 0.0
    """Money per hour, as far as prices are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A backend, as far as its room goes."""

    name: str
    nodes: int
    """That may be in use at once."""
    capacity: tuple[tuple[str, int], ...] = ()
    """See ``Capabilities.capacity``."""
    max_launching: int = 0
    """See ``Capabilities.max_launching``."""
    prices: tuple[tuple[str, float], ...] = ()
    spot_prices: tuple[tuple[str, float], ...] = ()
    instances: tuple[tuple[str, Instance], ...] = ()
    """See ``Capabilities.instances``."""
    slots: bool = False
    """Whether nodes share one machine and no type means anything: each counts as one processor."""

    @classmethod
    def of(cls, name: str, capabilities: Capabilities) -> "Place":
        """Return the place of a backend."""
        return cls(
            name=name,
            nodes=capabilities.max_nodes,
            capacity=capabilities.capacity,
            max_launching=capabilities.max_launching,
            prices=capabilities.prices,
            spot_prices=capabilities.spot_prices,
            instances=capabilities.instances,
            slots=capabilities.runtime == "process",
        )

    def need(self, types: Types, *, spot: bool = False, instance_type: str = "") -> Need:
        """Return what nodes of these types take here."""
        bins: dict[int, int] = {}
        gpus, load, cost = 0, 0.0, 0.0
        for name, nodes in types:
            limited = [pattern for pattern, _ in self.capacity]
            if (pattern := patterns.closest(name, limited)) is not None:
                position = limited.index(pattern)
                bins[position] = bins.get(position, 0) + nodes
            instance = patterns.value(name, self.instances) or known(name)
            if instance is not None:
                gpus += nodes * instance.gpus
            if self.slots or instance is None:
                load += nodes
            else:
                load += nodes * (instance.cpus + _GPU_LOAD * instance.gpus)
            cost += nodes * self._price(name, spot=spot)
        return Need(
            instance_type=instance_type,
            types=types,
            nodes=sum(nodes for _, nodes in types),
            bins=tuple(sorted(bins.items())),
            gpus=gpus,
            load=load,
            cost=cost,
        )

    def _price(self, name: str, *, spot: bool) -> float:
        price = patterns.value(name, self.spot_prices) if spot else None
        if price is None:
            price = patterns.value(name, self.prices)
        return price or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Whose jobs these are: their share, and how much they may use at once. None: no limit."""

    name: str
    weight: float = 1.0
    """Its share is to those of others as their weights are."""
    max_jobs: int | None = None
    max_nodes: int | None = None
    max_gpus: int | None = None
    instance_types: tuple[str, ...] = ()
    """Patterns of the instance types that it may use; empty for all."""
    max_cost_per_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of a queue."""

    projects: Mapping[str, Project] = field(default_factory=dict)
    """By name; who is not among them has weight 1 and no quota."""
    ageing: float = 3600.0
    """Seconds of waiting that are worth a level of priority; 0 for none."""
    half_life: float = 86400.0
    """Seconds after which what a project has used counts half in its share; 0: only what it uses
    now counts."""
    backfill: bool = True
    """Whether jobs may pass one that must wait for room, where that can't delay it."""
    preemption: bool = True
    """Whether preemptible jobs make room for those of higher priority."""
    pool_patience: float = inf
    """Seconds after which one that waits has warm nodes let go that are in its way."""

    def project(self, name: str) -> Project:
        """Return a project by its name."""
        return self.projects.get(name) or Project(name=name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """What some jobs that wait have in common: where one finds no room, none does.

    One value for all of them; make it by ``Board.group``.
    """

    backend: str
    project: str
    priority: int
    needs: tuple[Need, ...]
    """What it may run on, best first."""
    runtime: float = inf
    """Seconds after which it is over, once it trains."""
    pool_keys: tuple[str, ...] = ()
    """For each of ``needs`` what a warm pool must have been made for; empty for none at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job in line."""

    arn: str
    group: Group
    created: float
    """Its place among those of its group and project."""
    since: float
    """From when on it waits; later than ``created`` for one that ran already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A job that has nodes."""

    arn: str
    backend: str
    project: str
    need: Need
    started: float
    ends: float
    """When it must be over."""
    priority: int = 50
    preemptible: bool = False
    launching: bool = False
    """Whether its nodes are still being started."""
    leaving: bool = False
    """Whether it ends for some other reason already."""
    preempted_for: str = ""
    """ARN of the job that gets its nodes; "" while it keeps them."""
    pool: str = ""
    """ARN of the job whose warm nodes it took over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The nodes of a job that is over, kept warm."""

    arn: str
    backend: str
    project: str
    need: Need
    key: str
    """What a job must ask for, to get them."""
    ends: float
    """When they are let go."""
    began: datetime
    """When the first job of the chain got them."""
    chain: str = ""
    """See ``Attempt.pool_chain``."""
