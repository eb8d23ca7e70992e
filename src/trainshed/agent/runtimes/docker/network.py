"""The networks that containers live in.

    trainshed                    every container of a one-host job; they can't reach one another.
                                 Its bridge gives this machine the address of the server
    trainshed-<job>.<attempt>    the hosts of one attempt, which find one another by name
    none                         a one-host job with network isolation

Agents of one attempt work beside each other, so whatever is made or removed here is so under a
lock that they share (``cleaning.Left.lock``).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError
from trainshed.domain.names import CONTAINER_ADDRESS
from trainshed.domain.plan import NodePlan

SHARED: Final = "trainshed"
ATTEMPT_LABEL: Final = "trainshed.attempt"
_OWN: Final = "bridge"
_SUBNET: Final = "169.254.170.0/23"
_BRIDGE: Final = "com.docker.network.bridge."


def name_for(plan: NodePlan) -> str:
    """Return the network of a node."""
    if len(plan.hosts) > 1:
        return f"trainshed-{attempt_of(plan.node_id)}"
    return "none" if plan.isolated else SHARED


def attempt_of(node_id: str) -> str:
    """Return ``<job id>.<attempt>``."""
    return node_id.rpartition(".")[0]


def ensure(engine: Engine, plan: NodePlan, complain: Callable[[str], None]) -> str:
    """Make the network of a node unless it is there, and return its name; under the lock.

    Where the network of the one-host jobs can't be made, because another engine of this machine
    has its addresses say, it is the engine's own; ``complain`` is told.

    Raises:
        EngineError: it can't be made.
    """
    name = name_for(plan)
    if name == SHARED:
        try:
            ensure_shared(engine)
        except EngineAway:
            raise
        except EngineError as error:
            complain(f"the network {SHARED} cannot be made, the engine's own is used: {error}")
            return _OWN
    elif name != "none" and not _exists(engine, name):
        _create(engine, _of_attempt(name, plan))
    return name


def ensure_shared(engine: Engine) -> None:
    """Make the network of the one-host jobs unless it is there.

    Raises:
        EngineError: it can't be made.
    """
    if _exists(engine, SHARED):
        return
    try:
        _create(engine, _SHARED_BODY)
    except EngineError:
        # Another server of this machine may have been quicker.
        if not _exists(engine, SHARED):
            raise


def remove_unused(engine: Engine, attempt: str) -> None:
    """Remove an attempt's network once none of its containers is left; under the lock.

    Containers that were made and not started count: they are going to need it.

    Raises:
        EngineError: it is still there.
    """
    label = json.dumps({"label": [f"{ATTEMPT_LABEL}={attempt}"]})
    if engine.get("/containers/json", all="true", filters=label):
        return
    for network in engine.get("/networks", filters=label) or ():
        try:
            engine.delete(f"/networks/{network['Id'] if 'Id' in network else network['Name']}")
        except EngineError as error:
            if error.status != 404:
                raise


def _exists(engine: Engine, name: str) -> bool:
    try:
        engine.get(f"/networks/{name}")
    except EngineError as error:
        if error.status != 404:
            raise
        return False
    return True


def _create(engine: Engine, body: Mapping[str, Any]) -> None:
    engine.post("/networks/create", {"Driver": "bridge", "CheckDuplicate": True, **body})


def _of_attempt(name: str, plan: NodePlan) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Name": name,
        "Labels": {ATTEMPT_LABEL: attempt_of(plan.node_id), "trainshed.job": plan.job_name},
    }
    if plan.isolated:
        # Internal networks are cut off from the world; this one from the machine itself too.
        body |= {"Internal": True, "Options": {f"{_BRIDGE}inhibit_ipv4": "true"}}
    return body


_SHARED_BODY: Final = {
    "Name": SHARED,
    "IPAM": {"Config": [{"Subnet": _SUBNET, "Gateway": CONTAINER_ADDRESS}]},
    "Options": {f"{_BRIDGE}enable_icc": "false"},
    "Labels": {"trainshed.shared": "1"},
}
