"""What a project may use at once, and what it lacks for one job more."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from trainshed.engine.scheduling.values import Need, Project

DIMENSIONS: Final = ("jobs", "nodes", "GPUs", "cost")


@dataclass(slots=True)
class Use:
    """What a project uses now."""

    jobs: int = 0
    nodes: int = 0
    gpus: int = 0
    cost: float = 0.0
    load: float = 0.0
    """See ``Need.load``."""
    spent: float = 0.0
    """What it used until ``at``: load times seconds, the older the less."""
    at: float = 0.0
    """Seconds since the epoch."""

    def add(self, need: Need, times: int) -> None:
        """Count what a job takes; -1 times to count it no more. The job itself is not counted."""
        self.nodes += times * need.nodes
        self.gpus += times * need.gpus
        self.cost += times * need.cost
        self.load += times * need.load

    def advance(self, now: float, half_life: float) -> None:
        """Count what was used until ``now``; what is older by ``half_life`` counts half."""
        seconds = now - self.at
        if seconds > 0:
            fades = 0.5 ** (seconds / half_life) if half_life else 0.0
            self.spent = self.spent * fades + self.load * seconds * (1 + fades) / 2
            self.at = now

    def copy(self) -> "Use":
        """Return the same, to be counted on."""
        return replace(self)


def never(project: Project, need: Need) -> str:
    """Return why a project may never run this, not even alone; "" when it may."""
    if project.instance_types:
        for name, _ in need.types:
            if not any(fnmatchcase(name, pattern) for pattern in project.instance_types):
                return f"may use {', '.join(project.instance_types)}, the job asks for {name}"
    for dimension in DIMENSIONS:
        limit, asked = _limit(project, dimension), _asked(need, dimension)
        if limit is not None and _exceeds(asked, limit):
            return f"may {_use(dimension, limit)}, the job asks for {_amount(dimension, asked)}"
    return ""


def lacks(project: Project, use: Use, need: Need, *, held: bool = False) -> str:
    """Return which of ``DIMENSIONS`` has no room for one job more now; "" when all have.

    ``held``: it gets nodes that the project holds already; only the job itself is new.
    """
    now = {"jobs": use.jobs, "nodes": use.nodes, "GPUs": use.gpus, "cost": use.cost}
    for dimension in DIMENSIONS[:1] if held else DIMENSIONS:
        limit, asked = _limit(project, dimension), _asked(need, dimension)
        if limit is not None and asked and _exceeds(now[dimension] + asked, limit):
            return dimension
    return ""


def uses(need: Need, dimension: str) -> bool:
    """Tell whether a job takes anything of one of ``DIMENSIONS``."""
    return _asked(need, dimension) > 0


def told(project: Project, dimension: str) -> str:
    """Return what a project may use of one of ``DIMENSIONS``, as the end of a sentence."""
    limit = _limit(project, dimension)
    return f"may {_use(dimension, limit or 0)}"


def _limit(project: Project, dimension: str) -> float | None:
    return {
        "jobs": project.max_jobs,
        "nodes": project.max_nodes,
        "GPUs": project.max_gpus,
        "cost": project.max_cost_per_hour,
    }[dimension]


def _asked(need: Need, dimension: str) -> float:
    return {"jobs": 1, "nodes": need.nodes, "GPUs": need.gpus, "cost": need.cost}[dimension]


def _exceeds(amount: float, limit: float) -> bool:
    return amount > limit + 1e-9  # sums of prices are not exact


def _use(dimension: str, limit: float) -> str:
    if dimension == "jobs":
        return f"run {limit:g} {'job' if limit == 1 else 'jobs'} at once"
    return (
        f"use {_amount(dimension, limit)} at once"
        if dimension != "cost"
        else f"cost {limit:g} per hour"
    )


def _amount(dimension: str, amount: float) -> str:
    if dimension == "cost":
        return f"{amount:g} per hour"
    word = dimension if amount != 1 else dimension.removesuffix("s")
    return f"{amount:g} {word}"
