"""Nodes of a Kubernetes cluster: each one a Job with a pod, and the agent in that pod.

The cluster remembers everything: a server that was killed finds its nodes by their labels, what it
has asked of them in annotations of their claims, and what it has removed by the claims that it
leaves. ``manifests`` says what is made, ``sight`` how what is there is understood.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from trainshed.domain.errors import DriverError
from trainshed.domain.notice import Notice
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, Sight
from trainshed.drivers.kubernetes.cluster import Cluster
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.place import Place

_FORGET_EVERY: Final = timedelta(hours=1)
"""How often the claims of nodes that were removed long ago are looked for."""

log = logging.getLogger(__name__)


class KubernetesDriver:
    """Starts agents in pods of a cluster."""

    def __init__(
        self,
        *,
        name: str,
        options: KubernetesBackend,
        clock: Callable[[], datetime],
    ) -> None:
        """Ask the cluster nothing yet.

        Args:
            name: the backend's.
            options: what was configured.
            clock: returns the time.
        """
        self._name = name
        self._options = options
        self._clock = clock
        self._capabilities = options.capabilities()
        self._cluster = Cluster(
            kubeconfig=options.kubeconfig, context=options.context, namespace=options.namespace
        )
        self._places: dict[str, Place] = {}
        """By namespace: nodes stay where they are when the settings name another one."""
        self._hints: set[Handle] = set()
        self._hinted = asyncio.Event()
        self._forgot = clock()
        self._holding: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What was configured."""
        return self._capabilities

    def get_ready(self) -> None:
        """Begin to watch; a cluster that can't be reached now is watched once it can."""
        try:
            self._here()
        except DriverError as error:
            log.warning("the backend '%s' has no cluster yet: %s", self._name, error)

    def close(self) -> None:
        """Let go of the watches; nodes live on, and other servers see to their deadlines."""
        for place in self._places.values():
            place.close()
        if self._holding is not None:
            self._holding.cancel()

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the plan's pod; see ``drivers.base``.

        The order is what counts: the claim, what the pod needs, the Job, and the claim again. A
        removal that comes in between marks the claim first, so either we see that and take back
        what we made, or the pod does, and ends.
        """
        place = self._here()
        await self._forget_now_and_then(place)
        place.forget(plan.node_id)
        await place.nodes.launch(plan)
        return self._handle(place, plan.node_id)

    async def find(self, node_id: str) -> Handle:
        """Return the handle that a node has, or would have."""
        return self._handle(self._here(), node_id)

    async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, Sight]:
        """Return what is seen of nodes; see ``drivers.base``."""
        places = {handle: self._of(handle) for handle in handles}
        for place in {id(place): place for place, _ in places.values()}.values():
            await place.view.ready()
        return {handle: await place.seen(node_id) for handle, (place, node_id) in places.items()}

    async def changed(self) -> frozenset[Handle]:
        """Wait until what is seen of a node is something else."""
        await self._hinted.wait()
        self._hinted.clear()
        hints, self._hints = frozenset(self._hints), set()
        return hints

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Note the wish on the claim, and tell the pod if there is one; see ``drivers.base``."""
        place, node_id = self._of(handle)
        await place.nodes.wish(node_id, stop="2" if at_once else "1")

    async def interrupt(self, handle: Handle, *, notice: float | None, reason: str) -> None:
        """Give the node word, or take it away at once; see ``drivers.base``."""
        place, node_id = self._of(handle)
        now = self._clock().timestamp()
        if notice is not None and notice <= 0:
            await place.nodes.take(node_id, Notice(at=now, deadline=now, reason=reason))
            return
        deadline = 0.0 if notice is None else now + notice
        await place.nodes.wish(node_id, notice=Notice(at=now, deadline=deadline, reason=reason))

    async def remove(self, handle: Handle) -> None:
        """Mark the claim for ever, then delete all else; see ``drivers.base``."""
        place, node_id = self._of(handle)
        place.forget(node_id)
        await place.nodes.remove(node_id)

    async def release_pool(self, pool: str) -> None:
        """Delete nothing: no folder is kept between nodes here, as their logs say."""

    def _here(self) -> Place:
        """Return the place where new nodes are made; raise ``Away`` when none can be known."""
        return self._place(self._cluster.namespace())

    def _of(self, handle: Handle) -> tuple[Place, str]:
        namespace, _, node_id = handle.state.partition("/")
        return self._place(namespace), node_id

    def _place(self, namespace: str) -> Place:
        if self._holding is None:
            self._holding = asyncio.get_running_loop().create_task(self._hold())
        if namespace not in self._places:
            self._places[namespace] = Place(
                cluster=self._cluster,
                namespace=namespace,
                backend=self._name,
                options=self._options,
                clock=self._clock,
                hint=functools.partial(self._hint, namespace),
            )
        return self._places[namespace]

    async def _hold(self) -> None:
        """Have connections until cancelled; close them behind the last who uses them."""
        try:
            await asyncio.Event().wait()
        finally:
            for place in self._places.values():
                await place.closed()
            await self._cluster.close()

    def _handle(self, place: Place, node_id: str) -> Handle:
        return Handle(self._name, f"{place.view.namespace}/{node_id}")

    def _hint(self, namespace: str, node_id: str) -> None:
        self._hints.add(Handle(self._name, f"{namespace}/{node_id}"))
        self._hinted.set()

    async def _forget_now_and_then(self, place: Place) -> None:
        if self._clock() - self._forgot >= _FORGET_EVERY:
            self._forgot = self._clock()
            try:
                await place.nodes.forget_removed()
            except DriverError as error:
                log.warning("claims of nodes that were removed are left for now: %s", error)
