"""What a node is given to sign with."""

from dataclasses import replace

import pytest

from trainshed.domain import keys, names
from trainshed.domain.plan import NodePlan
from trainshed.domain.training import Attempt
from trainshed.drivers.base import Capabilities
from trainshed.engine.planning import Site, Unplannable, plan
from trainshed.testing.jobs import NOON, job

PROCESSES = Capabilities(max_nodes=4, images=(("*", "/usr/bin/python3"),))
SITE = Site(
    server_url="http://127.0.0.1:7070",
    secret="secret",
    objects={"endpoint": "http://127.0.0.1:7070", "region": "eu-west-1"},
    capabilities={"local": PROCESSES},
)
ATTEMPT = Attempt(number=1, backend="local", started=NOON)


def planned(site: Site = SITE, nodes: int = 1, **members: object) -> tuple[NodePlan, ...]:
    launch = plan(job(nodes=nodes, **members), ATTEMPT, site)
    assert not isinstance(launch, Unplannable)
    return launch.nodes


def containers_at(host: str) -> Site:
    there = replace(PROCESSES, images=(), runtime="docker", container_host=host)
    return replace(SITE, capabilities={"local": there})


def test_each_node_has_a_key_and_a_token_of_its_own() -> None:
    nodes = planned(nodes=3)
    for node in nodes:
        assert node.objects == {**SITE.objects, **keys.node(node.node_id).given("secret")}
        assert node.credentials_token == names.credentials_token("secret", node.node_id)
        assert node.container_keys == {}
    assert len({node.objects["access_key"] for node in nodes}) == 3
    assert len({node.credentials_token for node in nodes}) == 3


def test_objects_elsewhere_are_reached_with_the_keys_they_came_with() -> None:
    elsewhere = {"endpoint": "https://s3.example", "access_key": "AK", "secret_key": "SK"}
    (node,) = planned(replace(SITE, objects=elsewhere))
    assert node.objects == elsewhere


@pytest.mark.parametrize("host", ["", "127.0.0.1", "169.254.170.2"])
def test_a_container_asks_for_keys_where_clients_would_ask(host: str) -> None:
    (node,) = planned(containers_at(host))
    assert (bool(node.credentials_token), node.container_keys) == (True, {})


@pytest.mark.parametrize("host", ["host.docker.internal", "172.17.0.1"])
def test_a_container_that_can_not_ask_is_given_keys_with_its_plan(host: str) -> None:
    (node,) = planned(containers_at(host))
    assert node.container_keys == keys.container(node.node_id).given("secret")
    assert node.credentials_token == ""


@pytest.mark.parametrize("host", ["", "host.docker.internal"])
def test_a_container_of_an_isolated_job_is_given_nothing(host: str) -> None:
    (node,) = planned(containers_at(host), EnableNetworkIsolation=True)
    assert (node.credentials_token, node.container_keys) == ("", {})
    assert node.objects["access_key"] == keys.node(node.node_id).id
