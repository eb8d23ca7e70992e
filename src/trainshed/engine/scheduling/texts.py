"""What those are told who wait: short, and true for as long as the same is missing.

How many are before it, and how much is in use just now, changes all the time: ``view`` tells that.
"""

from collections.abc import Sequence
from typing import Final

from trainshed.domain.training import MESSAGES, SecondaryStatus
from trainshed.engine.scheduling import quotas
from trainshed.engine.scheduling.answers import Reason
from trainshed.engine.scheduling.values import Group, Need, Place, Project

_WAITING: Final = MESSAGES[SecondaryStatus.PENDING]


def capacity(place: Place, need: Need, short: Sequence[int]) -> Reason:
    """Return what one that finds no room waits for.

    ``short``: positions in ``place.capacity`` of which there is too little; empty where all nodes
    together are too few, or kept for others.
    """
    asked, total, of_type = need.nodes, place.nodes, ""
    if short:
        of_type, total = place.capacity[short[0]]
        asked = dict(need.bins)[short[0]]
    what = f"'{of_type}' nodes" if of_type else "node" if total == 1 else "nodes"
    text = (
        f"{_WAITING}: it needs {asked} of {total} {what} of the backend '{place.name}', which are "
        "in use or kept for jobs before it"
    )
    return Reason(f"capacity/{place.name}/{of_type}", text)


def launching(place: Place) -> Reason:
    """Return what one waits for where as many nodes start as may."""
    text = (
        f"{_WAITING}: no more than {place.max_launching} nodes of the backend '{place.name}' may "
        "be starting at once"
    )
    return Reason(f"launching/{place.name}", text)


def cooling(backend: str, instance_type: str) -> Reason:
    """Return what one waits for whose place has nothing to give for a while."""
    text = (
        f"{_WAITING}: the backend '{backend}' has no '{instance_type}' to give just now and is "
        "asked again"
    )
    return Reason(f"refused/{backend}/{instance_type}", text)


def of_quota(project: Project, dimension: str) -> Reason:
    """Return what one waits for whose project uses all that it may."""
    text = f"{_WAITING}: {_called(project)} {quotas.told(project, dimension)}, and does"
    return Reason(f"quota/{project.name}/{dimension}", text)


def never(group: Group, place: Place, project: Project, fitting: Sequence[int]) -> str:
    """Return why a job can never start, as a FailureReason.

    Args:
        group: what it asks for.
        place: where.
        project: whose it is.
        fitting: positions in ``group.needs`` of what the place has.
    """
    if fitting:
        why = quotas.never(project, group.needs[fitting[0]])
        return (
            f"ClientError: ResourceLimitExceeded: {_called(project)} {why}: ask for less, or raise "
            f"its quota in [projects.{project.name or 'default'}]"
        )
    need = group.needs[0]
    for position, nodes in need.bins:
        pattern, total = place.capacity[position]
        if nodes > total:
            return (
                "CapacityError: Unable to provision requested ML compute capacity. The job asks "
                f"for {nodes} nodes of '{pattern}', the backend '{place.name}' has at most {total}"
                ": lower InstanceCount, name another instance type, or raise capacity in "
                f"[backends.{place.name}]"
            )
    return (
        "CapacityError: Unable to provision requested ML compute capacity. The job asks for "
        f"{need.nodes} nodes, the backend '{place.name}' has at most {place.nodes}: lower "
        f"InstanceCount, or raise max_nodes in [backends.{place.name}]"
    )


def _called(project: Project) -> str:
    return f"the project '{project.name}'" if project.name else "the default project"
