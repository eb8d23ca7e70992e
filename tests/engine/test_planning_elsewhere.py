"""What nodes are told that are not on the server's machine."""

from dataclasses import replace
from typing import Any

import pytest

from trainshed.domain import keys, names
from trainshed.domain.plan import NodePlan
from trainshed.domain.training import Attempt
from trainshed.drivers.base import Capabilities
from trainshed.engine.planning import Site, Unplannable, plan
from trainshed.testing.jobs import NOON, job

NEAR = "http://127.0.0.1:7070"
FAR = "http://trainshed.shed.svc:7070"
CLUSTER = Capabilities(max_nodes=4, runtime="sibling", server_url=FAR)
SITE = Site(
    server_url=NEAR,
    secret="secret",
    objects={"endpoint": NEAR, "region": "eu-west-1", "folder": "/data/objects"},
    file_roots=("/home/me",),
    stores=({"prefix": "gs://", "url": "https://gs.example"},),
    file_systems={"fs-1": "nfs://host/export"},
    cache="/data/cache",
    cache_limit=1 << 30,
)


def planned(capabilities: Capabilities = CLUSTER, site: Site = SITE, **members: Any) -> NodePlan:
    there = replace(site, capabilities={"k8s": capabilities})
    made = plan(job(**members), Attempt(number=1, backend="k8s", started=NOON), there)
    assert not isinstance(made, Unplannable)
    return made.nodes[0]


def test_agent_and_container_reach_the_server_where_it_is_from_there() -> None:
    node = planned()
    assert (node.server_url, node.container_url) == (FAR, FAR)
    assert node.objects["endpoint"] == FAR
    named = planned(replace(CLUSTER, container_host="172.17.0.1"))
    assert named.container_url == FAR


def test_nothing_is_named_that_lies_on_the_servers_machine() -> None:
    node = planned()
    assert "folder" not in node.objects
    assert (node.cache, node.cache_limit, node.file_roots) == ("", 0, ())
    assert node.stores == SITE.stores
    assert node.file_systems == SITE.file_systems


def test_objects_of_another_store_are_reached_where_they_are() -> None:
    elsewhere = {"endpoint": "https://s3.example", "access_key": "AK", "secret_key": "SK"}
    assert planned(site=replace(SITE, objects=elsewhere)).objects == elsewhere


@pytest.mark.parametrize("url", [FAR, "http://172.17.0.1:7070", "https://shed.example"])
def test_a_container_is_given_its_keys_where_it_could_not_ask_for_them(url: str) -> None:
    node = planned(replace(CLUSTER, server_url=url))
    assert node.container_keys == keys.container(node.node_id).given("secret")
    assert node.credentials_token == ""
    isolated = planned(replace(CLUSTER, server_url=url), EnableNetworkIsolation=True)
    assert (isolated.credentials_token, isolated.container_keys) == ("", {})


def test_a_container_that_reaches_the_server_on_loopback_asks_for_its_keys() -> None:
    node = planned(replace(CLUSTER, server_url="http://127.0.0.1:8080"))
    assert node.credentials_token == names.credentials_token("secret", node.node_id)
    assert node.container_keys == {}


def test_siblings_run_any_image_and_are_held_to_what_their_instance_type_means() -> None:
    node = planned()
    assert (node.runtime, node.image, node.environment_path) == ("sibling", "image", "")
    assert node.resources is not None
    assert node.resources.cpus == 2
    assert node.notes == ()


def test_nodes_of_the_servers_machine_have_all_of_it() -> None:
    node = planned(replace(CLUSTER, runtime="docker", server_url=""))
    assert (node.server_url, node.container_url, node.objects["folder"]) == (
        NEAR,
        "",
        "/data/objects",
    )
    assert (node.cache, node.file_roots) == ("/data/cache", ("/home/me",))
