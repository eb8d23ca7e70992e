"""One operator over a cluster and a service in memory, turned by hand."""

from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from trainshed.operator.cache import Cache
from trainshed.operator.deciding.table import DECIDING
from trainshed.operator.deciding.training_job.stages import Stage, stage_of
from trainshed.operator.metrics import Metrics
from trainshed.operator.objects import Key, Object, Place
from trainshed.operator.reconcile import Outcome, Reconciler
from trainshed.testing.operator.cluster import MemoryCluster
from trainshed.testing.operator.service import NOON, Job, MemoryJobs

T = TypeVar("T")
DIGITS = Key("trainingjobs", "default", "digits")
EUROPE = Place("", "eu-central-1")
PATIENCE = timedelta(minutes=10)


class Killed(BaseException):
    """The operator is dead."""


def spec(**members: Any) -> dict[str, Any]:
    return {
        "algorithmSpecification": {"trainingImage": "image", "trainingInputMode": "File"},
        "outputDataConfig": {"s3OutputPath": "s3://bucket/output"},
        "region": "eu-central-1",
        "resourceConfig": {"instanceCount": 1, "instanceType": "ml.m5.large", "volumeSizeInGB": 1},
        "roleArn": "arn:aws:iam::123456789012:role/trainshed",
        "stoppingCondition": {"maxRuntimeInSeconds": 3600},
        **members,
    }


def manifest(name: str = "digits", **members: Any) -> dict[str, Any]:
    return {"kind": "TrainingJob", "metadata": {"name": name}, "spec": spec(**members)}


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something")


class World:
    """Everything there is."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.service = MemoryJobs()
        self.now = NOON
        self.points: list[str] = []
        self.stages: dict[str, list[Stage]] = {}
        """By uid, where an object stood after each write of the operator."""
        self.dies_after: int | None = None
        """At how many points from now on the operator is killed; None for never."""
        self.restart()

    def restart(self) -> None:
        """Have a new operator, which knows nothing and lists all objects."""
        self.cache = Cache(DECIDING)
        self.reconciler = Reconciler(
            self.cluster,
            self.service,
            self.cache,
            DECIDING,
            clock=lambda: self.now,
            metrics=Metrics(),
            patience=PATIENCE,
            passing=self._pass,
        )
        self.see()

    def see(self) -> None:
        """Have the watch deliver all that has happened."""
        there = set()
        for path in list(self.cluster.objects):
            parts = path.split("/")
            if parts[2] == "sagemaker.aws.amazon.com":
                key = Key(parts[6], parts[5], parts[7])
                found = self.cluster.look(key)
                assert found is not None
                self.cache.put(found)
                there.add(key)
        for thing in list(self.cache):
            if thing.key not in there:
                self.cache.drop(thing)

    def reconcile(self, key: Key) -> Outcome:
        """Have one pass; a killed operator is followed by a new one."""
        try:
            return done(self.reconciler.reconcile(key))
        except Killed:
            self.dies_after = None
            self.restart()
            return Outcome(retry=True, word="killed")

    def reconcile_seen(self, key: Key) -> Outcome:
        """Have one pass over an object as it is now."""
        self.see()
        return self.reconcile(key)

    def settle(self, key: Key) -> Outcome:
        """Have passes until one of them finds nothing to be tried anew."""
        for _ in range(8):
            self.see()
            outcome = self.reconcile(key)
            if not (outcome.retry or outcome.again):
                return outcome
        return outcome

    def get(self, key: Key) -> Object:
        found = self.cluster.look(key)
        assert found is not None, f"{key} is gone"
        return found

    def reasons(self) -> list[str]:
        """Return what Events tell, in order."""
        return [each["reason"] for each in self.cluster.events()]

    def later(self, **period: float) -> datetime:
        self.now += timedelta(**period)
        return self.now

    def _pass(self, point: str) -> None:
        self.points.append(point)
        if point in {"operator.status.after", "operator.metadata.after"}:
            for thing in self.cache:
                found = self.cluster.look(thing.key)
                if found is not None:
                    self.stages.setdefault(found.uid, []).append(stage_of(found))
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                raise Killed


def conditions(thing: Object) -> Mapping[str, str]:
    """Return the reason of each condition that is true."""
    return {
        each["type"]: each["reason"]
        for each in thing.status.get("conditions", ())
        if each["status"] == "True"
    }


def submitted(world: World, **members: object) -> str:
    world.cluster.make(manifest(**members))
    world.settle(DIGITS)
    return str(world.get(DIGITS).status["sageMakerTrainingJobName"])


def foreign(world: World, name: str) -> Job:
    world.service.jobs[EUROPE, name] = job = Job(
        request={"TrainingJobName": name}, region=EUROPE.region
    )
    return job
