"""What is a cluster's own: names, lost pods, waiting, quotas, deadlines, what is left."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.places import BACKEND, Drivers, drivers_on, place_of, reports_at

from trainshed.app.clock import now
from trainshed.domain import pods
from trainshed.domain.errors import DriverError, NoCapacity, NodeTaken
from trainshed.domain.facts import Kind
from trainshed.domain.plan import NodePlan, Resources
from trainshed.drivers.base import Handle, NodeState, Sight
from trainshed.drivers.kubernetes.driver import KubernetesDriver
from trainshed.testing.driver_suite import DEAF, RUNS_LONG, Place, become, said, told
from trainshed.testing.reports import Reports

pytestmark = pytest.mark.kubernetes


@pytest.fixture(scope="module")
def reports(host: str) -> Iterator[Reports]:
    with reports_at(host) as found:
        yield found


@pytest.fixture
async def drivers(namespace: Cluster, reports: Reports) -> AsyncIterator[Drivers]:
    async with drivers_on(namespace, reports) as found:
        yield found


@pytest.fixture
def place(drivers: Drivers, reports: Reports, request: pytest.FixtureRequest) -> Place:
    return place_of(drivers, reports, request.node.name)


@pytest.fixture
def node(place: Place) -> Callable[..., NodePlan]:
    """Returns a plan by its host, of two."""

    def plan(host: str, **changes: object) -> NodePlan:
        told = {"host": host, "hosts": ("algo-1", "algo-2"), **changes}
        return place.plan(node_id=f".1.{host}", **told)

    return plan


async def says(driver: KubernetesDriver, handle: Handle, text: str) -> Sight:
    """Return what is seen once it says so."""
    async with asyncio.timeout(60):
        while True:
            found = (await driver.observe([handle]))[handle]
            if text in found.says:
                return found
            await driver.changed()


def left(namespace: Cluster, job: str) -> list[str]:
    """Return what the namespace has of a node."""
    told = f"{pods.ATTEMPT_LABEL}={job}"
    kinds = "jobs,pods,secrets,services,networkpolicies"
    return namespace.kubectl("get", kinds, "-l", told, "-o", "name").lines


async def test_hosts_of_an_attempt_find_each_other(
    place: Place, node: Callable[..., NodePlan], namespace: Cluster
) -> None:
    seek = "until getent hosts algo-1 && getent hosts algo-2; do sleep 0.1; done; echo found"
    plans = [node(host, entrypoint=("/bin/sh", "-c", seek)) for host in ("algo-1", "algo-2")]
    handles = [await place.driver.launch(plan) for plan in plans]
    for plan in plans:
        await said(place, plan, "found")
        address = next(x for x in place.reports.lines(plan.node_id) if "algo-2" in x)
        assert not address.startswith("127.")
    await place.driver.remove(handles[0])
    attempt = plans[0].node_id.rpartition(".")[0]
    assert any(each.startswith("service/") for each in left(namespace, attempt))
    await place.driver.remove(handles[1])
    assert left(namespace, attempt) == []


async def test_a_pod_that_somebody_deletes_is_not_replaced(
    place: Place, namespace: Cluster
) -> None:
    plan = place.plan(entrypoint=RUNS_LONG)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    told_of = f"{pods.NODE_LABEL}={plan.node_id}"
    first = namespace.find("pods", "-l", told_of)[0]["metadata"]["uid"]
    namespace.kubectl("delete", "pods", "-l", told_of, "--grace-period=1", "--wait=false")
    await become(place.driver, handle, NodeState.TAKEN)
    for driver in (place.driver, place.restarted()):
        assert (await driver.observe([handle]))[handle].state is NodeState.TAKEN
        with pytest.raises(NodeTaken):
            await driver.launch(plan)
    assert place.reports.lines(plan.node_id).count("running") == 1
    claim = namespace.get("lease", pods.object_name(plan.node_id))
    assert claim["spec"]["holderIdentity"] == first
    await place.driver.remove(handle)


async def test_a_node_that_was_removed_before_its_launch_leaves_nothing_but_its_claim(
    place: Place, namespace: Cluster
) -> None:
    plan = place.plan()
    handle = await place.driver.find(plan.node_id)
    await place.driver.remove(handle)
    with pytest.raises(NodeTaken):
        await place.restarted().launch(plan)
    assert left(namespace, plan.node_id.rpartition(".")[0]) == []
    claim = namespace.get("lease", pods.object_name(plan.node_id))
    assert claim["spec"]["holderIdentity"] == pods.REMOVED


TOO_MUCH = Resources(cpus=1000, memory=1 << 30)


async def test_a_node_without_room_says_so_and_is_hopeless_once_it_is_to_stop(
    place: Place,
) -> None:
    plan = place.plan(resources=TOO_MUCH)
    handle = await place.driver.launch(plan)
    found = await says(place.driver, handle, "the cluster has no room for it")
    assert found.state is NodeState.LIVES
    assert "Insufficient cpu" in found.says
    await place.driver.stop(handle)
    await become(place.driver, handle, NodeState.HOPELESS)
    with pytest.raises(NodeTaken):
        await place.restarted().launch(plan)
    await place.driver.remove(handle)


async def test_a_node_without_room_is_taken_by_the_first_word_of_a_notice(place: Place) -> None:
    plan = place.plan(resources=TOO_MUCH)
    handle = await place.driver.launch(plan)
    await says(place.driver, handle, "the cluster has no room for it")
    await place.driver.interrupt(handle, notice=3600.0, reason="a drill")
    await become(place.driver, handle, NodeState.TAKEN)
    assert (await place.driver.observe([handle]))[handle].says == "a drill"
    await place.driver.remove(handle)


async def test_an_image_that_is_nowhere_is_hopeless_in_time(place: Place, drivers: Drivers) -> None:
    nowhere = "trainshed-test/nothing:here"
    hurried = drivers.driver(agent_image=nowhere, image_seconds=3)
    handle = await hurried.launch(place.plan())
    trouble = f"the agent's '{nowhere}' cannot be pulled"
    await says(hurried, handle, trouble)
    found = await says(hurried, handle, f"InternalServerError: {trouble}")
    assert found.state is NodeState.HOPELESS
    await hurried.remove(handle)


async def test_a_quota_has_jobs_wait(place: Place, namespace: Cluster) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    namespace.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    plan = place.plan()
    try:
        handle = await place.driver.launch(plan)
        found = await says(place.driver, handle, "the namespace's quota has no room")
        assert found.state is NodeState.LIVES
        await place.driver.remove(handle)
    finally:
        namespace.kubectl("delete", "resourcequota", "few")


async def test_an_account_that_is_not_there_is_named(place: Place, drivers: Drivers) -> None:
    driver = drivers.driver(service_account="nobody")
    handle = await driver.launch(place.plan())
    await says(driver, handle, 'serviceaccount "nobody" not found')
    await driver.remove(handle)


async def test_a_deadline_is_kept_by_whoever_is_there(place: Place) -> None:
    plan = place.plan(entrypoint=DEAF, grace=3600.0)
    handle = await place.driver.launch(plan)
    await said(place, plan, "running")
    await place.driver.interrupt(handle, notice=2.0, reason="a drill")
    place.driver.close()
    other = place.restarted()
    await become(other, handle, NodeState.TAKEN)
    await other.remove(handle)


async def test_a_namespace_that_is_not_there_fails_jobs_with_its_name(
    place: Place, drivers: Drivers
) -> None:
    driver, plan = drivers.driver(namespace="no-such-place"), place.plan()
    with pytest.raises(DriverError, match="is there a namespace no-such-place") as refused:
        await driver.launch(plan)
    assert not isinstance(refused.value, NoCapacity)
    await driver.remove(await driver.find(plan.node_id))


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12])
async def test_a_launch_that_broke_off_anywhere_leaves_nothing_that_removing_does_not_find(
    place: Place, node: Callable[..., NodePlan], namespace: Cluster, seconds: float
) -> None:
    plan = node("algo-1", resources=TOO_MUCH, isolated=True)
    await place.driver.stop(await place.driver.find(plan.node_id))  # to be connected
    launching = asyncio.ensure_future(place.driver.launch(plan))
    await asyncio.wait([launching], timeout=seconds)
    launching.cancel()
    other = place.restarted()
    handle = await other.find(plan.node_id)
    await other.remove(handle)
    await asyncio.wait([launching])
    assert left(namespace, plan.node_id.rpartition(".")[0]) == []
    with pytest.raises(NodeTaken):
        await other.launch(plan)


async def test_launching_and_removing_at_once_leaves_nothing(
    place: Place, node: Callable[..., NodePlan], namespace: Cluster
) -> None:
    other = place.restarted()
    for number in range(8):
        plan = node(f"algo-{number}", resources=TOO_MUCH)
        handle = await other.find(plan.node_id)
        launched, removed = await asyncio.gather(
            place.driver.launch(plan), other.remove(handle), return_exceptions=True
        )
        assert launched == handle or isinstance(launched, NodeTaken)
        assert removed is None
        with pytest.raises(NodeTaken):
            await place.driver.launch(plan)
    job = f"{pods.BACKEND_LABEL}={BACKEND},{pods.ATTEMPT_LABEL}={plan.node_id.rpartition('.')[0]}"
    found = namespace.kubectl("get", "jobs,pods,secrets", "-l", job, "-o", "name").lines
    assert found == []


async def test_removed_nodes_are_forgotten_after_a_day(
    place: Place, drivers: Drivers, namespace: Cluster
) -> None:
    later = [now()]
    driver = drivers.driver(clock=lambda: later[0])
    old, plan = place.plan(node_id=".1.algo-9"), place.plan(resources=TOO_MUCH)
    await driver.remove(await driver.find(old.node_id))
    for days, known in ((0.5, True), (1.5, False)):
        later[0] = now() + timedelta(days=days)
        await says(driver, await driver.launch(plan), "no room")
        found = namespace.kubectl("get", "leases", "-o", "name").out
        assert (pods.object_name(old.node_id) in found) is known
    await driver.remove(await driver.find(plan.node_id))


async def test_a_file_system_is_a_channel(
    place: Place, drivers: Drivers, namespace: Cluster
) -> None:
    name = namespace.namespace
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany"],
                "storageClassName": name,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": "/usr/share/common-licenses"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "shared"},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": name,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    )
    channel = {
        "ChannelName": "train",
        "DataSource": {
            "FileSystemDataSource": {
                "FileSystemId": "fs-1",
                "FileSystemType": "EFS",
                "DirectoryPath": "/",
                "FileSystemAccessMode": "ro",
            }
        },
    }
    driver = drivers.driver(file_systems={"fs-1": "pvc://shared"})
    read = (
        "/bin/sh",
        "-c",
        "ls /opt/ml/input/data/train; touch /opt/ml/input/data/train/x 2>/dev/null || echo ro",
    )
    plan = place.plan(channels=(channel,), entrypoint=read)
    try:
        handle = await driver.launch(plan)
        await told(place, plan, Kind.ENDED)
        assert "Apache-2.0" in place.reports.lines(plan.node_id)
        assert place.reports.lines(plan.node_id)[-1] == "ro"
        await driver.remove(handle)
    finally:
        namespace.kubectl("delete", "pv", name, "--wait=false")
