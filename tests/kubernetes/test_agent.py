"""What agents do in real pods: the log, stops, memory, deletion, and an agent that is killed."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shed import allow_nodes

from trainshed.app.clock import now
from trainshed.domain import pods
from trainshed.domain.errors import DriverError
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.plan import NodePlan, Resources
from trainshed.drivers.base import Handle
from trainshed.drivers.kubernetes.driver import KubernetesDriver
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

pytestmark = pytest.mark.kubernetes
PATIENCE = 170.0
"""Seconds: pods may take their time on a busy machine."""
AGENT = os.environ.get("TRAINSHED_TEST_AGENT_IMAGE", images.PRODUCT)


@dataclass
class Spot:
    """Nodes that are pods, each by its plan, and what the server hears of them."""

    driver: KubernetesDriver
    reports: Reports
    cluster: Cluster
    job: str
    handles: list[Handle]

    async def launch(self, program: str, **changes: Any) -> NodePlan:
        """Start a node whose program is so, in Python."""
        host = changes.setdefault("host", "algo-1")
        plan = node_plan(
            Path("/trainshed/node"),
            server_url=self.reports.url,
            token=self.reports.token,
            **{
                "image": images.PYTHON,
                "runtime": "sibling",
                "environment_path": "",
                "entrypoint": ("python3", "-uc", program),
                "node_id": f"{self.job}.1.{host}",
                "grace": 20.0,
                **changes,
            },
        )
        self.handles.append(await self.driver.launch(plan))
        return plan

    async def told(self, plan: NodePlan, kind: Kind) -> Fact:
        """Return a fact, once it is told."""
        await asyncio.to_thread(
            self.reports.wait_for, lambda: self.reports.fact(plan.node_id, kind), PATIENCE
        )
        fact = self.reports.fact(plan.node_id, kind)
        assert fact is not None
        return fact

    async def said(self, plan: NodePlan, line: str) -> None:
        """Return once the program has said a line."""
        await asyncio.to_thread(
            self.reports.wait_for, lambda: line in self.reports.lines(plan.node_id), PATIENCE
        )

    async def ended(self, plan: NodePlan) -> tuple[str, str]:
        """Return how a node ended, and why."""
        fact = await self.told(plan, Kind.ENDED)
        return fact.detail["outcome"], fact.detail["reason"]

    def pod(self, plan: NodePlan) -> str:
        """Return the name of a node's pod."""
        (found,) = self.cluster.find("pods", "-l", f"{pods.NODE_LABEL}={plan.node_id}")
        return str(found["metadata"]["name"])


@pytest.fixture(scope="module")
def reports(host: str) -> Iterator[Reports]:
    found = Reports(host=host)
    found.start()
    yield found
    found.stop()


@pytest.fixture
async def spot(
    namespace: Cluster, reports: Reports, request: pytest.FixtureRequest
) -> AsyncIterator[Spot]:
    allow_nodes(namespace)
    options = KubernetesBackend(
        server_url=reports.url,
        agent_image=AGENT,
        agent_pull="never",
        pull="never",
        kubeconfig=namespace.kubeconfig,
        namespace=namespace.namespace,
    )
    driver = KubernetesDriver(name="cluster", options=options, clock=now)
    job = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    found = Spot(driver, reports, namespace, job, [])
    yield found
    for handle in found.handles:
        await _removed(driver, handle)
    driver.close()
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left, timeout=10)


async def _removed(driver: KubernetesDriver, handle: Handle) -> None:
    """Remove a node, as often as that takes: a busy kubelet is slow to let a pod go."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await driver.remove(handle)
            except DriverError:
                continue


SAVES = """
import signal, sys, time
def save(*_):
    print("saving")
    open("/opt/ml/model/weights", "w").write("1")
    sys.exit(7)
signal.signal(signal.SIGTERM, save)
print("up")
while True: time.sleep(0.1)
"""


async def test_a_log_of_many_lines_and_long_ones_comes_whole(spot: Spot) -> None:
    program = """
import sys
for number in range(120000):
    sys.stdout.write(f"{number} {'x' * 90}\\n")
for size in (16383, 16384, 16385, 100000, 1 << 20):
    sys.stdout.write("y" * size + "\\n")
