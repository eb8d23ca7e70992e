"""The Kubernetes driver on a real cluster, held to the promise of all drivers."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.places import Drivers, drivers_on, place_of, reports_at

from trainshed.domain.facts import Kind
from trainshed.testing.driver_suite import DriverSuite, Place, told
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


class TestKubernetesDriver(DriverSuite):
    """The promise, kept; but that nothing outlives a pod for the next one of a warm pool."""

    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place

    async def test_nodes_of_a_warm_pool_share_a_folder_until_it_is_released(
        self, place: Place
    ) -> None:
        show = ("/bin/sh", "-c", "echo cache: $SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY")
        plan = place.plan(entrypoint=show, warm_pool="a.1")
        handle = await place.driver.launch(plan)
        await told(place, plan, Kind.ENDED)
        lines = place.reports.lines(plan.node_id)
        assert any("no folder is kept between jobs" in line for line in lines)
        assert lines[-1] == "cache:"
        await place.driver.remove(handle)
        await place.driver.release_pool("a.1")
