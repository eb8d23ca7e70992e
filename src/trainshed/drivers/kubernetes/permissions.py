"""What a server and its agents must be allowed to do in the namespace of their jobs.

This is the one list: the chart's Roles are held to it by a test, and ``trainshed backend add`` asks
the cluster for each of it. It is all that the driver and agents ask for; whoever has them ask for
more adds it here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Verbs on one resource of a namespace."""

    group: str
    """API group; "" for the core."""
    resource: str
    """Plural; with its subresource, such as ``pods/log``."""
    verbs: tuple[str, ...]
    why: str
    """What can't be done without it, for people."""


SERVER: Final = (
    Permission(
        group="batch",
        resource="jobs",
        verbs=("create", "delete", "get", "list", "watch"),
        why="start nodes, and remove them",
    ),
    Permission(
        group="",
        resource="services",
        verbs=("create", "delete"),
        why="let the hosts of a job find each other",
    ),
    Permission(
        group="",
        resource="secrets",
        verbs=("create", "delete"),
        why="hand each node its plan",
    ),
    Permission(
        group="",
        resource="pods",
        verbs=("delete", "get", "list", "patch", "watch"),
        why="see nodes, and tell them to stop",
    ),
    Permission(
        group="",
        resource="events",
        verbs=("list", "watch"),
        why="tell why a node does not start",
    ),
    Permission(
        group="coordination.k8s.io",
        resource="leases",
        verbs=("create", "delete", "get", "list", "patch", "watch"),
        why="keep a removed node from coming back",
    ),
    Permission(
        group="networking.k8s.io",
        resource="networkpolicies",
        verbs=("create", "delete"),
        why="cut isolated jobs off the network",
    ),
)
"""What the server's own account needs."""

NODE: Final = (
    Permission(
        group="",
        resource="pods",
        verbs=("get", "list", "watch"),
        why="see when the user's container ends",
    ),
    Permission(
        group="",
        resource="pods/log",
        verbs=("get",),
        why="read what the user's container writes",
    ),
    Permission(
        group="coordination.k8s.io",
        resource="leases",
        verbs=("get", "list", "update"),
        why="claim the node, and wait for the other hosts",
    ),
)
"""What the accounts that pods of jobs run by need: their agents alone hold its token."""

NODE_ROLE: Final = "trainshed-node"
"""The Role that grants ``NODE``, and its RoleBinding."""


def each(permissions: tuple[Permission, ...]) -> Iterator[tuple[Permission, str]]:
    """Yield every permission with every verb of it."""
    for permission in permissions:
        for verb in permission.verbs:
            yield permission, verb
