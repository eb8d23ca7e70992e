"""The networks that containers live in.

    trainshed                    every container of a one-host job; they can't reach one another.
                                 Its bridge gives this machine the address of the server
    trainshed-<job>.<attempt>    the hosts of one attempt, each at an address that is kept for it
    none                         a one-host job with network isolation

Each host of an attempt has an address that follows from its rank, so that its name can outlive its
container (``peers``).

Agents of one attempt work beside each other, so whatever is made or removed here is so under a
lock that they share (``cleaning.Left.lock``).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError
from trainshed.domain.names import CONTAINER_ADDRESS
from trainshed.domain.plan import NodePlan

SHARED: Final = "trainshed"
ATTEMPT_LABEL: Final = "trainshed.attempt"
DATA_LABEL: Final = "trainshed.data"
"""Says whose it is: several servers may use one engine, each with a data folder of its own."""
_OWN: Final = "bridge"
_SUBNET: Final = "169.254.170.0/23"
_BRIDGE: Final = "com.docker.network.bridge."
_TRIES: Final = 10
"""How often somebody else may be quicker with a subnet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The network that a container joins."""

    name: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Of all hosts of an attempt that has several, by their names."""


def name_for(plan: NodePlan) -> str:
    """Return the network of a node."""
    if len(plan.hosts) > 1:
        return f"trainshed-{attempt_of(plan.node_id)}"
    return "none" if plan.isolated else SHARED


def attempt_of(node_id: str) -> str:
    """Return ``<job id>.<attempt>``."""
    return node_id.rpartition(".")[0]


def labels(plan: NodePlan) -> dict[str, str]:
    """Return by what everything that is made for an attempt is found again."""
    found = {ATTEMPT_LABEL: attempt_of(plan.node_id), "trainshed.job": plan.job_name}
    if plan.unsent:  # a folder beside those of the nodes
        found[DATA_LABEL] = str(Path(plan.unsent).parent)
    return found


def ensure(engine: Engine, plan: NodePlan, complain: Callable[[str], None]) -> Joined:
    """Make the network of a node unless it is there, and return it; under the lock.

    Where the network of the one-host jobs can't be made, because another engine of this machine
    has its addresses say, it is the engine's own; ``complain`` is told.

    Raises:
        EngineError: it can't be made, or has no room for all hosts.
    """
    name = name_for(plan)
    if len(plan.hosts) > 1:
        found = _find(engine, name)
        subnet = _subnet(found) if found is not None else _make_for_attempt(engine, name, plan)
        return Joined(name=name, addresses=_addresses(plan.hosts, subnet))
    if name == SHARED:
        try:
            ensure_shared(engine)
        except EngineAway:
            raise
        except EngineError as error:
            complain(f"the network {SHARED} cannot be made, the engine's own is used: {error}")
            return Joined(name=_OWN)
    return Joined(name=name)


def ensure_shared(engine: Engine) -> None:
    """Make the network of the one-host jobs unless it is there.

    Raises:
        EngineError: it can't be made.
    """
    if _find(engine, SHARED) is not None:
        return
    try:
        _create(engine, _SHARED_BODY)
    except EngineError:
        # Another server of this machine may have been quicker.
        if _find(engine, SHARED) is None:
            raise


def remove_unused(engine: Engine, attempt: str) -> bool:
    """Remove an attempt's network once none of its containers is left; under the lock.

    Containers that were made and not started count: they are going to need it.

    Returns:
        Whether nothing of the attempt is left.

    Raises:
        EngineError: it is still there.
    """
    label = json.dumps({"label": [f"{ATTEMPT_LABEL}={attempt}"]})
    if engine.get("/containers/json", all="true", filters=label):
        return False
    for network in engine.get("/networks", filters=label) or ():
        _remove(engine, str(network["Id"] if "Id" in network else network["Name"]))
    return True


def _find(engine: Engine, name: str) -> Any | None:  # noqa: ANN401 - JSON
    try:
        return engine.get(f"/networks/{name}")
    except EngineError as error:
        if error.status != 404:
            raise
        return None


def _remove(engine: Engine, name: str) -> None:
    try:
        engine.delete(f"/networks/{name}")
    except EngineError as error:
        if error.status != 404:
            raise


def _create(engine: Engine, body: Mapping[str, Any]) -> None:
    engine.post("/networks/create", {"Driver": "bridge", "CheckDuplicate": True, **body})


def _make_for_attempt(engine: Engine, name: str, plan: NodePlan) -> IPv4Network:
    """Make an attempt's network, and return its subnet.

    Engines give addresses that are asked for only where the subnet was asked for, too. Which are
    free they know best, from their settings and this machine's routes: so one is asked of them,
    given back, and asked for by its name.
    """
    tries = 0
    while True:
        subnet = _free_subnet(engine, f"{name}.subnet", plan)
        config = {"Subnet": str(subnet), "Gateway": str(subnet[1])}
        try:
            _create(engine, {**_of_attempt(name, plan), "IPAM": {"Config": [config]}})
        except EngineAway:
            raise
        except EngineError:  # somebody was quicker
            tries += 1
            if tries == _TRIES:
                raise
        else:
            return subnet


def _free_subnet(engine: Engine, trial: str, plan: NodePlan) -> IPv4Network:
    """Return a subnet that the engine would take for a new network.

    Raises:
        EngineError: it has none.
    """
    _remove(engine, trial)  # an agent that died may have left it
    try:
        _create(engine, {**_of_attempt(trial, plan), "Internal": True})
    except EngineAway:
        raise
    except EngineError as error:
        raise EngineError(
            0,
            f"the container engine makes no network for the {len(plan.hosts)} hosts of the job: "
            f"{error}; if its addresses are used up, remove networks that nobody needs (docker "
            "network prune), or give it more (default-address-pools in its daemon.json)",
        ) from error
    try:
        return _subnet(engine.get(f"/networks/{trial}"))
    finally:
        _remove(engine, trial)


def _subnet(found: Any) -> IPv4Network:  # noqa: ANN401 - JSON
    """Return where the addresses of a network are, as the engine tells of it."""
    subnets = [str(each.get("Subnet", "")) for each in found["IPAM"]["Config"] or ()]
    for each in subnets:
        if "." in each:
            return IPv4Network(each)
    raise EngineError(
        0, f"the network {found['Name']} has no IPv4 addresses (its subnets: {subnets or 'none'})"
    )


def _addresses(hosts: tuple[str, ...], subnet: IPv4Network) -> dict[str, str]:
    """Return the hosts' addresses, in rank order behind the gateway's.

    Raises:
        EngineError: there are more hosts than addresses.
    """
    room = subnet.num_addresses - 3  # the first is the network's, the last everybody's
    if len(hosts) > room:
        raise EngineError(
            0,
            f"the container engine offers the subnet {subnet} for the job's network, which has "
            f"room for {max(room, 0)} hosts and not for {len(hosts)}; give it larger ones "
            "(default-address-pools in its daemon.json)",
        )
    return {host: str(subnet[2 + rank]) for rank, host in enumerate(hosts)}


def _of_attempt(name: str, plan: NodePlan) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Name": name,
        "Labels": labels(plan),
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
