"""What a namespace has of our nodes, kept up to date by watches: nothing is asked again and again.

A view may be late, never wrong for long: who concludes something from what is not there asks the
cluster itself (``Look.is_certain``). What this process wrote is in it at once.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lightkube.core.resource import NamespacedResource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Event, Pod

from trainshed.domain import pods as names
from trainshed.domain.errors import DriverError
from trainshed.drivers.kubernetes.cluster import Away, Cluster, Expired, Refused
from trainshed.drivers.kubernetes.sight import OVER, Traces, phase, uid, what_became

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 15.0
_READY_S: Final = 10.0
"""How long to wait for the first lists."""
_OURS: Final = "ts-"

_Thing = TypeVar("_Thing", bound=NamespacedResource)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Node:
    """All that is known of one node."""

    claim: Lease | None = None
    job: Job | None = None
    pods: dict[str, Pod] = field(default_factory=dict)
    """By uid."""
    lost: str = ""


class View:
    """The nodes of one backend in one namespace."""

    def __init__(
        self, cluster: Cluster, namespace: str, backend: str, note: Callable[[str], None]
    ) -> None:
        """Know nothing until ``follow``.

        Args:
            cluster: where to look.
            namespace: of what.
            backend: whose nodes.
            note: called with the id of each node of which something has changed.
        """
        self.namespace = namespace
        self._cluster = cluster
        self._labels = {names.BACKEND_LABEL: backend}
        self._note = note
        self._nodes: dict[str, _Node] = {}
        self._events: dict[str, dict[str, Event]] = {}
        """By uid of what they are about, by their own."""
        self._about: dict[str, str] = {}
        """The node's id by the uid of its Job or pod."""
        self._heard: dict[str, asyncio.Event] = {
            kind.__name__: asyncio.Event() for kind in (Lease, Job, Pod)
        }
        """Whether the cluster has answered for the first time, and be it with an error."""
        self._trouble: dict[str, DriverError] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        """Who waits for a change of a node."""

    async def follow(self) -> None:
        """Keep up with the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(Lease, self._take_claim, self._drop_claim))
            group.create_task(self._follow(Job, self._take_job, self._drop_job))
            group.create_task(self._follow(Pod, self._take_pod, self._drop_pod))
            group.create_task(self._follow(Event, self._take_event, self._drop_event))

    async def ready(self) -> None:
        """Return once the cluster has told of all nodes.

        Raises:
            DriverError: it does not, or the watches have broken off since.
        """
        try:
            async with asyncio.timeout(_READY_S):
                for heard in self._heard.values():
                    await heard.wait()
        except TimeoutError as error:
            raise Away("the cluster takes its time to list our nodes") from error
        for kind in self._heard:
            if (trouble := self._trouble.get(kind)) is not None:
                raise trouble

    def nodes(self) -> Iterable[str]:
        """Return the ids of all nodes of which there is something."""
        return tuple(self._nodes)

    def traces(self, node_id: str) -> Traces:
        """Return what is known of a node."""
        node = self._nodes.get(node_id)
        if node is None:
            return Traces()
        return Traces(
            claim=node.claim,
            job=node.job,
            pods=tuple(sorted(node.pods.values(), key=_created)),
            events=self._told(node),
            lost=node.lost,
        )

    def take(self, thing: Lease | Job) -> None:
        """Know at once of what this process has written."""
        if isinstance(thing, Lease):
            self._take_claim(thing)
        else:
            self._take_job(thing)

    def keep(self, node_id: str, pods: Collection[str]) -> None:
        """Know that of a node's pods there are these at most, as the cluster itself says."""
        node = self._nodes.get(node_id)
        for each in [] if node is None else set(node.pods) - set(pods):
            self._lose(self._nodes[node_id], each)

    async def wait_for(self, node_id: str, pods: Collection[str], seconds: float) -> None:
        """Return once one of a node's pods is gone, or after so many seconds."""
        gone = asyncio.Event()
        self._waiting.setdefault(node_id, set()).add(gone)
        try:
            async with asyncio.timeout(seconds):
                while set(pods) <= set(self._nodes.get(node_id, _Node()).pods):
                    await gone.wait()
                    gone.clear()
        except TimeoutError:
            pass
        finally:
            self._waiting[node_id].discard(gone)
            if not self._waiting[node_id]:
                del self._waiting[node_id]

    async def refresh(self, node_id: str) -> Traces:
        """Return what there is of a node, as the cluster itself says now.

        In this order: a pod is there before it is a claim's holder.
        """
        name = names.object_name(node_id)
        claim = await self._cluster.get(Lease, name, self.namespace)
        job = await self._cluster.get(Job, name, self.namespace)
        found, _ = await self._cluster.list(Pod, self.namespace, {names.NODE_LABEL: node_id})
        node = self._nodes.setdefault(node_id, _Node())
        node.claim, node.job = claim, job
        for each in set(node.pods) - {uid(pod) for pod in found}:
            self._lose(node, each)
        for pod in found:
            self._take_pod(pod)
        if claim is None and job is None and not found:
            del self._nodes[node_id]
            return Traces(lost=node.lost)
        return self.traces(node_id)

    async def _follow(
        self,
        kind: type[_Thing],
        take: Callable[[_Thing], None],
        drop: Callable[[_Thing], None],
    ) -> None:
        """Keep up with one kind of objects, whatever breaks off."""
        name, pause = kind.__name__, _FIRST_PAUSE_S
        labels = None if kind is Event else self._labels
        while True:
            try:
                version = await self._list(kind, labels, take, drop)
                self._trouble.pop(name, None)
                self._note_heard(name)
                pause = _FIRST_PAUSE_S
                async for change, thing in self._cluster.watch(
                    kind, self.namespace, labels, version
                ):
                    if change == "DELETED":
                        drop(thing)
                    elif change in {"ADDED", "MODIFIED"}:
                        take(thing)
            except Expired:
                continue
            except DriverError as error:
                if kind is Event and isinstance(error, Refused):
                    log.warning("why nodes wait is told less well: %s", error)
                    return
                if name not in self._trouble:
                    log.warning("nodes can't be watched for now: %s", error)
                self._trouble[name] = error
                self._note_heard(name)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _list(
        self,
        kind: type[_Thing],
        labels: dict[str, str] | None,
        take: Callable[[_Thing], None],
        drop: Callable[[_Thing], None],
    ) -> str:
        before = self._known(kind)
        found, version = await self._cluster.list(kind, self.namespace, labels)
        there = {_metadata(each).uid for each in found}
        for thing in found:
            take(thing)
        for known in before:
            if _metadata(known).uid not in there:
                drop(known)
        return version

    def _note_heard(self, kind: str) -> None:
        if (heard := self._heard.get(kind)) is not None:
            heard.set()

    def _known(self, kind: type[_Thing]) -> list[_Thing]:
        """Return what is known of a kind before it is listed; what comes meanwhile stays."""
        every: list[object] = [each for told in self._events.values() for each in told.values()]
        for node in self._nodes.values():
            every += [node.claim, node.job, *node.pods.values()]
        return [each for each in every if isinstance(each, kind)]

    def _take_claim(self, claim: Lease) -> None:
        if node := self._of(claim):
            if not _is_older(claim, node.claim):
                node.claim = claim
            self._changed(claim)

    def _drop_claim(self, claim: Lease) -> None:
        node = self._of(claim)
        if node and node.claim is not None and _same(node.claim, claim):
            node.claim = None
        self._changed(claim)

    def _take_job(self, job: Job) -> None:
        if node := self._of(job):
            if not _is_older(job, node.job):
                node.job = job
            self._about[_metadata(job).uid or ""] = _node_of(job)
            self._changed(job)

    def _drop_job(self, job: Job) -> None:
        node = self._of(job)
        if node and node.job is not None and _same(node.job, job):
            node.job = None
        self._about.pop(_metadata(job).uid or "", None)
        self._changed(job)

    def _take_pod(self, pod: Pod) -> None:
        if node := self._of(pod):
            if not _is_older(pod, node.pods.get(uid(pod))):
                node.pods[uid(pod)] = pod
            self._about[uid(pod)] = _node_of(pod)
            self._changed(pod)

    def _drop_pod(self, pod: Pod) -> None:
        if node := self._of(pod):
            node.pods[uid(pod)] = pod  # as it was last
            self._lose(node, uid(pod))
        self._changed(pod)

    def _take_event(self, event: Event) -> None:
        about = event.involvedObject
        if about.kind in {"Pod", "Job"} and (about.name or "").startswith(_OURS):
            told = self._events.setdefault(about.uid or "", {})
            told[event.metadata.uid or ""] = event
            if node_id := self._about.get(about.uid or ""):
                self._note(node_id)

    def _drop_event(self, event: Event) -> None:
        about = event.involvedObject.uid or ""
        if (told := self._events.get(about)) is not None:
            told.pop(event.metadata.uid or "", None)
            if not told:
                del self._events[about]

    def _lose(self, node: _Node, pod_uid: str) -> None:
        """Forget a pod that is gone, but for what became of it."""
        pod = node.pods.pop(pod_uid, None)
        self._about.pop(pod_uid, None)
        if pod is not None and phase(pod) not in OVER and (why := what_became(pod)):
            node.lost = why
        for waiting in self._waiting.get(_node_of(pod), ()):
            waiting.set()

    def _told(self, node: _Node) -> tuple[Event, ...]:
        about = [*node.pods, _metadata(node.job).uid or ""]
        every = [each for one in about for each in self._events.get(one, {}).values()]
        return tuple(sorted(every, key=_when))

    def _of(self, thing: NamespacedResource) -> _Node | None:
        node_id = _node_of(thing)
        return self._nodes.setdefault(node_id, _Node()) if node_id else None

    def _changed(self, thing: NamespacedResource) -> None:
        node_id = _node_of(thing)
        node = self._nodes.get(node_id)
        if node is not None and node.claim is None and node.job is None and not node.pods:
            del self._nodes[node_id]
        if node_id:
            self._note(node_id)


def _metadata(thing: object) -> ObjectMeta:
    found = getattr(thing, "metadata", None)
    return found if isinstance(found, ObjectMeta) else ObjectMeta()


def _node_of(thing: object) -> str:
    return str((_metadata(thing).labels or {}).get(names.NODE_LABEL, ""))


def _same(one: object, other: object) -> bool:
    return _metadata(one).uid == _metadata(other).uid


def _is_older(thing: object, known: object) -> bool:
    """Tell whether a version of an object comes after a later one: watches and answers differ."""
    if known is None or not _same(thing, known):
        return False
    mine, theirs = _metadata(thing).resourceVersion or "", _metadata(known).resourceVersion or ""
    return mine.isdigit() and theirs.isdigit() and int(mine) < int(theirs)


def _created(pod: Pod) -> float:
    created = _metadata(pod).creationTimestamp
    return created.timestamp() if created else 0.0


def _when(event: Event) -> float:
    moment = event.lastTimestamp or event.eventTime or event.firstTimestamp
    return moment.timestamp() if moment else 0.0
