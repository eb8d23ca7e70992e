"""Nodes that exist only here, with journals that outlive their agents; agents act when told to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Handle
from trainshed.testing.drivers import FakeDriver

_STOPPED = (Kind.STOPPING, Kind.EXITED, Kind.UPLOADING, Kind.ENDED)
_NOTICED = (Kind.NOTICE, Kind.STOPPING, Kind.EXITED, Kind.ENDED)
_WHOLE = (Kind.STARTED, Kind.TRAINING, Kind.EXITED, Kind.UPLOADING, Kind.ENDED)


@dataclass(kw_only=True)
class Place(FakeDriver):
    """A driver's place that watches what must never happen."""

    journals: dict[str, list[Fact]] = field(default_factory=dict)
    """By node id; gone with the node."""
    heard: dict[str, int] = field(default_factory=dict)
    """What each living agent knows to be taken."""
    computing: set[str] = field(default_factory=set)
    """Nodes with an agent, or with a container that may have outlived it."""
    endless: set[str] = field(default_factory=set)
    """Ids of jobs whose programs end only when they are stopped."""
    crimes: list[str] = field(default_factory=list)
    """What happened and never may."""

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the node unless it lives; note when another attempt of the job computes."""
        new = plan.node_id not in self.living
        handle = await super().launch(plan)
        if new:
            job_id, attempt, _ = plan.node_id.split(".")
            others = {each for each in self.computing if each.split(".")[0] == job_id}
            for other in sorted(others):
                if other.split(".")[1] != attempt:
                    self.crimes.append(f"{plan.node_id} was launched while {other} computes")
            self.journals.setdefault(plan.node_id, [])
            self.heard[plan.node_id] = 0
            self.computing.add(plan.node_id)
        return handle

    async def remove(self, handle: Handle) -> None:
        """End the node for ever."""
        await super().remove(handle)
        self._forget(handle.state)

    def take(self, node_id: str) -> None:
        """Take a node away, and all that is on it."""
        super().take(node_id)
        self._forget(node_id)

    def leave(self, node_id: str) -> None:
        """Have an agent end of itself: everything it had to tell was taken."""
        self.lose(node_id)
        self.computing.discard(node_id)

    def advance(self, node_id: str, at: float, *, fails: bool = False) -> None:
        """Have a living agent see the next thing, and write it down."""
        journal = self.journals[node_id]
        kinds = [fact.kind for fact in journal]
        following = self._following(node_id, kinds)
        if following is None:
            return
        detail: dict[str, object] = {}
        match following:
            case Kind.EXITED:
                detail = {"exit_code": int(fails), "reason": "AlgorithmError: on purpose" * fails}
            case Kind.STOPPING:
                detail = {"reason": "notice" if Kind.NOTICE in kinds else "asked"}
            case Kind.NOTICE:
                detail = {"deadline": 0.0, "reason": "on purpose"}
            case Kind.ENDED:
                detail = _verdict(journal)
        journal.append(Fact(len(journal) + 1, at, following, detail))

    def unheard(self, node_id: str) -> Sequence[Fact]:
        """Return what an agent has still to tell."""
        return self.journals[node_id][self.heard[node_id] :]

    def _following(self, node_id: str, kinds: Sequence[Kind]) -> Kind | None:
        asked = node_id in self.stopped or node_id in self.hurried
        if Kind.NOTICE in kinds or (node_id in self.interrupted and Kind.EXITED not in kinds):
            script = _NOTICED
        elif Kind.STOPPING in kinds or (asked and Kind.EXITED not in kinds):
            script = _STOPPED
        else:
            script = _WHOLE[:2] if node_id.split(".", maxsplit=1)[0] in self.endless else _WHOLE
            if Kind.EXITED in kinds:
                script = _WHOLE
        return next((kind for kind in script if kind not in kinds), None)

    def _forget(self, node_id: str) -> None:
        self.computing.discard(node_id)
        self.journals.pop(node_id, None)
        self.heard.pop(node_id, None)


def _verdict(journal: Sequence[Fact]) -> dict[str, object]:
    kinds = [fact.kind for fact in journal]
    exited = next(fact for fact in journal if fact.kind is Kind.EXITED)
    if Kind.NOTICE in kinds:
        return {"outcome": Outcome.INTERRUPTED.value, "reason": "on purpose"}
    if Kind.STOPPING in kinds:
        return {"outcome": Outcome.STOPPED.value, "reason": ""}
    if exited.detail["exit_code"]:
        return {"outcome": Outcome.FAILED.value, "reason": exited.detail["reason"]}
    return {"outcome": Outcome.COMPLETED.value, "reason": ""}
