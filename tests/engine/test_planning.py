"""What a job becomes before anything runs."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.plan import LaunchPlan, NodePlan
from trainshed.domain.training import Attempt, SecondaryStatus
from trainshed.drivers.base import Capabilities
from trainshed.engine.planning import Site, Unplannable, mapped_image, plan
from trainshed.testing.jobs import NOON, job

SITE = Site(
    server_url="http://127.0.0.1:7070",
    secret="secret",
    objects={"endpoint": "http://127.0.0.1:7070"},
    capabilities={"local": Capabilities(max_nodes=4, images=(("*", "/usr/bin/python3"),))},
)
ATTEMPT = Attempt(number=1, backend="local", started=NOON)


def planned(asked: LaunchPlan | Unplannable) -> LaunchPlan:
    assert isinstance(asked, LaunchPlan)
    return asked


def test_every_instance_becomes_a_node_with_a_stream_and_a_token_of_its_own() -> None:
    nodes = planned(plan(job(nodes=3), ATTEMPT, SITE)).nodes
    assert [node.host for node in nodes] == ["algo-1", "algo-2", "algo-3"]
    assert {node.hosts for node in nodes} == {("algo-1", "algo-2", "algo-3")}
    assert nodes[1].log_stream == f"digits/algo-2-{int(NOON.timestamp()) * 1000}"
    assert len({node.token for node in nodes}) == 3


def test_hosts_are_dealt_to_instance_groups_in_order() -> None:
    groups = [
        {"InstanceGroupName": "gpu", "InstanceType": "ml.p3.2xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "cpu", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
    ]
    mixed = job()
    mixed = replace(mixed, request={**mixed.request, "ResourceConfig": {"InstanceGroups": groups}})
    nodes = planned(plan(mixed, ATTEMPT, SITE)).nodes
    assert [(node.host, node.instance_group, node.instance_type) for node in nodes] == [
        ("algo-1", "gpu", "ml.p3.2xlarge"),
        ("algo-2", "cpu", "ml.c5.xlarge"),
        ("algo-3", "cpu", "ml.c5.xlarge"),
    ]


def test_a_job_that_names_its_program_is_in_script_mode_unless_it_has_an_entrypoint() -> None:
    scripted = job(HyperParameters={"sagemaker_program": '"train.py"'})
    assert planned(plan(scripted, ATTEMPT, SITE)).nodes[0].script_mode
    algorithm = {"TrainingImage": "image", "ContainerEntrypoint": ["/bin/sh"]}
    own = job(HyperParameters={"sagemaker_program": "x"}, AlgorithmSpecification=algorithm)
    assert not planned(plan(own, ATTEMPT, SITE)).nodes[0].script_mode


def test_the_log_is_told_that_no_image_runs_and_what_runs_instead() -> None:
    notes = planned(plan(job(), ATTEMPT, SITE)).nodes[0].notes
    assert "instead of the image 'image' runs /usr/bin/python3" in notes[0]


def test_the_log_is_told_what_was_asked_for_and_is_not_kept() -> None:
    isolated = job(EnableNetworkIsolation=True)
    notes = planned(plan(isolated, ATTEMPT, SITE)).nodes[0].notes
    assert [note.split()[0] for note in notes[2:]] == ["EnableNetworkIsolation"]


def test_nodes_are_of_the_type_that_the_attempt_got() -> None:
    second_choice = replace(ATTEMPT, instance_type="ml.c5.xlarge")
    node = planned(plan(job(), second_choice, SITE)).nodes[0]
    assert node.instance_type == "ml.c5.xlarge"
    assert node.instance_groups[0]["instance_type"] == "ml.c5.xlarge"


def test_the_time_limit_counts_over_all_attempts() -> None:
    def at(seconds: float) -> datetime:
        return NOON + timedelta(seconds=seconds)

    trained = job(StoppingCondition={"MaxRuntimeInSeconds": 600})
    moves = [("Training", 10), ("Interrupted", 310), ("Starting", 400)]
    for status, seconds in moves:
        trained = trained.moved_to(SecondaryStatus(status), at=at(seconds))
    second = Attempt(number=2, backend="local", started=at(400))
    assert planned(plan(trained, second, SITE)).nodes[0].max_runtime == 300
    later = trained.moved_to(SecondaryStatus.TRAINING, at=at(450))
    assert planned(plan(later, second, SITE)).nodes[0].max_runtime == 300
    spent = later.moved_to(SecondaryStatus.INTERRUPTED, at=at(900))
    third = Attempt(number=3, backend="local", started=at(900))
    assert planned(plan(spent, third, SITE)).nodes[0].max_runtime == 1


def test_an_image_that_nothing_is_mapped_to_is_named_in_the_refusal() -> None:
    images = (("*pytorch*", "/opt/torch"),)
    site = replace(SITE, capabilities={"local": Capabilities(max_nodes=1, images=images)})
    refused = plan(job(), ATTEMPT, site)
    assert isinstance(refused, Unplannable)
    assert "the image 'image'" in refused.reason
    assert "[backends.local.images]" in refused.reason


def test_a_backend_that_is_gone_is_named_with_those_that_are_there() -> None:
    refused = plan(job(), replace(ATTEMPT, backend="gpu"), SITE)
    assert refused == Unplannable("ClientError: the backend 'gpu' is not configured; known: local")


def test_the_closest_pattern_maps_an_image() -> None:
    images = (("*", "python"), ("*.dkr.ecr.*/pytorch*", "/torch"))
    ecr = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.0"
    assert mapped_image(ecr, images) == "/torch"
    assert mapped_image("anything", images) == "python"
    assert mapped_image("anything", images[1:]) is None


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=5),
    st.integers(1, 4),
)
def test_a_plan_survives_its_way_to_the_agent(values: dict[str, str], nodes: int) -> None:
    launch = planned(plan(job(nodes=nodes, HyperParameters=values), ATTEMPT, SITE))
    for node in launch.nodes:
        assert NodePlan.from_json(node.to_json()) == node
