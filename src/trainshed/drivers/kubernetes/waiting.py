"""Why a pod has not begun, in words for people, and when that is hopeless. Pure.

The cluster itself never gives up: a pod that finds no machine, or whose image does not exist, waits
for ever. So each cause has a time limit of ours (``options``), after which the job fails with a
reason.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lightkube.models.core_v1 import ContainerStatus
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Event, Pod

from trainshed.domain import pods
from trainshed.drivers.kubernetes.options import KubernetesBackend

_LONGEST: Final = 400
"""Characters of what a cluster says that are passed on: a FailureReason has room for 1024."""
_PULL_TROUBLE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}
)
_BAD_NAME: Final = frozenset({"InvalidImageName", "ImageInspectError"})
_CONFIG_TROUBLE: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
)
_BEING_MADE: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
_MOUNT_TROUBLE: Final = frozenset(
    {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}
)
_CHANGING: Final = re.compile(r"\b\d+(\.\d+)?(ms|s|m|h)\b|\(x\d+ over [^)]*\)|[a-f0-9]{40,}")
"""What differs from one telling of the same trouble to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a node has not begun."""

    says: str
    """For people, without what changes by itself."""
    reason: str = ""
    """The FailureReason once it has lasted too long; "" where it may last for ever."""
    since: datetime | None = None
    limit: float = 0.0
    """Seconds; 0 for no limit. Without ``since`` it counts from when it was first seen."""


def without_pod(job: Job, events: Sequence[Event], options: KubernetesBackend) -> Waiting | None:
    """Return why a Job has no pod; None where it will have one in a moment."""
    if job.spec is not None and job.spec.suspend:
        return Waiting(says=f"it waits in the queue '{options.queue}' of Kueue")
    refused = _last(events, {"FailedCreate"})
    if refused is None:
        return None
    text = said(refused.message)
    since = _began(refused) or _created(job)
    if "exceeded quota" in text:
        return Waiting(
            says=f"the namespace's quota has no room for it: {text}",
            reason=f"CapacityError: the namespace's quota had no room for it: {text}",
            since=since,
            limit=options.unschedulable_seconds,
        )
    return Waiting(
        says=f"the cluster refuses its pod: {text}",
        reason=f"InternalServerError: the cluster refused the job's pod: {text}",
        since=since,
        limit=options.config_seconds,
    )


def of_pod(pod: Pod, events: Sequence[Event], options: KubernetesBackend) -> Waiting | None:
    """Return why a pod has not begun; None where it has, or will in a moment."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled[0] != "True":
        return _unscheduled(scheduled, options)
    status = pod.status
    since = scheduled[2] if scheduled is not None else None
    initialized = condition(pod, "Initialized")
    main_since = initialized[2] if initialized is not None and initialized[0] == "True" else since
    for each in (status.initContainerStatuses or []) if status else []:
        if found := _of_container(each, pod, events, since, options):
            return found
    if initialized is not None and initialized[0] != "True":
        return _being_made(pod, events, options) if not _has_begun(pod) else None
    for each in (status.containerStatuses or []) if status else []:
        if found := _of_container(each, pod, events, main_since, options):
            return found
    return None if _has_begun(pod) else _being_made(pod, events, options)


def said(text: str | None) -> str:
    """Return what a cluster said, as one line, without what changes by itself."""
    plain = " ".join(_CHANGING.sub("…", text or "").split())
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def condition(pod: Pod, kind: str) -> tuple[str, str, datetime | None, str] | None:
    """Return (status, reason, since, message) of one of a pod's conditions."""
    for each in (pod.status.conditions or []) if pod.status else []:
        if each.type == kind:
            return each.status, each.reason or "", each.lastTransitionTime, each.message or ""
    return None


def _unscheduled(
    scheduled: tuple[str, str, datetime | None, str], options: KubernetesBackend
) -> Waiting:
    _, reason, since, message = scheduled
    if reason == "SchedulingGated":
        return Waiting(says="it is held back by a scheduling gate")
    text = said(message)
    return Waiting(
        says=f"the cluster has no room for it: {text}",
        reason=f"CapacityError: the cluster had no room for it: {text}",
        since=since,
        limit=options.unschedulable_seconds,
    )


def _of_container(
    status: ContainerStatus,
    pod: Pod,
    events: Sequence[Event],
    since: datetime | None,
    options: KubernetesBackend,
) -> Waiting | None:
    waiting = status.state.waiting if status.state else None
    reason = (waiting.reason or "") if waiting else ""
    if waiting is None or reason in _BEING_MADE:
        return None
    mine = status.name == pods.MAIN
    blame = "ClientError" if mine else "InternalServerError"
    if reason in _PULL_TROUBLE or reason in _BAD_NAME:
        image = (
            f"the image '{_image(pod, status)}'" if mine else f"the agent's '{_image(pod, status)}'"
        )
        text = _pull_trouble(waiting.message, events)
        return Waiting(
            says=f"{image} cannot be pulled: {text}",
            reason=f"{blame}: {image} cannot be pulled: {text}",
            since=since,
            limit=options.image_seconds,
        )
    what = "the container" if mine else f"the container '{status.name}'"
    text = said(waiting.message) or reason
    limit = options.config_seconds if reason in _CONFIG_TROUBLE else options.image_seconds
    return Waiting(
        says=f"{what} cannot be made: {text}",
        reason=f"{blame}: {what} cannot be made: {text}",
        since=since,
        limit=limit,
    )


def _being_made(pod: Pod, events: Sequence[Event], options: KubernetesBackend) -> Waiting | None:
    """Return what keeps the containers of a scheduled pod from being made."""
    last = _last(events, _MOUNT_TROUBLE | {"Pulling", "Pulled", "Created", "Started"})
    if last is None or last.reason in {"Pulled", "Created", "Started"}:
        return None
    text = said(last.message)
    if last.reason == "Pulling":
        return Waiting(says=_decapitalized(text))
    scheduled = condition(pod, "PodScheduled")
    return Waiting(
        says=f"its volumes or its network cannot be had: {text}",
        reason=f"InternalServerError: the pod's volumes or network could not be had: {text}",
        since=scheduled[2] if scheduled is not None else None,
        limit=options.mount_seconds,
    )


def _has_begun(pod: Pod) -> bool:
    status = pod.status
    both = [*((status.initContainerStatuses or []) if status else []),
            *((status.containerStatuses or []) if status else [])]  # fmt: skip
    return any(each.state and (each.state.running or each.state.terminated) for each in both)


def _image(pod: Pod, status: ContainerStatus) -> str:
    spec = pod.spec
    every = [*((spec.initContainers or []) if spec else []), *(spec.containers if spec else [])]
    return next((each.image or "" for each in every if each.name == status.name), status.image)


def _pull_trouble(message: str | None, events: Sequence[Event]) -> str:
    """Return the cause: while it backs off, a kubelet says no more than that it does."""
    text = said(message)
    if text and not text.startswith("Back-off"):
        return text
    told = [each for each in events if each.reason == "Failed" and "pull" in (each.message or "")]
    return said(told[-1].message) if told else text


def _last(events: Sequence[Event], reasons: Iterable[str]) -> Event | None:
    wanted = frozenset(reasons)
    return next((each for each in reversed(events) if each.reason in wanted), None)


def _began(event: Event) -> datetime | None:
    return event.firstTimestamp or event.eventTime


def _created(job: Job) -> datetime | None:
    return job.metadata.creationTimestamp if job.metadata else None


def _decapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]
