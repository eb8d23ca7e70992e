"""The way to AWS's services that a container is told, whatever runs it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainshed.contract.tree import Tree
from trainshed.domain.container import variables
from trainshed.testing.plans import node_plan

SERVER = "http://127.0.0.1:7070"
THERE = "http://169.254.170.2:7070"
OURS = {"endpoint": SERVER, "access_key": "TSNODE", "secret_key": "s"}
ASKS = {"objects": OURS, "credentials_token": "T"}


def way(**changes: Any) -> dict[str, str]:
    plan = node_plan(Path("/nowhere"), server_url=SERVER, token="reports", **changes)
    told = variables(plan, Tree())
    plain = {"TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION", "AWS_DEFAULT_REGION"}
    assert plain <= told.keys()
    return {name: told[name] for name in told if name not in plain}


@pytest.mark.parametrize(("url", "reached"), [("", SERVER), (THERE, THERE)])
def test_a_container_finds_all_where_it_reaches_the_server(url: str, reached: str) -> None:
    assert way(container_url=url, **ASKS) == {
        "AWS_ENDPOINT_URL": reached,
        "AWS_ENDPOINT_URL_S3": reached,
        "S3_ENDPOINT_URL": reached,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": (
            f"{reached}/agent/v1/nodes/job-1.1.algo-1/credentials"
        ),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "T",
    }


def test_objects_elsewhere_are_looked_for_there() -> None:
    told = way(container_url=THERE, objects={"endpoint": "https://s3.example"})
    assert (told["AWS_ENDPOINT_URL"], told["AWS_ENDPOINT_URL_S3"]) == (THERE, "https://s3.example")


def test_keys_of_the_plan_come_instead_of_a_place_to_ask() -> None:
    given = {"access_key": "TSCONTAINER", "secret_key": "s", "session_token": "t"}
    told = way(container_url="http://host.docker.internal:7070", container_keys=given, **ASKS)
    assert told["AWS_SESSION_TOKEN"] == "t"
    assert told["AWS_ACCESS_KEY_ID"] == "TSCONTAINER"
    assert not any("CONTAINER" in name for name in told)


def test_neither_the_agents_key_nor_its_token_is_told() -> None:
    told = way(**ASKS)
    assert {"TSNODE", "s", "reports"}.isdisjoint(told.values())


def test_an_isolated_job_is_told_no_way() -> None:
    assert way(isolated=True, **ASKS) == {}


def test_a_way_of_the_requests_own_comes_alone() -> None:
    own = {"AWS_ENDPOINT_URL": "http://minio"}
    assert way(environment=own, **ASKS) == own


def test_the_cache_of_a_warm_pool_is_named_as_the_container_sees_it() -> None:
    name = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"
    plan = node_plan(Path("/nowhere"), server_url=SERVER, token="reports")
    assert name not in variables(plan, Tree())
    kept = replace(plan, warm_cache="/data/pools/a.1/algo-1/cache")
    assert variables(kept, Tree())[name] == "/opt/ml/sagemaker/warmpoolcache"
    assert variables(kept, Tree(Path("/n")))[name] == "/n/sagemaker/warmpoolcache"
    own = replace(kept, environment={name: "/mine"})
    assert variables(own, Tree())[name] == "/mine"
