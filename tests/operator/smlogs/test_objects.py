"""What an object tells of its job, and what is said when there is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.client.errors import JobNotFound, ServerUnreachable
from trainshed.operator.smlogs import kubeconfig
from trainshed.operator.smlogs.cluster import Cluster, Forbidden
from trainshed.operator.smlogs.objects import NotInstalled, find, near_names, read
from trainshed.operator.smlogs.subjects import PROCESSING, TRAINING, TRANSFORM
from trainshed.operator.smlogs.words import Typed
from trainshed.testing.api_server import ApiServer

SPEC = {"region": "us-east-2", "trainingJobName": "digits-cf1e"}
STATUS = {"trainingJobStatus": "InProgress", "secondaryStatus": "Starting"}


def conditions(*told: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [{"type": t, "status": s, "reason": r, "message": f"why {r}"} for t, s, r in told]


def test_the_heading_is_what_it_always_was() -> None:
    job = read(TRAINING, {"metadata": {"name": "digits"}, "spec": SPEC, "status": STATUS})
    assert job.heading() == (
        '"digits" has SageMaker TrainingJobName "digits-cf1e" in region "us-east-2", '
        'status "InProgress" and secondary status "Starting"'
    )


def test_a_transform_jobs_heading_has_no_secondary_status() -> None:
    spec = {"region": "us-east-2", "transformJobName": "batch-cf1e"}
    content = {"metadata": {"name": "b"}, "spec": spec, "status": {"transformJobStatus": "Failed"}}
    assert read(TRANSFORM, content).heading() == (
        '"b" has SageMaker TransformJobName "batch-cf1e" in region "us-east-2", status "Failed"'
    )


def test_a_kind_without_a_name_in_its_spec_has_it_in_its_status() -> None:
    content = {"spec": {"region": "r"}, "status": {"sageMakerProcessingJobName": "p-cf1e"}}
    assert read(PROCESSING, content).resource == "p-cf1e"


def test_an_object_that_nobody_touched_tells_nothing() -> None:
    job = read(TRAINING, {"metadata": {"name": "digits"}, "spec": {"region": "r"}})
    assert (job.resource, job.status, job.over, job.hopeless) == ("", "", False, "")


@pytest.mark.parametrize(
    ("told", "hopeless"),
    [
        (conditions(("Ready", "False", "BadSpec"), ("Stalled", "True", "BadSpec")), "why BadSpec"),
        (conditions(("Ready", "False", "InProgress"), ("Stalled", "True", "Edited")), ""),
        (conditions(("Ready", "False", "X"), ("Stalled", "False", "X")), ""),
    ],
)
def test_only_an_object_that_is_stuck_is_hopeless(told: list[Any], hopeless: str) -> None:
    status = {**STATUS, "conditions": told}
    assert read(TRAINING, {"spec": SPEC, "status": status}).hopeless == hopeless


def test_an_object_is_found_in_its_namespace(api: ApiServer, cluster: Cluster) -> None:
    api.put("trainingjobs", "lab", "digits", spec=SPEC)
    api.put("trainingjobs", "other", "digits", spec={"region": "elsewhere"})
    assert find(cluster, TRAINING, "digits").region == "us-east-2"


def test_a_name_that_is_not_there_is_told_with_those_near_it(
    api: ApiServer, cluster: Cluster
) -> None:
    for name in ("digits-7", "mnist"):
        api.put("trainingjobs", "lab", name, spec=SPEC)
    with pytest.raises(JobNotFound) as refused:
        find(cluster, TRAINING, "digits")
    assert str(refused.value) == (
        'no TrainingJob is called "digits" in the namespace "lab"; near it: digits-7'
    )
    assert refused.value.remedy == "kubectl get trainingjobs -n lab"


def test_a_name_of_another_namespace_is_found_there(api: ApiServer, cluster: Cluster) -> None:
    api.put("trainingjobs", "other", "digits", spec=SPEC)
    with pytest.raises(JobNotFound, match="but in other") as refused:
        find(cluster, TRAINING, "digits")
    assert refused.value.remedy == "-n other"


def test_who_may_not_list_is_told_as_much_as_can_be(api: ApiServer, cluster: Cluster) -> None:
    api.forbidden |= {".*/trainingjobs"}
    with pytest.raises(JobNotFound, match='no TrainingJob is called "digits"'):
        find(cluster, TRAINING, "digits")


def test_who_may_not_read_is_told_so(api: ApiServer, cluster: Cluster) -> None:
    api.forbidden |= {".*/trainingjobs/.*"}
    with pytest.raises(Forbidden, match="cannot get"):
        find(cluster, TRAINING, "digits")


def test_a_cluster_without_the_definitions_is_told_so(api: ApiServer, cluster: Cluster) -> None:
    api.kinds = []
    with pytest.raises(NotInstalled, match="resource definitions are not installed"):
        find(cluster, TRAINING, "digits")


def test_a_cluster_with_older_definitions_is_told_so(api: ApiServer, cluster: Cluster) -> None:
    with pytest.raises(NotInstalled, match="but no processingjobs"):
        find(cluster, PROCESSING, "digits")


def test_who_is_not_known_is_told_so(api: ApiServer, cluster: Cluster) -> None:
    api.tokens.add("right")
    with pytest.raises(Forbidden, match="does not know who asks"):
        find(cluster, TRAINING, "digits")


def test_an_api_server_that_does_not_answer_is_told_of() -> None:
    typed = Typed(server="http://127.0.0.1:1")
    gone = Cluster(kubeconfig.find(typed, {"KUBECONFIG": "/nowhere"}))
    with pytest.raises(ServerUnreachable, match=r"http://127\.0\.0\.1:1 does not answer"):
        find(gone, TRAINING, "digits")


@given(st.text("abc-", max_size=6), st.lists(st.text("abc-", min_size=1, max_size=6)))
def test_near_names_are_few_and_there(name: str, names: list[str]) -> None:
    near = near_names(name, names)
    assert len(near) <= 3
    assert set(near) <= set(names)
