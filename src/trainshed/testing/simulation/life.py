"""The life of a simulated node as a pure function of its script and of what was asked of it.

Nothing of it has to be done at the right moment: whoever asks, whenever, sees what the node's agent
has told by then. So a server may be killed at any line, and its nodes have gone on meanwhile.
What was told once stays: whatever is asked counts from then on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import msgspec

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.testing.simulation.script import Script

_KILLED: Final = 137
_NEVER: Final = float("inf")
_LOST: Final = "InternalServerError: the container is gone, and nobody knows how it ended"


class Life(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node: its script, and what was asked of it. Moments are in seconds since the epoch."""

    node_id: str
    script: Script
    began: float
    """When its agent starts."""
    instance_type: str = ""
    checkpoints: str = ""
    """Where they are kept, for one host: later attempts ask there; "" for a job that has none."""
    pool: str = ""
    """The chain of warm pools that it is of; "" for none."""
    done: float = 0.0
    """Seconds of work that earlier attempts have kept."""
    kept_at: float = 0.0
    """When they did."""
    grace: float = 120.0
    max_runtime: float = 86400.0
    stop: float | None = None
    """When it was asked to stop."""
    hurry: float | None = None
    """When it was asked to stop at once."""
    notice: float | None = None
    """When it was told that it is taken away."""
    deadline: float | None = None
    """When it is; None while its checkpoints are waited for."""
    reason: str = ""
    relaunched: float | None = None
    """When an agent was started in the place of one that was lost."""
    removed: float | None = None
    told: float = 0.0
    """Until when others may know what the node did: that is never changed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What becomes of a node."""

    facts: tuple[Fact, ...]
    """All that its agent will ever tell, in order."""
    kept: tuple[tuple[float, float], ...]
    """(moment, seconds of work that are kept from then on), in order."""
    taken: float
    """When the place takes it away; infinite for never."""
    silent: tuple[float, float]
    """From when until when it has no agent."""

    def heard(self, now: float) -> tuple[Fact, ...]:
        """Return what an agent can tell now; nothing where there is none."""
        if now >= self.taken or self.silent[0] <= now < self.silent[1]:
            return ()
        return tuple(fact for fact in self.facts if fact.at <= now)

    @property
    def last(self) -> float:
        """The number of the fact after which its agent leaves; infinite when it never comes."""
        ends = bool(self.facts) and self.facts[-1].kind is Kind.ENDED
        return float(len(self.facts)) if ends else _NEVER

    def work(self, now: float) -> tuple[float, float] | None:
        """Return (moment, seconds of work) of what was last kept by now; None for nothing."""
        return max((kept for kept in self.kept if kept[0] <= now), default=None)

    def next_after(self, now: float) -> float:
        """Return when the node next does something, or something befalls it; infinite for never."""
        moments = [self.taken, *self.silent, *(fact.at for fact in self.facts)]
        return min((moment for moment in moments if moment > now), default=_NEVER)


def story(life: Life) -> Story:
    """Return what becomes of the node if nothing more is asked of it."""
    script = life.script
    notice, deadline, reason = _notice(life)
    sudden = _NEVER if script.taken_after is None else life.began + script.taken_after
    taken = min(deadline, sudden)
    events = list(_events(life, notice, deadline, reason))
    ended = events[-1].at
    if life.removed is not None:
        taken = min(taken, life.removed)
    lost, alone = _after(life, script.lost_after), _after(life, script.agent_lost_after)
    silent = (_NEVER, _NEVER)
    back = _NEVER if life.relaunched is None else life.relaunched
    if min(lost, alone) < ended:
        silent = (min(lost, alone), max(back, min(lost, alone)))
    if lost <= alone and lost < ended:
        events = [event for event in events if event.at <= lost]
        if life.relaunched is not None:
            events.append(_ended(back, Outcome.LOST, _LOST))
    told = [event for event in events if event.at < taken]
    return Story(
        facts=tuple(
            Fact(n, event.at, event.kind, event.detail) for n, event in enumerate(told, start=1)
        ),
        kept=tuple((event.at, event.work) for event in told if event.work is not None),
        taken=taken,
        silent=silent,
    )


@dataclass(slots=True)
class _Event:
    at: float
    kind: Kind
    detail: dict[str, Any]
    work: float | None = None


def _after(life: Life, seconds: float | None) -> float:
    return _NEVER if seconds is None else life.began + seconds


