"""What a pod's own object tells its agents: pure reading of the API's JSON.

The kubelet writes there how the user's container fares, the driver what it wishes, and whoever
takes the pod away why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from trainshed.domain import pods
from trainshed.domain.notice import Notice

_DISRUPTION: Final = "DisruptionTarget"
_BY_KUBELET: Final = "TerminationByKubelet"
GRACE_S: Final = 30.0
"""What Kubernetes gives a pod that does not say how long it may take to end."""


class State(Enum):
    """How far a container is."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "terminated"


class Wish(Enum):
    """What the driver wishes, as ``pods.STOP_ANNOTATION`` has it."""

    NONE = "0"
    STOP = "1"
    AT_ONCE = "2"
    TAKEN = pods.TAKEN
    """The node is taken away now, without another word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Main:
    """The user's container."""

    state: State
    reason: str = ""
    """The kubelet's word for why it waits, or how it ended, such as ``ErrImagePull``."""
    message: str = ""
    exit_code: int = 0
    container: str = ""
    """Its id in its runtime; "" while it has none."""
    image: str = ""
    """What its image is called by its content; "" while that is not known."""
    digest: str = ""
    """``repository@sha256:…``; "" when the image came from no registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One look at a pod."""

    uid: str
    version: int
    """Grows with each change."""
    main: Main
    wish: Wish
    notice: Notice | None
    going: bool
    """Whether the kubelet ends its containers, now or any moment."""
    doomed: bool
    """Whether somebody is about to delete it."""
    grace: float
    """Seconds that its containers have to end when it is deleted."""


def read(found: Mapping[str, Any]) -> Pod:
    """Return what a pod's object tells."""
    meta, spec, status = (found.get(key) or {} for key in ("metadata", "spec", "status"))
    notes = meta.get("annotations") or {}
    grace = float(spec.get("terminationGracePeriodSeconds", GRACE_S))
    disruption = _disruption(status)
    notice = None
    for each in _notices(meta, status, disruption, grace):
        if each.replaces(notice):
            notice = each
    by_kubelet = disruption is not None and disruption.get("reason") == _BY_KUBELET
    return Pod(
        uid=str(meta.get("uid", "")),
        version=int(version(found) or 0),
        main=_main(status),
        wish=wish_in(notes),
        notice=notice,
        going=bool(meta.get("deletionTimestamp")) or by_kubelet or _failed(status),
        doomed=disruption is not None,
        grace=grace,
    )


def wish_in(annotations: Mapping[str, Any]) -> Wish:
    """Return how urgently a node is to stop, as annotations say it."""
    try:
        return Wish(str(annotations.get(pods.STOP_ANNOTATION) or "0"))
    except ValueError:
        return Wish.NONE


def notice_in(annotations: Mapping[str, Any]) -> Notice | None:
    """Return the word that annotations hold that the node is to be taken away."""
    return Notice.parse(str(annotations.get(pods.NOTICE_ANNOTATION) or "").encode())


def moment(text: object) -> float:
    """Return seconds since the epoch for a time of the API; 0 for none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def _notices(
    meta: Mapping[str, Any],
    status: Mapping[str, Any],
    disruption: Mapping[str, Any] | None,
    grace: float,
) -> Iterator[Notice]:
    """Yield everything from which it follows that the pod will be gone."""
    if (wished := notice_in(meta.get("annotations") or {})) is not None:
        yield wished
    why = _why(status, disruption)
    if gone := moment(meta.get("deletionTimestamp")):
        at = gone - float(meta.get("deletionGracePeriodSeconds") or 0)
        yield Notice(at=at, deadline=gone, reason=why or "the pod was deleted")
    elif disruption is not None:
        at = moment(disruption.get("lastTransitionTime"))
        yield Notice(at=at, deadline=at + grace, reason=why)


def _why(status: Mapping[str, Any], disruption: Mapping[str, Any] | None) -> str:
    """Return who takes a pod away and why, as far as its status says it."""
    for told in (disruption or {}, status):
        if reason := str(told.get("reason") or ""):
            message = str(told.get("message") or "")
            return f"{reason}: {message}" if message else reason
    return ""


def _disruption(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == _DISRUPTION and condition.get("status") == "True":
            found: Mapping[str, Any] = condition
            return found
    return None


def _failed(status: Mapping[str, Any]) -> bool:
    """Tell whether the kubelet gave a pod up as a whole: it says why only then (Evicted)."""
    return status.get("phase") == "Failed" and bool(status.get("reason"))


def _main(status: Mapping[str, Any]) -> Main:
    for each in status.get("containerStatuses") or ():
        if each.get("name") == pods.MAIN:
            return _container(each)
    return Main(state=State.WAITING)


def _container(told: Mapping[str, Any]) -> Main:
    found = told.get("state") or {}
    state = next((each for each in State if each.value in found), State.WAITING)
    detail = found.get(state.value) or {}
    named = str(told.get("imageID") or "").rpartition("://")[2]
    return Main(
        state=state,
        reason=str(detail.get("reason") or ""),
        message=str(detail.get("message") or ""),
        exit_code=int(detail.get("exitCode") or 0),
        container=str(told.get("containerID") or detail.get("containerID") or "").rpartition("/")[
            2
        ],
        image=named.rpartition("@")[2],
        digest=named if "@" in named else "",
    )


def version(found: Mapping[str, Any]) -> str:
    """Return the version of an object or of a list, from which a watch goes on."""
    return str((found.get("metadata") or {}).get("resourceVersion") or "")
