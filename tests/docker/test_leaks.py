"""Jobs of every kind, many at once, and nothing of them is left."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from tests.docker.engine import networks, processes
from tests.docker.shed import OVER, PROGRAMS, PYTHON, DockerShed
from tests.journeys.shed import BUCKET, channel, until
from tests.share import share

pytestmark = pytest.mark.docker

JOBS: Final = share(200)
AT_ONCE: Final = 6
PREFIX: Final = "leak-"
KINDS: Final = {
    "success": 5,
    "failure": 3,
    "stopped": 4,
    "two-hosts": 2,
    "second-fails": 2,
    "bad-image": 2,
    "isolated": 2,
    "two-isolated": 1,
    "killed-agent": 2,
}
"""Kind of job to how often it comes up."""

DOES: Final = {
    "failure": "fail",
    "stopped": "sleep",
    "second-fails": "fail-second",
    "killed-agent": "while",
}
ENDS: Final = {"failure": "Failed", "second-fails": "Failed", "bad-image": "Failed"}


class MixedJob:
    """One of the jobs, from its creation to its end."""

    def __init__(self, shed: DockerShed, name: str, kind: str, luck: float) -> None:
        """Use ``luck``, from 0 to 1, where something happens at a random moment."""
        self.shed = shed
        self.name = name
        self.kind = kind
        self.luck = luck
        self._pause = threading.Event()

    @property
    def expected(self) -> str:
        return "Stopped" if self.kind == "stopped" else ENDS.get(self.kind, "Completed")

    def run(self) -> dict[str, Any]:
        """Return what is told of the job at its end."""
        hosts = 2 if self.kind in {"two-hosts", "second-fails", "two-isolated"} else 1
        program = "/opt/ml/input/data/program/mixed.py"
        self.shed.train(
            "trainshed-test/there-is-none" if self.kind == "bad-image" else PYTHON,
            nodes=hosts,
            algorithm={
                "ContainerEntrypoint": ["python3", program, DOES.get(self.kind, "end")],
            },
            TrainingJobName=self.name,
            EnableNetworkIsolation="isolated" in self.kind,
            InputDataConfig=[channel("program", "programs/mixed/")],
        )
        if self.kind == "stopped":
            self._pause.wait(3 * self.luck)
            self.shed.sagemaker.stop_training_job(TrainingJobName=self.name)
        if self.kind == "killed-agent":
            self._kill_agent()
        return self._until_over()

    def _kill_agent(self) -> None:
        """Kill it as soon as its container is there, or a little later."""
        while not (found := self.shed.containers(job=self.name)):
            self._pause.wait(0.1)
        self._pause.wait(self.luck)
        node = found[0]["Config"]["Labels"]["trainshed.node"]
        if (pid := self.shed.server.agents().get(node)) is not None:
            os.kill(pid, signal.SIGKILL)

    def _until_over(self) -> dict[str, Any]:
        end = time.monotonic() + 120
        while (told := self.shed.describe(self.name))["TrainingJobStatus"] not in OVER:
            assert time.monotonic() < end, told
            self._pause.wait(0.2)
        return told


@pytest.mark.timeout(600)
def test_nothing_is_left_of_many_jobs(
    shed: DockerShed, record_property: Callable[[str, object], None]
) -> None:
    program = (PROGRAMS / "mixed.py").read_bytes()
    shed.s3.put_object(Bucket=BUCKET, Key="programs/mixed/mixed.py", Body=program)
    choice = random.Random(3)
    drawn = choice.choices(list(KINDS), list(KINDS.values()), k=JOBS)
    jobs = [
        MixedJob(shed, f"{PREFIX}{n}-{kind}", kind, choice.random()) for n, kind in enumerate(drawn)
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as users:
        ended = list(users.map(MixedJob.run, jobs))
    shed.nothing_left()
    took = time.monotonic() - began
    wrong = [
        (job.name, told["TrainingJobStatus"], told.get("FailureReason"))
        for job, told in zip(jobs, ended, strict=True)
        if told["TrainingJobStatus"] != job.expected
    ]
    assert wrong == []
    assert networks(PREFIX) == []
    shed.server.stop()
    until(lambda: not processes(shed.server.data), lambda: f"{processes(shed.server.data)}")
    counted = Counter(told["TrainingJobStatus"] for told in ended)
    record_property("figure", f"{JOBS} mixed jobs in {took:.0f} s, nothing left: {dict(counted)}")
