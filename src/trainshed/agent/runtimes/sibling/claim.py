"""Makes one pod the node: a Job that lost its pod makes another, and a node runs once.

The claim is a Lease that the driver made. It also is where the hosts of an attempt tell each other
that they have their data: they are on different machines, and have nothing else in common.
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainshed.agent.runtimes.sibling.cluster import Cluster, ClusterAway, ClusterError
from trainshed.agent.runtimes.sibling.own_pod import ADVICE
from trainshed.domain import pods

_AGAIN_S: Final = 1.0
_CONFLICT: Final = 409
_MISSING: Final = 404


class NotOurs(Exception):
    """The node is another pod's, or was removed, or may not be claimed; the text says which."""


class Claim:
    """One node's lease."""

    def __init__(self, cluster: Cluster, node_id: str, uid: str) -> None:
        """``uid`` is that of the pod that claims ``node_id``."""
        self._cluster = cluster
        self._name = pods.object_name(node_id)
        self._uid = uid

    def take(self) -> Mapping[str, Any]:
        """Make the node this pod's, once and for all; return the annotations of the claim.

        Waits for a cluster that is away. Again is no error.

        Raises:
            NotOurs: it can't be.
        """
        return self._changed(lambda lease: None)

    def note_staged(self) -> None:
        """Tell the other hosts that this node has all that it begins with; raise as ``take``."""

        def mark(lease: dict[str, Any]) -> None:
            notes = lease["metadata"].setdefault("annotations", {})
            notes[pods.STAGED_ANNOTATION] = "true"

        self._changed(mark)

    def _changed(self, change: Callable[[dict[str, Any]], None]) -> Mapping[str, Any]:
        while True:
            try:
                lease = self._cluster.lease(self._name)
                holder = str((lease.get("spec") or {}).get("holderIdentity") or "")
                if holder not in {"", self._uid}:
                    raise NotOurs(self._of(holder))
                before = repr(lease)
                lease.setdefault("spec", {})["holderIdentity"] = self._uid
                change(lease)
                if repr(lease) != before:
                    self._cluster.replace_lease(lease)
            except ClusterAway as away:
                print(f"cannot claim the node: {away}", file=sys.stderr, flush=True)  # noqa: T201
            except ClusterError as error:
                if error.status == _MISSING:
                    raise NotOurs(f"nobody knows this node any more: {error}") from error
                if error.status != _CONFLICT:
                    raise NotOurs(f"the node cannot be claimed: {error}; {ADVICE}") from error
            else:
                notes: Mapping[str, Any] = lease["metadata"].get("annotations") or {}
                return notes
            time.sleep(_AGAIN_S)

    def _of(self, holder: str) -> str:
        if holder == pods.REMOVED:
            return "the node was removed before this pod began"
        return f"the node is the pod with the uid {holder}, and runs once"
