"""A container that is killed is gone on from by the next job, also when its agent was killed."""

import json
import os
import signal

import pytest
from tests.docker.engine import kill
from tests.docker.shed import DockerShed
from tests.journeys.shed import BUCKET, until

pytestmark = pytest.mark.docker

CONFIG = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/kept"}}


def kept_step(shed: DockerShed) -> int:
    try:
        found = shed.s3.get_object(Bucket=BUCKET, Key="kept/state.json")
    except shed.s3.exceptions.NoSuchKey:
        return 0
    return int(json.loads(found["Body"].read())["step"])


def test_a_killed_container_is_gone_on_from_and_a_new_agent_takes_keeping_up(
    shed: DockerShed,
) -> None:
    name = shed.run("counts.py", "100000", **CONFIG)
    until(lambda: kept_step(shed) > 0, lambda: str(shed.lines(name)))
    (agent,) = shed.server.agents().values()
    os.kill(agent, signal.SIGKILL)
    # The container goes on meanwhile; whatever is kept after this is kept by the next agent.
    before = kept_step(shed)
    until(lambda: kept_step(shed) > before + 20)
    (container,) = shed.containers(job=name)
    least = kept_step(shed)
    kill(container)
    assert shed.over(name)["TrainingJobStatus"] == "Failed"
    last = kept_step(shed)
    assert last >= least
    again = shed.run("counts.py", str(last + 10), **CONFIG)
    shed.completed(again)
    assert f"began at {last}" in shed.lines(again)
    total = (last + 10) * (last + 11) // 2
    assert shed.archive(again) == {"total": str(total).encode()}
    shed.nothing_left()
