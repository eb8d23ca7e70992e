"""What is seen of a node, from its claim, its Job, its pods and what the cluster told. Pure.

    claim        pods                                  sight
    no holder    none, or one that waits               LIVES, and why it waits; HOPELESS in time
    a pod's uid  that one, not over                    LIVES
                 that one, over; or it is not there    TAKEN, and what became of it
    REMOVED      one that is not over                  LIVES: it is being taken
                 none                                  TAKEN; HOPELESS where it was asked to stop

A stop or a notice for a node that waits ends it: nobody is there who could hear it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lightkube.resources.batch_v1 import Job
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Event, Pod

from trainshed.domain import pods as names
from trainshed.domain.notice import Notice
from trainshed.drivers.base import NodeState, Sight
from trainshed.drivers.kubernetes import waiting
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.waiting import Waiting

STOPPED: Final = "ClientError: it was stopped before it began"
_TOO_FULL: Final = 'EmptyDir volume "node" exceeds the limit'
"""The kubelet's words where the job's files take more than its VolumeSizeInGB."""
_NEEDS_MORE: Final = "ClientError: the job needs more disk than its VolumeSizeInGB"
OVER: Final = frozenset({"Succeeded", "Failed"})
"""Phases of a pod whose containers have all ended."""
_SILENT_SECONDS: Final = 60.0
"""How long after its time a pod that was deleted may be there before its machine is taken for lost.
A kubelet that lives needs a second or two."""
_LIVES: Final = Sight(NodeState.LIVES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """All that the cluster has of one node."""

    claim: Lease | None = None
    job: Job | None = None
    pods: tuple[Pod, ...] = ()
    events: tuple[Event, ...] = ()
    """Of the Job and its pods, oldest first."""
    lost: str = ""
    """What was last known of pods that are gone: who took them and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A sight, and how far it holds."""

    sight: Sight
    until: datetime | None = None
    """When it changes by itself; None for never."""
    is_certain: bool = True
    """Whether it follows from what is there; else it follows from what was not seen, which may
    only be late."""
    is_to_end: bool = False
    """Whether the node is to be ended: it waits, and was asked to stop or to go."""


def look(traces: Traces, now: datetime, options: KubernetesBackend) -> Look:
    """Return what is seen of a node."""
    holder = holder_of(traces.claim)
    if holder == names.REMOVED:
        return _look_at_removed(traces, now)
    if holder:
        held = next((pod for pod in traces.pods if uid(pod) == holder), None)
        if held is None:
            says = traces.lost or _told_of_loss(traces.events) or "its pod was deleted"
            return Look(sight=Sight(NodeState.TAKEN, says), is_certain=False)
        return _look_at_pod(held, traces.events, now, options)
    if traces.job is None:
        nothing = Sight(NodeState.TAKEN, "there is nothing of it on the cluster")
        return Look(sight=nothing, is_certain=False)
    return _look_at_waiting(traces, traces.job, now, options)


def holder_of(claim: Lease | None) -> str:
    """Return who holds a claim: a pod's uid, ``REMOVED``, or "" for nobody."""
    return (claim.spec.holderIdentity or "") if claim is not None and claim.spec else ""


def annotation(thing: Lease | Pod | None, name: str) -> str:
    """Return an annotation; "" where it is not set."""
    metadata = thing.metadata if thing is not None else None
    return str((metadata.annotations or {}).get(name, "")) if metadata else ""


def notice_of(claim: Lease | None) -> Notice | None:
    """Return the notice that a node was given."""
    text = annotation(claim, names.NOTICE_ANNOTATION)
    return Notice.parse(text.encode()) if text else None


def uid(pod: Pod) -> str:
    """Return what names a pod for ever."""
    return (pod.metadata.uid or "") if pod.metadata else ""


def phase(pod: Pod) -> str:
    """Return how far a pod is."""
    return (pod.status.phase or "") if pod.status else ""


def what_became(pod: Pod) -> str:
    """Return who took a pod and why, as far as it says so itself; "" where it does not."""
    disrupted = waiting.condition(pod, "DisruptionTarget")
    if disrupted is not None and disrupted[0] == "True":
        return _because(disrupted[1], disrupted[3])
    status = pod.status
    if status is not None and status.reason:
        return _because(status.reason, status.message or "")
    return _ended_agents(pod)


def _look_at_removed(traces: Traces, now: datetime) -> Look:
    alive = [pod for pod in traces.pods if phase(pod) not in OVER]
    if alive and not all(is_silent(pod, now) for pod in alive):
        return Look(sight=_LIVES, until=_silent_from(alive))
    if annotation(traces.claim, names.STOP_ANNOTATION) in {"1", "2"}:
        return Look(sight=Sight(NodeState.HOPELESS, STOPPED))
    notice = notice_of(traces.claim)
    return Look(sight=Sight(NodeState.TAKEN, notice.reason if notice else ""))