sys.stdout.flush()
sys.stderr.write("the end")
"""
    plan = await spot.launch(program)
    assert await spot.ended(plan) == ("completed", "")
    lines = spot.reports.lines(plan.node_id)
    assert [line.split(" ")[0] for line in lines[:120000]] == [str(n) for n in range(120000)]
    rest = lines[120000:]
    assert rest[-1] == "the end"
    assert [len(line) for line in rest[:4]] == [16383, 16384, 16385, 100000]
    assert sum(len(line) for line in rest[4:-1]) == 1 << 20
    assert set("".join(rest[:-1])) == {"y"}


async def test_a_program_is_stopped_by_its_signal(spot: Spot) -> None:
    plan = await spot.launch(SAVES, grace=60.0)
    await spot.said(plan, "up")
    await spot.driver.stop(spot.handles[0])
    assert await spot.ended(plan) == ("stopped", "")
    exited = await spot.told(plan, Kind.EXITED)
    assert exited.detail["exit_code"] == 7
    assert spot.reports.lines(plan.node_id) == ["up", "saving"]


async def test_a_program_that_does_not_heed_its_signal_is_killed(spot: Spot) -> None:
    program = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork(): print("up")
while True: time.sleep(0.1)
"""
    plan = await spot.launch(program, grace=0.5)
    await spot.said(plan, "up")
    await spot.driver.stop(spot.handles[0])
    assert await spot.ended(plan) == ("stopped", "")
    exited = await spot.told(plan, Kind.EXITED)
    assert exited.detail["exit_code"] == 137


async def test_want_of_memory_is_told(spot: Spot) -> None:
    little = Resources(cpus=0.1, memory=64 << 20)
    plan = await spot.launch("print(len(bytearray(b'x') * (200 << 20)))", resources=little)
    outcome, reason = await spot.ended(plan)
    assert outcome == "failed"
    assert "out of memory" in reason


async def test_a_command_that_is_not_in_the_image_is_told(spot: Spot) -> None:
    plan = await spot.launch("", entrypoint=("/no/such/program",))
    outcome, reason = await spot.ended(plan)
    assert outcome == "failed"
    assert reason.startswith("AlgorithmError: the entrypoint was not found")
    assert reason.endswith("exit code: 127")


async def test_an_image_that_is_not_there_is_told(spot: Spot) -> None:
    plan = await spot.launch("", image="trainshed-test/nothing:here")
    outcome, reason = await spot.ended(plan)
    assert outcome == "failed"
    assert reason.startswith(
        'ClientError: the image "trainshed-test/nothing:here" cannot be had by the cluster\'s '
        "machines (ErrImageNeverPull"
    )


async def test_a_deleted_pod_is_interrupted_and_saves(spot: Spot) -> None:
    plan = await spot.launch(SAVES, grace=60.0)
    await spot.said(plan, "up")
    spot.cluster.kubectl("delete", "pod", spot.pod(plan), "--wait=false", "--grace-period=30")
    assert await spot.ended(plan) == ("interrupted", "the pod was deleted")
    notice = await spot.told(plan, Kind.NOTICE)
    assert 20 < notice.detail["deadline"] - notice.at < 31
    assert "saving" in spot.reports.lines(plan.node_id)


KILL_AGENT = """
import os, signal
for each in filter(str.isdigit, os.listdir("/proc")):
    try:
        keeps = "keeping.py" in open(f"/proc/{each}/cmdline").read()
        parent = open(f"/proc/{each}/stat").read().rpartition(")")[2].split()[1]
    except OSError: continue
    if keeps and parent != "0": os.kill(int(each), signal.SIGKILL)
"""


async def test_an_agent_that_is_killed_is_followed_by_another(spot: Spot) -> None:
    program = """
import time
for number in range(300):
    print(number)
    time.sleep(0.01)
time.sleep(3)
raise KeyError("the end")
"""
    plan = await spot.launch(program)
    for line in ("50", "150"):
        await spot.said(plan, line)
        spot.cluster.kubectl(
            "exec", spot.pod(plan), "-c", "agent", "--", "python", "-c", KILL_AGENT
        )
    assert await spot.ended(plan) == ("failed", "AlgorithmError: KeyError: 'the end', exit code: 1")
    numbers = [line for line in spot.reports.lines(plan.node_id) if line.isdigit()]
    assert numbers == [str(number) for number in range(300)]


async def test_a_program_that_is_root_finds_no_key_in_the_agents_processes(spot: Spot) -> None:
    program = """
import os, time
time.sleep(6)
seen = 0
for each in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{each}/cmdline").read()
    if "trainshed" not in words or int(each) == os.getpid():
        continue
    seen += 1
    for secret in ("environ", "mem", "root/trainshed/plan/plan.json"):
        try:
            open(f"/proc/{each}/{secret}").close()
            print("found", secret, words)
        except PermissionError:
            pass
print(os.getuid(), seen >= 2, os.path.exists("/var/run/secrets"))
"""
    plan = await spot.launch(program)
    assert await spot.ended(plan) == ("completed", "")
    assert spot.reports.lines(plan.node_id) == ["0 True False"]
