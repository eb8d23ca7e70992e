"""What is left of jobs that are over: things that were found, and what became of them. Pure.

Everything that is made for a node says whose it is: ``<job id>.<attempt>.<host>``, or the first two
of these for what an attempt's nodes share. So whether it is still needed follows from the jobs
alone, whoever made it and whoever died meanwhile.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that is there."""

    kind: str
    """Such as ``node``, ``process``, ``container``, ``object file``."""
    name: str
    """By which it is found again: a path, a process id, an engine's id."""
    owner: str = ""
    """Whose it is; "" for nobody's."""
    reason: str = ""
    """Why it is there, and not needed."""
    backend: str = ""
    """Where, for what a backend has."""
    size: int | None = None
    """Bytes; None where that is not known."""
    lost: bool = False
    """Whether nothing can be removed, because it is something that should be there and is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that nobody needs any more."""

    kind: str
    name: str
    backend: str = ""
    """Where, for what a backend has."""
    reason: str = ""
    """Why it is not needed any more."""
    size: int | None = None
    """Bytes; None where that is not known."""
    removed: bool = False
    trouble: str = ""
    """Why it could not be removed."""


def owners(job_id: str, attempt: int, hosts: tuple[str, ...]) -> frozenset[str]:
    """Return by what names a job, its attempt and its nodes own things."""
    of_attempt = f"{job_id}.{attempt}"
    return frozenset({job_id, of_attempt, *(f"{of_attempt}.{host}" for host in hosts)})


def needed(item: Item, known: frozenset[str]) -> bool:
    """Tell whether an item is somebody's among those ``known``."""
    return bool(item.owner) and item.owner in known