def _look_at_pod(
    pod: Pod, events: Sequence[Event], now: datetime, options: KubernetesBackend
) -> Look:
    """Look at the pod that is the node: its first container has begun."""
    if phase(pod) in OVER:
        became = what_became(pod)
        if _TOO_FULL in became:
            return Look(sight=Sight(NodeState.HOPELESS, f"{_NEEDS_MORE}: {became}"))
        return Look(sight=Sight(NodeState.TAKEN, became))
    if (agent_over := _ended_agents(pod)) or _has_left(pod):
        return Look(sight=Sight(NodeState.TAKEN, agent_over))
    if is_silent(pod, now):
        return Look(sight=Sight(NodeState.TAKEN, "its machine does not answer any more"))
    if pod.metadata is not None and pod.metadata.deletionTimestamp is not None:
        return Look(sight=_LIVES, until=_silent_from([pod]))
    found = waiting.of_pod(pod, events, options)
    return _look_in_time(found, now) if found else Look(sight=_LIVES)


def _look_at_waiting(traces: Traces, job: Job, now: datetime, options: KubernetesBackend) -> Look:
    """Look at a node of which no container has begun."""
    current = [pod for pod in traces.pods if phase(pod) not in OVER]
    if not current:
        if traces.pods:
            return Look(sight=Sight(NodeState.TAKEN, what_became(traces.pods[-1])))
        if over := _over(job):
            return Look(sight=Sight(NodeState.TAKEN, traces.lost or over))
    found = (
        waiting.of_pod(current[-1], traces.events, options)
        if current
        else waiting.without_pod(job, traces.events, options)
    )
    if found is None:
        return Look(sight=_LIVES)
    if annotation(traces.claim, names.STOP_ANNOTATION) or notice_of(traces.claim):
        return Look(sight=Sight(NodeState.LIVES, found.says), is_to_end=True)
    return _look_in_time(found, now)


def _look_in_time(found: Waiting, now: datetime) -> Look:
    """Return how long a node may wait for what it waits for."""
    if not (found.limit and found.reason and found.since):
        return Look(sight=Sight(NodeState.LIVES, found.says))
    until = found.since + timedelta(seconds=found.limit)
    if now < until:
        return Look(sight=Sight(NodeState.LIVES, found.says), until=until)
    return Look(sight=Sight(NodeState.HOPELESS, found.reason))


def _ended_agents(pod: Pod) -> str:
    """Return how one of the agents ended, if it ended before its work was done; else ""."""
    status = pod.status
    both = [*((status.initContainerStatuses or []) if status else []),
            *((status.containerStatuses or []) if status else [])]  # fmt: skip
    for each in both:
        ended = each.state.terminated if each.state else None
        if each.name != names.MAIN and ended is not None and ended.exitCode:
            what = f"its agent ended with exit code {ended.exitCode}"
            told = waiting.said(ended.message) or (ended.reason or "").removeprefix("Error")
            return f"{what} ({told})" if told else what
    return ""


def _has_left(pod: Pod) -> bool:
    """Tell whether the agent beside the user's container has ended: the node is over."""
    return any(
        each.name == names.AGENT and each.state is not None and each.state.terminated is not None
        for each in ((pod.status.containerStatuses or []) if pod.status else [])
    )


def _over(job: Job) -> str:
    """Return why a Job makes no pod any more; "" while it does."""
    for each in (job.status.conditions or []) if job.status else []:
        if each.type in {"Failed", "Complete"} and each.status == "True":
            return _because(each.reason or each.type, each.message or "")
    return ""


def _told_of_loss(events: Sequence[Event]) -> str:
    """Return what events say of who took a pod."""
    reasons = {"Evicted", "Preempted", "Preempting", "TaintManagerEviction", "NodeNotReady"}
    told = [each for each in events if each.reason in reasons]
    return _because(told[-1].reason or "", told[-1].message or "") if told else ""


def is_silent(pod: Pod, now: datetime) -> bool:
    """Tell whether a pod was deleted so long ago that its machine must be lost."""
    until = _silent_from([pod])
    return until is not None and now >= until


def _silent_from(alive: Sequence[Pod]) -> datetime | None:
    ends = [pod.metadata.deletionTimestamp for pod in alive if pod.metadata]
    known = [each for each in ends if each is not None]
    if not known or len(known) < len(alive):
        return None
    return max(known) + timedelta(seconds=_SILENT_SECONDS)


def _because(reason: str, message: str) -> str:
    text = waiting.said(message)
    return f"{reason}: {text}" if text and text != reason else reason
