"""What is done to nodes of one namespace: make them, tell them, end them.

Every act may be cut off at any line and be done again, by this server or by another one.
"""

import asyncio
import contextlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from lightkube.core.resource import NamespacedResource
from lightkube.resources.batch_v1 import Job
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Pod, Secret, Service
from lightkube.resources.networking_v1 import NetworkPolicy

from trainshed.domain import pods as names
from trainshed.domain.errors import DriverError, NodeTaken
from trainshed.domain.notice import Notice
from trainshed.domain.plan import NodePlan
from trainshed.drivers.kubernetes import manifests
from trainshed.drivers.kubernetes.cluster import Cluster, Conflict, Refused
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.sight import (
    OVER,
    Traces,
    annotation,
    holder_of,
    is_silent,
    notice_of,
    phase,
    uid,
)
from trainshed.drivers.kubernetes.view import View

_KUEUE: Final = "kueue.x-k8s.io"
_TOLD: Final = (names.STOP_ANNOTATION, names.NOTICE_ANNOTATION)
"""What is asked of a node, on its claim and on its pod."""
_END_S: Final = 30.0
"""How long to wait for pods that were deleted; a kubelet kills what runs within seconds."""
_QUIET_S: Final = 5.0
"""How long to wait for word of them before asking."""
_GRACE_S: Final = 1
"""The least with which a kubelet still says that all has ended. With 0 the pod is only forgotten,
and its containers go on for as long as they please."""
_WAS: Final = "trainshed.dev/was"
"""On the claim of a node that was removed: the uid of the pod that held it; "" for none. No other
pod of its Job ever was the node, or can be: its first container ends at once."""
_KEEP_REMOVED: Final = timedelta(days=1)
"""How late a launch of a node that was removed may come, and be refused."""

_Thing = TypeVar("_Thing", bound=NamespacedResource)

log = logging.getLogger(__name__)


