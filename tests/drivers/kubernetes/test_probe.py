"""What is made of a pod that asks for the server, however it goes with it."""

from typing import Any

import pytest

from trainshed.drivers.kubernetes import probe
from trainshed.drivers.kubernetes.options import KubernetesBackend, Toleration

URL = "http://10.0.0.1:7070"


def pod(state: dict[str, Any], *said: str) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "message": each} for each in said]
    return {"status": {"containerStatuses": [{"state": state}], "conditions": conditions}}


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], None),
        ([{"status": {"phase": "Pending"}}], None),
        ([pod({"running": {}})], None),
        ([pod({"waiting": {"reason": "ContainerCreating"}})], None),
        ([pod({"terminated": {"exitCode": 0}})], ""),
        (
            [pod({"terminated": {"exitCode": 1, "message": "timed out\n"}})],
            f"pods can't reach this server at {URL}: timed out",
        ),
        (
            [pod({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})],
            f"pods can't reach this server at {URL}: OOMKilled",
        ),
        (
            [pod({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})],
            "the agent's image does not run there: no such image",
        ),
    ],
)
def test_an_end_is_told_and_nothing_before_it(pods: list[dict[str, Any]], said: str | None) -> None:
    assert probe.outcome(pods, URL) == said


def test_a_pod_that_never_begins_says_what_the_cluster_says_of_it() -> None:
    assert "made no pod" in probe.at_last([])
    assert "Insufficient cpu" in probe.at_last([pod({}, "0/3 nodes: Insufficient cpu")])
    assert "does not say why" in probe.at_last([pod({})])


def test_it_is_made_where_and_as_whom_nodes_are() -> None:
    options = KubernetesBackend(
        server_url=URL,
        agent_image="agents:1",
        agent_pull="always",
        service_account="trainers",
        image_pull_secrets=("registry",),
        node_selector={"pool": "a"},
        tolerations=(Toleration(key="gpu", operator="Exists"),),
    )
    spec = probe.job("p", options)["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "trainers"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"pool": "a"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    [container] = spec["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("agents:1", "Always")
    assert container["command"][-1] == URL
    assert container["securityContext"]["runAsUser"] == 0
