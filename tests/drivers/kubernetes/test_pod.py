"""What a node's pod is made of: the contract's container, and the agent beside it."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from msgspec import convert

from trainshed.domain import pods
from trainshed.domain.errors import DriverError
from trainshed.domain.plan import NodePlan, Resources
from trainshed.drivers.kubernetes import manifests, pod
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.testing.plans import node_plan

NODE = "a1b2.1.algo-1"
OWNER = Lease(metadata=ObjectMeta(name="ts-a1b2-1-algo-1", uid="u-1"))
SOME = Resources(cpus=1.5, memory=4 << 30, gpus=2, shm=1 << 30, volume=30 << 30)
SCRIPT = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b/source.tar.gz"}
FSX = {
    "FileSystemId": "fs-1",
    "FileSystemType": "FSxLustre",
    "DirectoryPath": "/fsx/data/mnist",
    "FileSystemAccessMode": "ro",
}


def options(**told: Any) -> KubernetesBackend:
    plain = {"server_url": "http://10.0.0.1:7070", "agent_image": "agent:1"}
    return convert({**plain, **told}, KubernetesBackend)


def plan(**changes: Any) -> NodePlan:
    told = {"node_id": NODE, "image": "img:1", "runtime": "sibling", **changes}
    return node_plan(Path("/data"), server_url="http://10.0.0.1:7070", token="t", **told)


def spec(the_plan: NodePlan, **told: Any) -> dict[str, Any]:
    return pod.spec(the_plan, options(**told), "ml").to_dict()


def main(found: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in found["containers"] if each["name"] == pods.MAIN)


def agents(found: dict[str, Any]) -> list[dict[str, Any]]:
    both = [*found["initContainers"], *found["containers"]]
    return [each for each in both if each["name"] != pods.MAIN]


def mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["mountPath"]: each for each in container["volumeMounts"]}


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_the_users_container_is_the_contracts_and_nothing_of_ours_is_in_front_of_it() -> None:
    found = main(spec(plan(entrypoint=None, resources=SOME)))
    assert found["image"] == "img:1"
    assert found["args"] == ["train"]
    assert "command" not in found
    limits = {"cpu": "1500m", "memory": str(4 << 30), "nvidia.com/gpu": "2"}
    assert found["resources"] == {"limits": limits, "requests": limits}
    seen = {path: each.get("subPath") for path, each in mounts(found).items()}
    assert seen == {
        "/opt/ml/input": "ml/input",
        "/opt/ml/model": "ml/model",
        "/opt/ml/output": "ml/output",
        "/opt/ml/checkpoints": "ml/checkpoints",
        "/dev/shm": None,
    }
    assert variables(found)["TRAINING_JOB_NAME"] == "job-1"


def test_entrypoint_and_arguments_of_the_request_replace_the_images() -> None:
    found = main(spec(plan(entrypoint=("/run.sh", "a"), arguments=("b", "c"))))
    assert (found["command"], found["args"]) == (["/run.sh", "a"], ["b", "c"])


@given(st.lists(st.text(alphabet="$(){}AB x", max_size=12), min_size=1, max_size=3))
def test_the_cluster_replaces_nothing_in_a_command(words: list[str]) -> None:
    assert [expanded(pod.literal(word), {"A": "wrong", "B": "wrong"}) for word in words] == words


def expanded(text: str, known: dict[str, str]) -> str:
    """Replace ``$(NAME)`` as a kubelet does: ``$$`` is a dollar, what is unknown stays."""
    found, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            found, at = found + text[at], at + 1
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at)
            name = text[at + 2 : end]
            found, at = found + known.get(name, f"$({name})"), end + 1
        else:
            found, at = found + ("$" if text[at + 1] == "$" else f"${text[at + 1]}"), at + 2
    return found


def test_only_agents_have_credentials_of_the_cluster_and_the_plan() -> None:
    found = spec(plan())
    assert found["automountServiceAccountToken"] is False
    hidden = {pods.CREDENTIALS, str(Path(pods.PLAN_FILE).parent), pods.NODE_FOLDER}
    assert not hidden & set(mounts(main(found)))
    assert [hidden <= set(mounts(each)) for each in agents(found)] == [True, True]
    words = [each["command"][-1] for each in agents(found)]
    assert words == ["--stage", "--keep"]
    told = variables(agents(found)[0])
    assert told[pods.POD_UID_VARIABLE] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_what_a_container_proves_itself_by_is_in_the_secret_alone() -> None:
    keys = {"access_key": "AK", "secret_key": "very secret", "session_token": "token of it"}
    the_plan = plan(container_keys=keys, environment={"MINE": "very secret"})
    found = spec(the_plan)
    told = variables(main(found))
    assert told["MINE"] == "very secret"  # as the request has it
    assert told["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["name"] == "ts-a1b2-1-algo-1"
    del told["MINE"]
    assert "very secret" not in json.dumps(found).replace('"MINE", "value": "very secret"', "")
    data = manifests.secret(the_plan, "k8s", options(), OWNER).to_dict()["data"]
    key = told["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["key"]
    assert b64decode(data[key]).decode() == "very secret"
    assert NodePlan.from_json(b64decode(data["plan.json"]).decode()) == the_plan


def test_script_mode_lays_the_toolkit_and_the_code_into_the_image() -> None:
    found = main(spec(plan(script_mode=True, hyperparameters=SCRIPT, entrypoint=None)))
    seen = mounts(found)
    assert seen["/usr/bin/train"]["subPath"] == "toolkit/train"
    assert seen["/opt/trainshed/sourcedir.tar.gz"]["subPath"] == "toolkit/sourcedir.tar.gz"
    assert "readOnly" not in seen["/opt/ml/code"]
    assert variables(found)["TRAINSHED_SOURCE_ARCHIVE"] == "/opt/trainshed/sourcedir.tar.gz"


def test_code_of_the_image_stays_where_it_is() -> None:
    code = {**SCRIPT, "sagemaker_submit_directory": "/opt/ml/code"}
    found = main(spec(plan(script_mode=True, hyperparameters=code, entrypoint=None)))
    assert "/opt/ml/code" not in mounts(found)
    assert "TRAINSHED_SOURCE_ARCHIVE" not in variables(found)


def test_several_mpi_hosts_share_a_secret_that_only_they_read() -> None:
    mpi = {**SCRIPT, "sagemaker_mpi_enabled": "true"}
    the_plan = plan(
        script_mode=True, hyperparameters=mpi, hosts=("algo-1", "algo-2"), attempt_secret="s" * 40
    )
    found = spec(the_plan)
    assert "secretKeyRef" in variables(main(found))["TRAINSHED_MPI_SECRET"]
    assert "s" * 40 not in json.dumps(found)


def test_checkpoints_lie_where_the_request_has_them() -> None:
    request = {"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/elsewhere/"}}
    assert mounts(main(spec(plan(request=request))))["/elsewhere"]["subPath"] == "ml/checkpoints"


def test_disk_and_shared_memory_have_the_size_that_was_asked_for() -> None:
    volumes = {each["name"]: each for each in spec(plan(resources=SOME))["volumes"]}
    assert volumes["node"]["emptyDir"] == {"sizeLimit": str(30 << 30)}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": str(1 << 30)}
    half = Resources(cpus=1, memory=4 << 30)
    volumes = {each["name"]: each for each in spec(plan(resources=half))["volumes"]}
    assert volumes["node"]["emptyDir"] == {}
    assert volumes["shm"]["emptyDir"]["sizeLimit"] == str(2 << 30)


def test_hosts_of_one_attempt_find_each_other_by_their_bare_names() -> None:
    the_plan = plan(hosts=("algo-1", "algo-2"))
    found = spec(the_plan, cluster_domain="example.net")
    assert (found["hostname"], found["subdomain"]) == ("algo-1", "ts-a1b2-1")
    assert found["dnsConfig"] == {"searches": ["ts-a1b2-1.ml.svc.example.net"]}
    service = manifests.service(the_plan, "k8s", OWNER)
    assert service is not None
    told = service.to_dict()
    assert told["metadata"]["name"] == "ts-a1b2-1"
    assert told["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {pods.ATTEMPT_LABEL: "a1b2.1"},
    }


def test_a_host_alone_needs_no_service() -> None:
    found = spec(plan())
    assert found["hostname"] == "algo-1"
    assert "subdomain" not in found
    assert manifests.service(plan(), "k8s", OWNER) is None


def test_an_instance_type_says_where_a_pod_may_run() -> None:
    size = {
        "cpus": 2,
        "memory": "8g",
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "runtime_class": "nvidia",
    }
    told = {
        "node_selector": {"zone": "a"},
        "instances": {"ml.g5.*": size},
        "unreachable_seconds": 30,
        "priority_class": "batch",
        "image_pull_secrets": ["registry"],
    }
    found = spec(plan(instance_type="ml.g5.xlarge"), **told)
    assert found["nodeSelector"] == {"zone": "a", "pool": "gpu"}
    assert found["runtimeClassName"] == "nvidia"
    assert found["priorityClassName"] == "batch"
    assert found["imagePullSecrets"] == [{"name": "registry"}]
    own, *lost = found["tolerations"]
    assert own == {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert {each["tolerationSeconds"] for each in lost} == {30}
    assert spec(plan(), **told)["nodeSelector"] == {"zone": "a"}


def test_a_role_names_the_account_that_pods_run_as() -> None:
    told = {"service_accounts": {"*:role/Teams*": "teams"}, "service_account": "others"}
    request = {"RoleArn": "arn:aws:iam::123456789012:role/TeamsA"}
    assert spec(plan(request=request), **told)["serviceAccountName"] == "teams"
    assert spec(plan(), **told)["serviceAccountName"] == "others"


def test_channels_of_file_systems_are_volumes() -> None:
    channel = {"ChannelName": "train", "DataSource": {"FileSystemDataSource": FSX}}
    the_plan = plan(channels=(channel,), file_systems={"fs-2": "/mnt/of/the/server"})
    found = spec(the_plan, file_systems={"fs-1": "pvc://datasets"})
    mounted = mounts(main(found))["/opt/ml/input/data/train"]
    assert (mounted["subPath"], mounted["readOnly"]) == ("data/mnist", True)
    volume = next(each for each in found["volumes"] if each["name"] == mounted["name"])
    assert volume["persistentVolumeClaim"] == {"claimName": "datasets"}
    found = spec(the_plan, file_systems={"fs-1": "nfs://files.example.com/export/a"})
    volume = next(each for each in found["volumes"] if each["name"].startswith("fs-"))
    assert volume["nfs"] == {"server": "files.example.com", "path": "/export/a"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"FileSystemId": "fs-2"}, "nothing stands for the file system fs-2 on this cluster"),
        ({"DirectoryPath": "/fsx/../../etc"}, "leads out of its file system"),
    ],
)
def test_a_file_system_that_cannot_be_mounted_is_refused(change: dict[str, str], says: str) -> None:
    channel = {"ChannelName": "train", "DataSource": {"FileSystemDataSource": {**FSX, **change}}}
    the_plan = plan(channels=(channel,), file_systems={"fs-2": "/mnt/of/the/server"})
    with pytest.raises(DriverError, match=says):
        spec(the_plan, file_systems={"fs-1": "pvc://datasets"})


def test_everything_bears_labels_and_goes_with_the_claim() -> None:
    the_plan = plan(hosts=("algo-1", "algo-2"), isolated=True)
    told = options(isolation_allows=("10.0.0.0/8",), labels={"team": "a"})
    made: list[Any] = [
        manifests.secret(the_plan, "k8s", told, OWNER),
        manifests.job(the_plan, "k8s", told, OWNER, "ml"),
        manifests.service(the_plan, "k8s", OWNER),
        manifests.policy(the_plan, "k8s", told, OWNER),
    ]
    for each in made:
        metadata = each.to_dict()["metadata"]
        assert metadata["labels"][pods.BACKEND_LABEL] == "k8s"
        assert metadata["labels"][pods.ATTEMPT_LABEL] == "a1b2.1"
        assert [owner["uid"] for owner in metadata["ownerReferences"]] == ["u-1"]
    job = made[1].to_dict()
    assert job["spec"]["backoffLimit"] == 0
    template = job["spec"]["template"]
    assert template["spec"]["restartPolicy"] == "Never"
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
    assert template["metadata"]["labels"][pods.NODE_LABEL] == NODE


def test_a_queue_of_kueue_begins_the_job() -> None:
    made = manifests.job(plan(), "k8s", options(), OWNER, "ml")
    told = manifests.queued(made, "team-a").to_dict()
    assert told["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert told["spec"]["suspend"] is True


def test_an_isolated_job_reaches_its_own_nodes_and_what_its_agents_need() -> None:
    told = options(isolation_allows=("10.0.0.1/32",))
    policy = manifests.policy(plan(isolated=True), "k8s", told, OWNER)
    assert policy is not None
    rules = policy.to_dict()["spec"]
    own = {"podSelector": {"matchLabels": {pods.ATTEMPT_LABEL: "a1b2.1"}}}
    assert rules["policyTypes"] == ["Ingress", "Egress"]
    assert rules["ingress"] == [{"from": [own]}]
    assert rules["egress"][0] == {"to": [own, {"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    assert {each["port"] for each in rules["egress"][1]["ports"]} == {53}
    assert "holds where the cluster's network heeds" in noted(plan(isolated=True), told)


def test_what_a_cluster_cannot_do_is_said_in_the_jobs_log() -> None:
    assert manifests.policy(plan(isolated=True), "k8s", options(), OWNER) is None
    assert "not kept here" in noted(plan(isolated=True), options())
    assert "no folder is kept between jobs" in noted(plan(warm_pool="a.1"), options())
    assert noted(plan(), options()) == ""


def noted(the_plan: NodePlan, told: KubernetesBackend) -> str:
    return "\n".join(manifests.noted(the_plan, told).notes)


def test_a_tombstone_is_a_claim_that_nobody_can_take() -> None:
    stone = manifests.tombstone(NODE, "k8s", datetime(2026, 1, 1, tzinfo=UTC)).to_dict()
    assert stone["spec"]["holderIdentity"] == pods.REMOVED
    assert stone["metadata"]["name"] == "ts-a1b2-1-algo-1"
    assert stone["spec"]["renewTime"] == "2026-01-01T00:00:00.000001Z"
