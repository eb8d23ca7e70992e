"""What tests of the plugin share: an API server with memory, and a cluster that asks it."""

from collections.abc import Iterator

import pytest

from trainshed.operator.smlogs import kubeconfig
from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.words import Typed
from trainshed.testing.api_server import ApiServer, serving


@pytest.fixture(scope="module")
def listening() -> Iterator[ApiServer]:
    with serving(ApiServer()) as found:
        yield found


@pytest.fixture
def api(listening: ApiServer) -> ApiServer:
    fresh = ApiServer(kinds=["trainingjobs", "batchtransformjobs"], url=listening.url)
    listening.__dict__.update(fresh.__dict__)
    return listening


@pytest.fixture
def cluster(api: ApiServer) -> Iterator[Cluster]:
    found = Cluster(kubeconfig.find(Typed(server=api.url, namespace="lab"), {}))
    yield found
    found.close()