class Nodes:
    """The nodes of one backend in one namespace."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        view: View,
        backend: str,
        options: KubernetesBackend,
        clock: Callable[[], datetime],
    ) -> None:
        """Do nothing yet; see ``KubernetesDriver``."""
        self._cluster = cluster
        self._view = view
        self._backend = backend
        self._options = options
        self._clock = clock
        self._ending: Counter[str] = Counter()
        """Nodes whose pods are being ended, and how often at once."""

    async def launch(self, plan: NodePlan) -> None:
        """Make all that a node is made of; what is there already stays.

        Raises:
            NodeTaken: it was removed, or its pod is gone.
            NoCapacity: a quota has no room, or the cluster is away.
            DriverError: the cluster refuses it.
        """
        told = manifests.labels(plan, self._backend)
        claim = await self._claim(plan.node_id, told)
        if holder_of(claim):
            await self._see_that_it_runs(plan.node_id, claim)
            return
        plan = manifests.noted(plan, self._options)
        made = (
            manifests.service(plan, self._backend, claim),
            manifests.policy(plan, self._backend, self._options, claim),
            manifests.secret(plan, self._backend, self._options, claim),
        )
        for thing in made:
            if thing is not None:
                await self._make(thing)
        job = manifests.job(plan, self._backend, self._options, claim, self._view.namespace)
        if self._options.queue and await self._cluster.has_group(_KUEUE):
            job = manifests.queued(job, self._options.queue)
        if (begun := await self._make(job)) is not None:
            self._view.take(begun)
        claim = await self._get_claim(plan.node_id) or Lease()
        if holder_of(claim) == names.REMOVED or claim.metadata is None:
            await self._clear(plan.node_id)
            raise _taken(plan.node_id)

    async def wish(self, node_id: str, *, stop: str = "", notice: Notice | None = None) -> None:
        """Ask something of a node: on its claim, where it stays, and on its pod, if there is one.

        What is asked already is not taken back: neither a hurry, nor a sooner deadline.
        """
        claim = await self._get_claim(node_id)
        if claim is None or holder_of(claim) == names.REMOVED:
            return
        change: dict[str, str] = {}
        if stop > annotation(claim, names.STOP_ANNOTATION):
            change[names.STOP_ANNOTATION] = stop
        if notice is not None and notice.replaces(notice_of(claim)):
            change[names.NOTICE_ANNOTATION] = _written(notice)
        if change:
            await self._note_claim(node_id, {"metadata": {"annotations": change}})
        await self.tell(node_id)

    async def tell(self, node_id: str) -> None:
        """Have a node's pods know what stands on its claim."""
        claim = await self._get_claim(node_id)
        wanted = _asked(claim)
        for pod in await self._pods(node_id):
            if phase(pod) not in OVER and _differs(pod, wanted):
                await self._cluster.patch(
                    Pod,
                    _name(pod),
                    {"metadata": {"annotations": wanted}},
                    self._view.namespace,
                )

    async def take(self, node_id: str, notice: Notice) -> None:
        """Take a node away now, and all that is on it, without a word to its agent.

        Raises:
            DriverError: something is still there; the same call may do it later.
        """
        change = {names.NOTICE_ANNOTATION: _written(notice), names.STOP_ANNOTATION: names.TAKEN}
        if await self._mark(node_id, change):
            await self.end(node_id)

    async def end_waiting(self, node_id: str) -> None:
        """End a node that waits, unless its pod begins this moment: then that will hear of it."""
        if await self._mark(node_id, {}, only_waiting=True):
            await self.end(node_id)

    async def end(self, node_id: str) -> None:
        """End the pods of a node that is marked as removed; see ``take``."""
        self._ending[node_id] += 1
        try:
            await self.tell(node_id)
            await self._cluster.delete(Job, names.object_name(node_id), self._view.namespace)
            await self._end_pods(node_id)
        finally:
            self._ending -= Counter([node_id])

    def is_ending(self, node_id: str) -> bool:
        """Tell whether somebody in this process ends a node."""
        return self._ending[node_id] > 0

    async def remove(self, node_id: str) -> None:
        """Remove all of a node but its claim, which says for ever that it was removed.

        Raises:
            DriverError: something is still there; the same call may do it later.
        """
        while not await self._mark(node_id, {names.STOP_ANNOTATION: names.TAKEN}):
            stone = manifests.tombstone(node_id, self._backend, self._clock())
            try:
                if (made := await self._make(stone)) is not None:
                    self._view.take(made)
            except Refused as error:
                # Such as a namespace that is gone: where no claim can be made, no node can.
                log.warning("the node %s is removed without a trace: %s", node_id, error)
                break
        await self._clear(node_id)

    async def forget_removed(self) -> None:
        """Delete the claims of nodes that were removed long ago, and what they own with them."""
        long_ago = self._clock() - _KEEP_REMOVED
        for node_id in self._view.nodes():
            claim = self._view.traces(node_id).claim
            renewed = claim.spec.renewTime if claim is not None and claim.spec else None
            if holder_of(claim) == names.REMOVED and renewed is not None and renewed < long_ago:
                await self._cluster.delete(Lease, names.object_name(node_id), self._view.namespace)

    async def _claim(self, node_id: str, told: Mapping[str, str]) -> Lease:
        """Return a node's claim, made now or before.

        Raises:
            NodeTaken: it says that the node was removed.
        """
        claim = await self._make(manifests.claim(node_id, told)) or await self._get_claim(node_id)
        if claim is None or holder_of(claim) == names.REMOVED:
            raise _taken(node_id)
        self._view.take(claim)
        return claim

    async def _see_that_it_runs(self, node_id: str, claim: Lease) -> None:
        """Raise ``NodeTaken`` unless the pod that holds the claim is there."""
        holder = holder_of(claim)
        if not any(uid(pod) == holder and phase(pod) not in OVER
                   for pod in await self._pods(node_id)):  # fmt: skip
            raise _taken(node_id)

    async def _mark(
        self, node_id: str, annotations: Mapping[str, str], *, only_waiting: bool = False
    ) -> bool:
        """Mark a claim as removed, for ever; return whether it is, now or before.

        It is not where there is none, or where a pod holds it that was to wait (``only_waiting``).
        What is written is written over the version that was read: so who held it is known.
        """
        while True:
            claim = await self._get_claim(node_id)
            if claim is None or claim.metadata is None:
                return False
            holder = holder_of(claim)
            if holder == names.REMOVED:
                return True
            if holder and only_waiting:
                return False
            change = {
                "metadata": {
                    "annotations": {**annotations, _WAS: holder},
                    "resourceVersion": claim.metadata.resourceVersion,
                },
                "spec": {
                    "holderIdentity": names.REMOVED,
                    "renewTime": manifests.moment(self._clock()).isoformat(),
                },
            }
            with contextlib.suppress(Conflict):
                await self._note_claim(node_id, change)
                return True

    async def _note_claim(self, node_id: str, change: Mapping[str, Any]) -> None:
        name = names.object_name(node_id)
        claim = await self._cluster.patch(Lease, name, change, self._view.namespace)
        if claim is not None:
            self._view.take(claim)

    async def _clear(self, node_id: str) -> None:
        """Delete all but the claim; what the whole attempt has, with the last of its nodes."""
        await self.end(node_id)
        namespace = self._view.namespace
        await self._cluster.delete(Secret, names.object_name(node_id), namespace)
        attempt = node_id.rpartition(".")[0]
        others, _ = await self._cluster.list(Job, namespace, {names.ATTEMPT_LABEL: attempt})
        if not others:
            for kind in (Service, NetworkPolicy):
                await self._cluster.delete(kind, names.service_name(attempt), namespace)

    async def _end_pods(self, node_id: str) -> None:
        """Return once a node has no pod any more."""
        try:
            async with asyncio.timeout(_END_S):
                while left := await self._delete_pods(node_id):
                    await self._view.wait_for(node_id, left, _QUIET_S)
        except TimeoutError as error:
            if there := ", ".join(map(_name, await self._pods(node_id))):
                raise DriverError(f"the cluster has not ended {there} yet") from error

    async def _delete_pods(self, node_id: str) -> frozenset[str]:
        """Delete a node's pods; return the uids of those of which something may still run."""
        left, now = set(), self._clock()
        was = annotation(await self._get_claim(node_id), _WAS)
        for pod in await self._pods(node_id):
            is_over = phase(pod) in OVER or is_silent(pod, now) or uid(pod) != was
            grace = 0 if is_over else _GRACE_S
            given = pod.metadata.deletionGracePeriodSeconds if pod.metadata else None
            if given is None or given > grace:
                await self._cluster.delete(Pod, _name(pod), self._view.namespace, grace=grace)
            if not is_over:
                left.add(uid(pod))
        self._view.keep(node_id, left)
        return frozenset(left)

    async def _pods(self, node_id: str) -> list[Pod]:
        """Return a node's pods as the cluster itself says."""
        found, _ = await self._cluster.list(Pod, self._view.namespace, {names.NODE_LABEL: node_id})
        return found

    async def _get_claim(self, node_id: str) -> Lease | None:
        return await self._cluster.get(Lease, names.object_name(node_id), self._view.namespace)

    async def _make(self, thing: _Thing) -> _Thing | None:
        return await self._cluster.create(thing, self._view.namespace)


def is_untold(traces: Traces) -> bool:
    """Tell whether a living pod does not bear what stands on the claim."""
    wanted = _asked(traces.claim)
    return any(phase(pod) not in OVER and _differs(pod, wanted) for pod in traces.pods)


def _asked(claim: Lease | None) -> dict[str, str]:
    every = {name: annotation(claim, name) for name in _TOLD}
    return {name: text for name, text in every.items() if text}


def _differs(pod: Pod, wanted: Mapping[str, str]) -> bool:
    return any(annotation(pod, name) != text for name, text in wanted.items())


def _written(notice: Notice) -> str:
    return json.dumps(asdict(notice))


def _name(pod: Pod) -> str:
    return (pod.metadata.name or "") if pod.metadata else ""


def _taken(node_id: str) -> NodeTaken:
    return NodeTaken(f"the node {node_id} was taken away or removed, and never comes back")
