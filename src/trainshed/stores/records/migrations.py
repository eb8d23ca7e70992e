"""The steps by which a database comes to the schema of this program.

A step is a file ``NNNN_name.pre.sql`` or ``NNNN_name.post.sql``; its number is its own. ``pre``
only adds, so that servers of an older schema go on beside it; ``post`` removes what they needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of the schema."""

    number: int
    name: str
    removes: bool
    """Whether servers of an older schema can't go on after it."""
    script: str
    """Its statements."""


def steps(folder: Traversable) -> Sequence[Step]:
    """Return the steps of a folder, in order of their numbers."""
    found = [_step(entry) for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted(found, key=lambda step: step.number)


def shipped(database: str) -> Traversable:
    """Return the folder of this program's steps for ``sqlite`` or ``postgres``."""
    return resources.files(__package__) / "migrations" / database


def _step(entry: Traversable) -> Step:
    name, kind, _ = entry.name.rsplit(".", 2)
    return Step(
        number=int(name.partition("_")[0]),
        name=name,
        removes={"pre": False, "post": True}[kind],
        script=entry.read_text("utf-8"),
    )
