"""One process's faults: counts how often its points are passed, and has the plan's faults happen.

Whatever a process does outside goes through points. So once it is dead nothing more of it reaches
anything, also where what is left of it in a test goes on for a while.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from trainshed.testing.faults.plan import Do, Fault, Plan

T = TypeVar("T")


class Crashed(BaseException):
    """The process is dead. No code may catch it but who restarts the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault that happened."""

    point: str
    passed: int
    """How often the point had been passed, this time included."""
    life: int
    do: Do

    def __str__(self) -> str:
        """Return it as a fault that has it happen again."""
        return f"{self.point}#{self.passed}@{self.life}={self.do.value}"


def crash() -> NoReturn:
    """End as a process within a test does."""
    raise Crashed


_OK: Final = "the points of a process that died are not passed any more"


class Faults:
    """What goes wrong in one life of one process. Safe to share between threads."""

    def __init__(
        self,
        plan: Plan,
        *,
        life: int = 1,
        die: Callable[[], NoReturn] = crash,
        jump: Callable[[float], None] = lambda _: None,
        note: Callable[[Struck], None] = lambda _: None,
    ) -> None:
        """Let nothing happen yet.

        Args:
            plan: what is to happen.
            life: how often the process was started, this time included.
            die: ends the process.
            jump: has the process's clock jump by seconds.
            note: told of each fault just before it happens.
        """
        self.plan = plan
        self.life = life
        self.struck: list[Struck] = []
        """What happened, in order."""
        self.dead = False
        self._die = die
        self._jump = jump
        self._note = note
        self._lock = threading.Lock()
        self._passed: Counter[str] = Counter()
        self._fitted: Counter[Fault] = Counter()
        self._paused_until = 0.0

    @property
    def points(self) -> frozenset[str]:
        """The points that were passed."""
        return frozenset(self._passed)

    def counts(self) -> list[tuple[str, int]]:
        """Return how often each point was passed, by name."""
        return sorted(self._passed.items())

    def add(self, fault: Fault) -> None:
        """Have one more fault happen; ``nth`` counts from now."""
        with self._lock:
            self.plan = Plan(seed=self.plan.seed, faults=(*self.plan.faults, fault))
            self._fitted[fault] = 0

    def kill(self) -> None:
        """Be dead from here on, wherever the process is."""
        self.dead = True

    def pause(self, seconds: float) -> None:
        """Stand still from the next points on, for so long by the event loop's clock."""
        self._paused_until = asyncio.get_running_loop().time() + seconds

    async def around(
        self,
        name: str,
        call: Callable[[], Coroutine[Any, Any, T]],
        *,
        failed: Callable[[str], Exception],
        lost: Callable[[str], Exception],
    ) -> T:
        """Return what ``call`` does, unless a fault of ``<name>.before`` or ``.after`` happens.

        Args:
            name: ``<what>.<method>``.
            call: does it; perhaps called twice.
            failed: makes the error for what was not done, of a text that says why.
            lost: makes the error for what was done, and nobody knows.
        """
        fault = await self._pass(f"{name}.before")
        if fault is not None and fault.do is Do.FAIL:
            raise failed(f"{name} fails on purpose")
        result = await call()
        if fault is not None and fault.do is Do.DOUBLE:
            await self._stand()
            result = await call()
        fault = await self._pass(f"{name}.after")
        if fault is not None and fault.do is Do.LOSE:
            raise lost(f"what came of {name} is lost on purpose")
        return result

    def will(self, point: str) -> bool:
        """Pass a point at which the caller has to do something before the crash; then ``die``."""
        fault = self._next(point, crash=False)
        return fault is not None and fault.do is Do.CRASH

    def die(self) -> NoReturn:
        """Be dead."""
        self.dead = True
        self._die()

    def at(self, point: str) -> Fault | None:
        """Pass a point on a thread; return a fault that is the caller's to carry out."""
        fault = self._next(point)
        if fault is None:
            return None
        if fault.do in {Do.DELAY, Do.PAUSE}:
            time.sleep(fault.seconds)
        return fault if fault.do in {Do.FAIL, Do.LOSE, Do.DOUBLE} else None

    async def _pass(self, point: str) -> Fault | None:
        await self._stand()
        fault = self._next(point)
        if fault is None:
            return None
        if fault.do is Do.DELAY:
            await asyncio.sleep(fault.seconds)
        elif fault.do is Do.PAUSE:
            self.pause(fault.seconds)
        await self._stand()
        return fault

    async def _stand(self) -> None:
        """Stand still while the process is paused; go nowhere once it is dead."""
        loop = asyncio.get_running_loop()
        while not self.dead and (left := self._paused_until - loop.time()) > 0:
            await asyncio.sleep(left)
        if self.dead:
            raise Crashed(_OK)

    def _next(self, point: str, *, crash: bool = True) -> Fault | None:
        """Count a point; return what happens there, with crashes and jumps done."""
        with self._lock:
            if self.dead:
                raise Crashed(_OK)
            self._passed[point] += 1
            passed = self._passed[point]
            due = [each for each in self.plan.faults if self._due(each, point)]
            if not due:
                return None
            fault = due[0]
            struck = Struck(point=point, passed=passed, life=self.life, do=fault.do)
            self.struck.append(struck)
            self._note(struck)
        if fault.do is Do.CRASH and crash:
            self.die()
        if fault.do is Do.JUMP:
            self._jump(fault.seconds)
        return fault

    def _due(self, fault: Fault, point: str) -> bool:
        if not fault.fits(point):
            return False
        if fault.one_in:
            return self.plan.drawn(fault, self.life, point, self._passed[point])
        self._fitted[fault] += 1
        return fault.life == self.life and self._fitted[fault] == fault.nth
