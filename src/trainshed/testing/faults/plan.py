"""What goes wrong where: a value that can be printed, read back, and so repeated.

A point is ``<what>.<method>.before`` or ``.after``: ``records.swap.after`` is passed each time a
row was written, before its writer knows. A plan names points, or patterns of them (``*`` stands
for anything), and what happens there::

    seed=7; records.swap.after#3=crash; driver.launch.before#1=delay:2.5; *~400=crash

``#3``   the third time that such a point is passed
``#3@2`` the same in the second life of the process: after its first restart
``~400`` each time with a chance of one in 400, in each life
``:2.5`` for how many seconds

Chances are drawn from the seed, the life, the point's name and how often it was passed, and from
nothing else: so the same plan strikes at the same places, however threads and jobs take turns.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

_USAGE: Final = "a fault is <point>#<nth>[@<life>]=<what>[:<seconds>] or <point>~<one in>=<what>"


class Do(StrEnum):
    """What may go wrong."""

    CRASH = "crash"
    """The process is gone, as by ``kill -9``."""
    FAIL = "fail"
    """An error; nothing was done. Only before."""
    LOSE = "lose"
    """It was done, and nobody hears of it. Only after."""
    DOUBLE = "double"
    """It is done twice. Only before."""
    DELAY = "delay"
    """It takes longer, so others overtake it."""
    PAUSE = "pause"
    """The whole process stands still."""
    JUMP = "jump"
    """The clock jumps, forward or back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something goes wrong, once or by chance."""

    at: str
    """A point, or a pattern of points."""
    do: Do
    nth: int = 0
    """At which passing of such a point, from 1; 0 where chance decides."""
    life: int = 1
    """In which life of the process; counts only with ``nth``."""
    one_in: int = 0
    """The chance, at each passing; 0 where ``nth`` decides."""
    seconds: float = 0.0
    """How long a delay or a pause takes; how far the clock jumps."""

    def __post_init__(self) -> None:
        """Refuse what would never happen.

        Raises:
            ValueError: neither ``nth`` nor ``one_in`` says when, or both do.
        """
        if (self.nth > 0) == (self.one_in > 0) or self.life < 1:
            raise ValueError(f"{_USAGE}; found {self}")

    def __str__(self) -> str:
        """Return it as ``parse`` reads it."""
        life = f"@{self.life}" if self.life != 1 else ""
        when = f"#{self.nth}{life}" if self.nth else f"~{self.one_in}"
        seconds = f":{self.seconds:g}" if self.seconds else ""
        return f"{self.at}{when}={self.do.value}{seconds}"

    def fits(self, point: str) -> bool:
        """Tell whether it is about a point."""
        return fnmatchcase(point, self.at)

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Return the fault that a text describes.

        Raises:
            ValueError: it describes none.
        """
        where, equals, what = text.strip().rpartition("=")
        if not equals:
            raise ValueError(f"{_USAGE}; found {text!r}")
        do, _, seconds = what.partition(":")
        lasts = float(seconds or 0)
        if "#" in where:
            at, _, when = where.rpartition("#")
            nth, _, life = when.partition("@")
            return cls(at=at, do=Do(do), nth=int(nth), life=int(life or 1), seconds=lasts)
        at, _, one_in = where.rpartition("~")
        return cls(at=at, do=Do(do), one_in=int(one_in), seconds=lasts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that goes wrong in a process, over all its lives."""

    seed: int = 0
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        """Return it as ``parse`` reads it."""
        return "; ".join([f"seed={self.seed}", *map(str, self.faults)])

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """Return the plan that a text describes; an empty one is a plan without faults.

        Raises:
            ValueError: it describes none.
        """
        seed, faults = 0, []
        for part in filter(None, (each.strip() for each in text.split(";"))):
            if part.startswith("seed="):
                seed = int(part.removeprefix("seed="))
            else:
                faults.append(Fault.parse(part))
        return cls(seed=seed, faults=tuple(faults))

    def drawn(self, fault: Fault, life: int, point: str, passed: int) -> bool:
        """Tell whether chance has a fault happen when a point is passed for the n-th time."""
        text = f"{self.seed}/{life}/{fault}/{point}/{passed}"
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        return number % fault.one_in == 0
