"""Drivers on one namespace of a cluster, and the reports of their nodes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.kubernetes import images
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shed import allow_nodes

from trainshed.app.clock import now
from trainshed.domain.plan import NodePlan
from trainshed.drivers.kubernetes.driver import KubernetesDriver
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.testing.driver_suite import Place
from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

BACKEND = "cluster"


@dataclass
class Drivers:
    """Drivers on one namespace; none is left watching."""

    options: KubernetesBackend
    made: list[KubernetesDriver] = field(default_factory=list)

    def driver(self, clock: Callable[[], datetime] = now, **changes: Any) -> KubernetesDriver:
        """Return another one; ``changes``: of its options."""
        options = replace(self.options, **changes)
        driver = KubernetesDriver(name=BACKEND, options=options, clock=clock)
        self.made.append(driver)
        return driver


@contextmanager
def reports_at(host: str) -> Iterator[Reports]:
    """Yield what takes reports at an address of this machine."""
    found = Reports(host=host)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@asynccontextmanager
async def drivers_on(namespace: Cluster, reports: Reports) -> AsyncIterator[Drivers]:
    """Yield what makes drivers; none of them is at work any more then."""
    allow_nodes(namespace)
    options = KubernetesBackend(
        server_url=reports.url,
        agent_image=images.PRODUCT,
        agent_pull="never",
        pull="never",
        kubeconfig=namespace.kubeconfig,
        namespace=namespace.namespace,
    )
    found = Drivers(options)
    try:
        yield found
    finally:
        for driver in found.made:
            driver.close()
        if at_work := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(at_work, timeout=10)


def place_of(drivers: Drivers, reports: Reports, test: str) -> Place:
    """Return a place whose nodes are those of one test alone."""
    job = f"{hash(test) & 0xFFFFFFFF:08x}"

    def plan(**changes: object) -> NodePlan:
        told: dict[str, Any] = {"image": images.PYTHON, "runtime": "sibling", **changes}
        told["node_id"] = f"{job}{told.get('node_id', '.1.algo-1')}"
        return node_plan(Path("/data"), server_url=reports.url, token=reports.token, **told)

    return Place(driver=drivers.driver(), restarted=drivers.driver, reports=reports, plan=plan)
