"""Where a job's server is, as its object and the Secret tell it."""

from base64 import b64encode
from typing import Any

import pytest

from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.routes import (
    Direct,
    Proxied,
    Told,
    in_cluster,
    is_amazons,
    look_up,
    routes,
    told,
)
from trainshed.testing.api_server import ApiServer

SERVICE = Proxied(namespace="trainshed-system", service="trainshed", port=7070)


def secret(**texts: str) -> dict[str, Any]:
    return {"data": {name: b64encode(text.encode()).decode() for name, text in texts.items()}}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://trainshed.trainshed-system.svc:7070", SERVICE),
        ("http://trainshed.trainshed-system.svc.cluster.local:7070/", SERVICE),
        ("https://a.b.svc", Proxied(namespace="b", service="a", port=443, scheme="https")),
        ("http://a.b.svc", Proxied(namespace="b", service="a", port=80)),
        ("http://localhost:7070", None),
        ("https://trainshed.example.com", None),
        ("http://trainshed.lab:7070", None),
        ("http://172.17.0.1:7070", None),
        ("http://a.b.svc:port", None),
    ],
)
def test_an_address_within_the_cluster_is_one_of_a_service(url: str, found: Proxied | None) -> None:
    assert in_cluster(url) == found


def test_a_service_has_a_path_at_the_api_server() -> None:
    assert SERVICE.path == "/api/v1/namespaces/trainshed-system/services/trainshed:7070/proxy/"
    tls = Proxied(namespace="b", service="a", port=443, scheme="https")
    assert tls.path == "/api/v1/namespaces/b/services/https:a:443/proxy/"


@pytest.mark.parametrize(
    ("endpoint", "told", "found"),
    [
        ("", None, []),
        ("", Told(service=SERVICE), [SERVICE]),
        (
            "",
            Told(url="https://t.example/", service=SERVICE),
            [Direct(url="https://t.example"), SERVICE],
        ),
        ("http://127.0.0.1:7070/", None, [Direct(url="http://127.0.0.1:7070")]),
        ("http://127.0.0.1:7070", Told(service=SERVICE), [Direct(url="http://127.0.0.1:7070")]),
        ("http://trainshed.trainshed-system.svc:7070", None, [SERVICE]),
        (
            "http://trainshed.trainshed-system.svc:7070",
            Told(url="https://t.example", service=SERVICE),
            [Direct(url="https://t.example"), SERVICE],
        ),
        ("https://api.sagemaker.us-east-1.amazonaws.com", Told(service=SERVICE), []),
    ],
)
def test_the_object_goes_before_the_secret(
    endpoint: str, told: Told | None, found: list[Direct | Proxied]
) -> None:
    assert routes(endpoint, told) == found


def test_the_clouds_own_endpoints_are_known() -> None:
    assert is_amazons("https://sagemaker.us-east-1.api.aws")
    assert is_amazons("https://api.sagemaker.cn-north-1.amazonaws.com.cn")
    assert not is_amazons("https://amazonaws.com.example.org")
    assert not is_amazons("")


def test_a_secret_tells_of_the_service_beside_it(api: ApiServer, cluster: Cluster) -> None:
    texts = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s\n", "service": "trainshed"}
    api.put("secrets", "trainshed-system", "trainshed-logs", **secret(**texts))
    found, troubles = look_up(cluster, "")
    assert found == Told(service=SERVICE, access_key="AK", secret_key="s")
    assert troubles == []


def test_the_secret_of_the_objects_namespace_goes_first(api: ApiServer, cluster: Cluster) -> None:
    for place in ("trainshed-system", "mine", "lab"):
        api.put("secrets", place, "trainshed-logs", **secret(url=f"http://{place}"))
    assert look_up(cluster, "mine")[0] == Told(url="http://lab")
    del api.objects["/api/v1/namespaces/lab/secrets/trainshed-logs"]
    assert look_up(cluster, "mine")[0] == Told(url="http://mine")


def test_a_secret_that_may_not_be_read_is_told_of(api: ApiServer, cluster: Cluster) -> None:
    api.forbidden.add("/api/v1/namespaces/trainshed-system/secrets/.*")
    found, troubles = look_up(cluster, "")
    assert found is None
    assert len(troubles) == 1
    assert "trainshed-system/secrets/trainshed-logs" in troubles[0]


def test_a_secret_that_makes_no_sense_is_told_of(api: ApiServer, cluster: Cluster) -> None:
    api.put("secrets", "lab", "trainshed-logs", **secret(service="a", port="seven"))
    assert "port: 'seven' is no number" in look_up(cluster, "")[1][0]
    with pytest.raises(ValueError, match="url is no text in base64"):
        told({"metadata": {"namespace": "lab"}, "data": {"url": "%"}})
