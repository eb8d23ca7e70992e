"""Whatever happens in whatever order, and wherever the operator dies: every object ends well."""

from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.operator.world import PATIENCE, World, manifest

from trainshed.operator.deciding.training_job.stages import Stage, is_lawful, stage_of
from trainshed.operator.kinds.base import ADOPT_ANNOTATION
from trainshed.operator.objects import Key, Place
from trainshed.testing.operator.service import Job

NAMES = ("a", "b")
OWN_NAMES = (None, "shared", "other")
PLACE = Place("", "eu-central-1")
names = st.sampled_from(NAMES)
rarely = st.sampled_from([False, False, False, True])
often = st.sampled_from([True, True, True, False])


def key(name: str) -> Key:
    return Key("trainingjobs", "default", name)


class AnyOrder(RuleBasedStateMachine):
    """People, the service, the network and the operator, each whenever it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.foreign: list[Job] = []
        self.gone: list[tuple[str, str]] = []
        """Uid and policy of each object that was deleted."""
        self.given_up: set[str] = set()
        """Uids of objects whose deletion has lasted so long that it may have given up."""
        self.stages: dict[str, Stage] = {}
        """Where each object stood when it was last looked at."""
        self.permitted = False
        """Whether anybody was ever permitted to adopt."""

    @initialize(own=st.sampled_from(OWN_NAMES), settled=often)
    def somebody_begins(self, own: str | None, settled: bool) -> None:
        self.apply("a", own, False)
        if settled:
            self.world.settle(key("a"))

    # People

    @rule(name=names, own=st.sampled_from(OWN_NAMES), stop=rarely)
    def apply(self, name: str, own: str | None, stop: bool) -> None:
        if self.world.cluster.look(key(name)) is not None:
            return
        members: dict[str, Any] = {"trainingJobName": own} if own else {}
        members |= {"stop": True} if stop else {}
        self.world.cluster.make(manifest(name, **members))

    @rule(name=names, change=st.sampled_from(["stop", "go", "lr", "rename", "adopt", "broken"]))
    def edit(self, name: str, change: str) -> None:
        if self.world.cluster.look(key(name)) is None:
            return
        changes: dict[str, dict[str, Any]] = {
            "stop": {"spec": {"stop": True}},
            "go": {"spec": {"stop": False}},
            "lr": {"spec": {"hyperParameters": [{"name": "lr", "value": "1"}]}},
            "rename": {"spec": {"trainingJobName": "renamed"}},
            "adopt": {"metadata": {"annotations": {ADOPT_ANNOTATION: "true"}}},
            "broken": {"spec": {"hyperParameters": [{"name": "lr", "value": 1}]}},
        }
        self.permitted |= change == "adopt"
        self.world.cluster.edit(key(name), changes[change])

    @rule(name=names, policy=st.sampled_from(["Stop", "Stop", "Stop", "Retain", "Abandon"]))
    def delete(self, name: str, policy: str) -> None:
        thing = self.world.cluster.look(key(name))
        if thing is None or thing.deleted is not None:
            return
        self.world.cluster.edit(key(name), {"spec": {"deletionPolicy": policy}})
        self.gone.append((thing.uid, policy))
        self.world.cluster.delete(key(name), self.world.now)

    @rule(own=st.sampled_from(OWN_NAMES[1:]))
    def somebody_else_creates(self, own: str) -> None:
        if (PLACE, own) not in self.world.service.jobs:
            job = Job(request={"TrainingJobName": own}, region=PLACE.region)
            self.world.service.jobs[PLACE, own] = job
            self.foreign.append(job)

    # The service and the ways to it

    @rule(end=st.sampled_from(["Completed", "Failed", "Training"]), which=st.integers(0, 5))
    def a_job_goes_on(self, end: str, which: int) -> None:
        running = [j for j in self.world.service.jobs.values() if j.status == "InProgress"]
        if running and end == "Training":
            running[which % len(running)].secondary = end
        elif running:
            running[which % len(running)].end(end)

    @rule()
    def stopping_jobs_stop(self) -> None:
        for job in self.world.service.jobs.values():
            if job.status == "Stopping":
                job.end("Stopped")

    @rule(away=rarely, loses=rarely, refuses=rarely, reachable=often)
    def the_ways_change(self, away: bool, loses: bool, refuses: bool, reachable: bool) -> None:
        self.world.service.away, self.world.service.loses = away, loses
        self.world.service.refuses = "not like this" if refuses else ""
        self.world.cluster.reachable = reachable

    @rule()
    def time_passes(self) -> None:
        for name in NAMES:
            thing = self.world.cluster.look(key(name))
            if thing is not None and thing.deleted is not None:
                self.given_up.add(thing.uid)
        self.world.now += PATIENCE

    # The operator

    @rule()
    def the_watch_delivers(self) -> None:
        self.world.see()

    @rule(name=names, fresh=often)
    def a_pass(self, name: str, fresh: bool) -> None:
        if fresh:
            self.world.see()
        self.world.reconcile(key(name))

    @rule(name=names, points=st.integers(1, 14), fresh=often)
    def a_pass_is_killed(self, name: str, points: int, fresh: bool) -> None:
        if fresh:
            self.world.see()
        self.world.dies_after = points
        self.world.reconcile(key(name))
        self.world.dies_after = None

    # What always holds

    @invariant()
    def every_object_moves_as_it_is_drawn(self) -> None:
        for name in NAMES:
            thing = self.world.cluster.look(key(name))
            if thing is None:
                continue
            stage = stage_of(thing)
            before = self.stages.get(thing.uid, Stage.NEW)
            path = [before, *self.world.stages.pop(thing.uid, []), stage]
            for one, next_one in pairwise(path):
                assert is_lawful(one, next_one), f"{path}"
            self.stages[thing.uid] = stage

    @invariant()
    def no_object_has_two_jobs(self) -> None:
        owners = Counter(job.uid for job in self.world.service.jobs.values() if job.uid)
        assert all(number == 1 for number in owners.values()), owners

    @invariant()
    def nobody_elses_job_is_touched_without_leave(self) -> None:
        assert self.permitted or all(job.stops == 0 for job in self.foreign)

    # How it ends

    def teardown(self) -> None:
        self.world.service.away = self.world.service.loses = False
        self.world.service.refuses = ""
        self.world.cluster.reachable = True
        for _ in range(4):
            for name in NAMES:
                self.world.settle(key(name))
            self.stopping_jobs_stop()
        for name in NAMES:
            self._is_as_it_should_be(name)
        self._nothing_runs_that_nobody_wants()

    def _is_as_it_should_be(self, name: str) -> None:
        thing = self.world.cluster.look(key(name))
        if thing is None:
            return
        assert thing.deleted is None, "it is stuck in deletion"
        writes = self.world.cluster.writes
        self.world.settle(key(name))
        assert self.world.cluster.writes == writes, "it is written though nothing changed"
        job = thing.status.get("sageMakerTrainingJobName")
        if not job:
            assert thing.spec.get("stop") or thing.holds("Stalled"), "it is lost"
            return
        there = self.world.service.jobs[PLACE, job]
        assert thing.status["trainingJobStatus"] == there.status
        assert there.status in {"Completed", "Failed", "Stopped"} or not thing.spec.get("stop")

    def _nothing_runs_that_nobody_wants(self) -> None:
        stopped = {uid for uid, policy in self.gone if policy == "Stop"} - self.given_up
        for job in self.world.service.jobs.values():
            assert job.uid not in stopped or job.status != "InProgress", "it runs on"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=100,
    stateful_step_count=30,
)
