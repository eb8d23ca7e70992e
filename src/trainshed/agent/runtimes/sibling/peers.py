"""Has the programs of all hosts begin together: none before all have their data, and their names.

The hosts are on different machines. What they have in common is the namespace of their claims.
"""

import socket
import time
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.sibling.claim import Claim, NotOurs
from trainshed.agent.runtimes.sibling.cluster import Cluster, ClusterAway, ClusterError
from trainshed.domain import pods
from trainshed.domain.facts import Outcome

_LOOK_S: Final = 0.2
_LOOK_LATER_S: Final = 2.0
_SAID_AFTER_S: Final = 5.0
"""Seconds of waiting before the log hears of it."""
_NAMES_S: Final = 60.0
"""How long a name may take to be known, of a host that is there."""


def await_peers(node: Node, cluster: Cluster, claim: Claim) -> None:
    """Tell the other hosts that this one is ready, and return once they are.

    That may take for ever: when one of them failed, the server has this one stop.

    Raises:
        NodeOver: the node was asked to stop, or the cluster lets it see no claims.
    """
    if len(node.plan.hosts) > 1:
        _meet(node, cluster, claim)
    if node.stop.called_off:
        raise NodeOver(Outcome.STOPPED)


def _meet(node: Node, cluster: Cluster, claim: Claim) -> None:
    try:
        claim.note_staged()
        _await_all(node, cluster)
    except NotOurs as error:
        raise NodeOver(Outcome.LOST, f"InternalServerError: {error}") from error
    _await_names(node)


def _await_all(node: Node, cluster: Cluster) -> None:
    began, said = time.monotonic(), False
    while missing := _missing(node, cluster):
        if node.stop.called_off:
            raise NodeOver(Outcome.STOPPED)
        waited = time.monotonic() - began
        if not said and waited > _SAID_AFTER_S:
            node.log.say(f"waiting for other hosts to get ready: {', '.join(missing)}")
            said = True
        node.stop.pause(_LOOK_LATER_S if said else _LOOK_S)


def _missing(node: Node, cluster: Cluster) -> list[str]:
    """Return the hosts that are not ready yet, as far as the cluster says so now."""
    plan = node.plan
    attempt = plan.node_id.removesuffix(f".{plan.host}")
    try:
        found = cluster.leases(labelSelector=f"{pods.ATTEMPT_LABEL}={attempt}")
    except ClusterAway:
        return list(plan.hosts)
    except ClusterError as error:
        raise NodeOver(
            Outcome.LOST, f"InternalServerError: the other hosts cannot be seen: {error}"
        ) from error
    ready = {
        each["metadata"]["name"]
        for each in found.get("items") or ()
        if (each["metadata"].get("annotations") or {}).get(pods.STAGED_ANNOTATION)
    }
    return [host for host in plan.hosts if pods.object_name(f"{attempt}.{host}") not in ready]


def _await_names(node: Node) -> None:
    """Wait until all hosts' names are known here, which comes a moment after the hosts."""
    until = time.monotonic() + _NAMES_S
    while unknown := [host for host in node.plan.hosts if not _is_known(host)]:
        if node.stop.called_off:
            raise NodeOver(Outcome.STOPPED)
        if time.monotonic() > until:
            node.log.say(
                f"the names of other hosts are not known here: {', '.join(unknown)}; the program "
                "is started all the same"
            )
            return
        node.stop.pause(_LOOK_S)


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