def _notice(life: Life) -> tuple[float, float, str]:
    """Return when the node is told that it is taken away, when it is, and why."""
    asked = _NEVER if life.notice is None else life.notice
    planned = _after(life, life.script.notice_after)
    if planned <= asked:
        return planned, planned + life.script.notice, "the place takes the instance back"
    return asked, _NEVER if life.deadline is None else life.deadline, life.reason


def _events(life: Life, notice: float, deadline: float, reason: str) -> Iterator[_Event]:
    """Yield what the node does while nothing is lost, in order; ``ended`` is the last."""
    told = {"deadline": 0.0 if deadline == _NEVER else deadline, "reason": reason}
    warned = notice == _NEVER
    for event in _steps(life, notice, reason):
        if not warned and notice <= event.at:
            warned = True
            yield _Event(notice, Kind.NOTICE, told)
        yield event


def _steps(life: Life, notice: float, reason: str) -> Iterator[_Event]:
    asked = _NEVER if life.stop is None else life.stop
    stop, why = min((asked, "asked"), (notice, "notice"))
    early = Outcome.STOPPED if why == "asked" else Outcome.INTERRUPTED
    at = life.began
    for event in _bringing(life):
        if stop < event.at:
            at = max(at, stop)
            yield _Event(at, Kind.STOPPING, {"reason": why})
            yield _ended(at, early, reason if early is Outcome.INTERRUPTED else "")
            return
        at = event.at
        yield event
    limit = at + life.max_runtime
    if limit < stop:
        stop, why = limit, "max_runtime"
    yield from _training(life, at, stop, why, reason)


def _bringing(life: Life) -> Iterator[_Event]:
    """Yield the steps up to the container's start."""
    script, at = life.script, life.began
    yield _Event(at, Kind.STARTED, {"runtime": "simulated"})
    if script.pull:
        yield _Event(at, Kind.PULLING, {})
        at += script.pull
    yield _Event(at, Kind.DOWNLOADING, {})
    at += script.download
    if life.checkpoints:
        brought = {"files": int(life.done > 0), "bytes": int(life.done), "newest": life.kept_at}
        yield _Event(at, Kind.RESTORED, brought)
    yield _Event(at, Kind.TRAINING, {})


def _training(life: Life, began: float, stop: float, why: str, reason: str) -> Iterator[_Event]:
    """Yield what comes from the container's start on."""
    script = life.script
    natural = began + max(0.0, script.duration - life.done)
    stopped = stop < natural
    end, code = _exit(life, natural, stop) if stopped else (natural, script.exit_code)
    worked = min(stop, end)
    keeps = bool(life.checkpoints) and script.checkpoint_every > 0
    if keeps:
        yield from _checkpoints(life, began, worked)
    if stopped:
        yield _Event(stop, Kind.STOPPING, {"reason": why})
    failure = f"AlgorithmError: , exit code: {code}" if code and not stopped else ""
    exited = {"exit_code": code, "oom": False, "over": end, "reason": failure}
    yield _Event(end, Kind.EXITED, exited)
    if keeps:
        yield _checkpoint(end, life.done + worked - began)
    if stopped and why == "notice":
        yield _ended(end, Outcome.INTERRUPTED, reason)
        return
    yield _Event(end, Kind.UPLOADING, {})
    outcome = Outcome.FAILED if failure else Outcome.COMPLETED
    yield _ended(end + script.upload, Outcome.STOPPED if stopped else outcome, failure)


def _exit(life: Life, natural: float, stop: float) -> tuple[float, int]:
    """Return when a container that is asked to stop ends, and with which code."""
    killed = stop + life.grace
    if life.hurry is not None:
        killed = min(killed, max(stop, life.hurry))
    if natural <= min(killed, stop + life.script.stop):
        return natural, life.script.exit_code
    if stop + life.script.stop <= killed:
        return stop + life.script.stop, 0
    return killed, _KILLED


def _checkpoints(life: Life, began: float, end: float) -> Iterator[_Event]:
    """Yield those that are made while the container works."""
    every = life.script.checkpoint_every
    for n in range(1, ceil((end - began) / every)):
        yield _checkpoint(began + n * every, life.done + n * every)


def _checkpoint(at: float, work: float) -> _Event:
    kept = {"files": 1, "bytes": int(work), "kept_at": at, "since": 0, "trouble": ""}
    return _Event(at, Kind.CHECKPOINT, kept, work)


def _ended(at: float, outcome: Outcome, reason: str = "") -> _Event:
    return _Event(at, Kind.ENDED, {"outcome": outcome.value, "reason": reason})
