"""Where the addresses of an attempt's hosts come from, and what is said when there are none."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.docker.scripted import Answer, ScriptedEngine

from trainshed.agent.runtimes.docker import network
from trainshed.agent.runtimes.docker.engine import Engine, EngineError
from trainshed.agent.runtimes.docker.network import Joined
from trainshed.domain.names import hosts
from trainshed.domain.plan import NodePlan
from trainshed.testing.plans import node_plan

USED_UP = (
    "could not find an available, non-overlapping IPv4 address pool among the defaults to assign "
    "to the network"
)
OVERLAP = "Pool overlaps with other one on this address space"
NAME = "trainshed-job-1.1"
TRIAL = f"{NAME}.subnet"


class Networks:
    """An engine's networks, and the subnets that it has still to give."""

    def __init__(self, *offers: str) -> None:
        self.offers = list(offers)
        self.made: dict[str, str] = {}
        self.quicker: list[str] = []
        """Offers that somebody else takes before they are asked for by name."""
        self.created: list[str] = []

    def __call__(self, asked: str, sent: bytes) -> Answer:
        method, _, path = asked.partition(" ")
        name = path.rpartition("/")[2]
        if method == "POST":
            return self._create(json.loads(sent))
        if name not in self.made:
            return 404, _said(f"network {name} not found")
        if method == "DELETE":
            del self.made[name]
            return 204, b""
        told = {"Name": name, "IPAM": {"Config": [{"Subnet": self.made[name]}]}}
        return 200, json.dumps(told).encode()

    def _create(self, body: dict[str, Any]) -> Answer:
        config = body.get("IPAM", {}).get("Config")
        if config is None and not self.offers:
            return 404, _said(USED_UP)
        subnet = config[0]["Subnet"] if config else self.offers[0]
        if config and subnet in self.quicker:
            self.offers.remove(subnet)
            return 403, _said(OVERLAP)
        self.created.append(body["Name"])
        self.made[body["Name"]] = subnet
        return 201, b'{"Id": "n"}'


def _said(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


@pytest.fixture
def ensure(tmp_path: Path) -> Iterator[Callable[[Networks, int], Joined]]:
    """Return what makes the network of an attempt of so many hosts."""
    made: list[ScriptedEngine] = []

    def call(networks: Networks, count: int) -> Joined:
        path = tmp_path / f"{len(made)}.sock"
        made.append(ScriptedEngine(path, networks))
        return network.ensure(Engine(str(path)), _plan(tmp_path, count), pytest.fail)

    yield call
    for each in made:
        each.close()


def _plan(folder: Path, count: int) -> NodePlan:
    return node_plan(folder, server_url="", token="", hosts=hosts(count))


Ensure = Callable[[Networks, int], Joined]


def test_each_host_has_the_address_of_its_rank(ensure: Ensure) -> None:
    joined = ensure(Networks("172.18.0.0/16"), 300)
    assert joined.name == NAME
    assert list(joined.addresses) == list(hosts(300))
    assert joined.addresses["algo-1"] == "172.18.0.2"
    assert joined.addresses["algo-300"] == "172.18.1.45"
    assert len(set(joined.addresses.values())) == 300


def test_a_network_that_is_there_gives_the_same_addresses(ensure: Ensure) -> None:
    networks = Networks("172.18.0.0/16", "172.19.0.0/16")
    first = ensure(networks, 3)
    networks.offers.pop(0)
    assert ensure(networks, 3) == first
    assert networks.created == [TRIAL, NAME]


def test_nothing_but_the_attempts_network_is_left(ensure: Ensure) -> None:
    networks = Networks("172.18.0.0/16")
    ensure(networks, 2)
    assert list(networks.made) == [NAME]


def test_what_an_agent_that_died_tried_is_removed_first(ensure: Ensure) -> None:
    networks = Networks("172.18.0.0/16")
    networks.made[TRIAL] = "172.31.0.0/16"
    ensure(networks, 2)
    assert networks.made == {NAME: "172.18.0.0/16"}


def test_another_subnet_is_taken_where_somebody_was_quicker(ensure: Ensure) -> None:
    networks = Networks("172.18.0.0/16", "172.19.0.0/16")
    networks.quicker = ["172.18.0.0/16"]
    assert ensure(networks, 2).addresses == {"algo-1": "172.19.0.2", "algo-2": "172.19.0.3"}


def test_an_engine_that_refuses_again_and_again_is_believed(ensure: Ensure) -> None:
    networks = Networks(*(f"172.{n}.0.0/16" for n in range(100)))
    networks.quicker = list(networks.offers)
    with pytest.raises(EngineError, match=OVERLAP):
        ensure(networks, 2)
    assert networks.made == {}


def test_an_engine_without_addresses_left_says_so_and_what_to_do(ensure: Ensure) -> None:
    with pytest.raises(EngineError) as refused:
        ensure(Networks(), 4)
    assert str(refused.value) == (
        "the container engine makes no network for the 4 hosts of the job: "
        f"{USED_UP}; if its addresses are used up, remove networks that nobody needs (docker "
        "network prune), or give it more (default-address-pools in its daemon.json)"
    )
    assert refused.value.status == 0


@pytest.mark.parametrize(("count", "fits"), [(13, True), (14, False)])
def test_a_subnet_must_have_room_for_all_hosts(ensure: Ensure, count: int, fits: bool) -> None:
    networks = Networks("10.0.0.16/28")
    if fits:
        assert list(ensure(networks, count).addresses.values())[-1] == "10.0.0.30"
        return
    with pytest.raises(EngineError, match=r"10\.0\.0\.16/28.*room for 13 hosts and not for 14"):
        ensure(networks, count)
