"""An operator that is killed again and again: no job doubled, none lost, nothing stuck."""

import random
import re
from collections import Counter
from collections.abc import Callable

import pytest
from tests.kubernetes.cluster import Cluster, until
from tests.kubernetes.manifests import KIND, running
from tests.kubernetes.operated import Operated, operated
from tests.share import share

from trainshed.testing.faults.plan import Plan

pytestmark = pytest.mark.kubernetes

KILLS = share(100)
BATCH = 6
"""Objects that are made, stopped and deleted at once."""
PATIENCE = 400.0
SEED = 7

ENDS = "print('done')"
SLEEPS = "import time; time.sleep(600)"
POLICIES = ("Stop", "Stop", "Retain")


class Rounds:
    """Objects come, are stopped and go, while the operator dies of its plan."""

    def __init__(self, at: Operated) -> None:
        self.at = at
        self.chance = random.Random(SEED)
        self.uids: set[str] = set()
        self.made = 0

    def one(self) -> None:
        """Have a batch of objects live and die."""
        names = [self._apply() for _ in range(BATCH)]
        self._until("they have their jobs", lambda: all(map(self._has_job, names)))
        things = {each["metadata"]["name"]: each for each in self.at.cluster.find(KIND)}
        self.uids |= {things[name]["metadata"]["uid"] for name in names}
        stopped = self.chance.sample(names, 2)
        for name in stopped:
            self.at.cluster.kubectl(
                "patch", KIND, name, "--type=merge", "-p", '{"spec":{"stop":true}}'
            )
        self._until("they have stopped", lambda: all(map(self._is_over, stopped)))
        self.at.cluster.kubectl("delete", KIND, *names, "--wait=false")
        self._until("they are gone", lambda: not self.at.cluster.find(KIND))

    def _apply(self) -> str:
        self.made += 1
        name = f"killed-{self.made}"
        own = {"trainingJobName": name} if self.made % 3 == 0 else {}
        policy = self.chance.choice(POLICIES)
        program = self.chance.choice((ENDS, SLEEPS))
        self.at.apply(running(name, program, deletionPolicy=policy, **own))
        return name

    def _until(self, what: str, look: Callable[[], bool]) -> None:
        """Wait, and start the operator again whenever it has died."""

        def alive() -> bool:
            if not self.at.operator.running:
                self.at.operator.start()
            return look()

        until(f"{what}; {self.at.operator.struck()[-3:]}", alive, PATIENCE)

    def _has_job(self, name: str) -> bool:
        return bool(self.at.status(name).get("sageMakerTrainingJobName"))

    def _is_over(self, name: str) -> bool:
        return "Finished" in self.at.truths(name)


def jobs(at: Operated) -> list[dict[str, str]]:
    """Return the tags of each job that the server has."""
    found = at.shed.sagemaker.get_paginator("list_training_jobs").paginate()
    arns = [job["TrainingJobArn"] for page in found for job in page["TrainingJobSummaries"]]
    return [
        {tag["Key"]: tag["Value"] for tag in at.shed.sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        for arn in arns
    ]


@pytest.mark.timeout(1500)
def test_kills_lose_and_double_nothing(
    namespace: Cluster,
    crds: None,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    plan = Plan.parse(f"seed={SEED}; operator.*~16=crash")
    with operated(namespace, folder, plan=plan) as at:
        rounds = Rounds(at)
        while len(at.operator.struck()) < KILLS:
            rounds.one()
        owners = Counter(tags["trainshed:object-uid"] for tags in jobs(at))
        assert set(owners) == rounds.uids, "each object had its job, and none was lost"
        assert set(owners.values()) == {1}, "no job was doubled"
        assert at.cluster.find(KIND) == []
        places = Counter(re.sub(r"#.*", "", struck) for struck in at.operator.struck())
        assert len(places) >= min(8, KILLS // 4), f"killed at too few places: {places}"
        record_property(
            "figure",
            f"operator: {sum(places.values())} kills at {len(places)} points in "
            f"{rounds.made} objects, none lost, none doubled",
        )
