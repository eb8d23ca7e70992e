"""What a job becomes on a backend that runs images."""

from dataclasses import replace

from trainshed.domain.instances import Instance
from trainshed.domain.plan import LaunchPlan, NodePlan
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.drivers.base import Capabilities
from trainshed.engine.planning import Site, Unplannable, plan
from trainshed.testing.jobs import NOON, job

GIB = 1 << 30
ATTEMPT = Attempt(number=1, backend="docker", started=NOON)
CONTAINERS = Capabilities(
    max_nodes=4,
    runtime="docker",
    engine="unix:///run/engine.sock",
    images=(("*.dkr.ecr.*/tensorflow-training:1.14*", "own/tf:1"),),
    instances=(("ml.p3.*", Instance(cpus=2, memory=GIB, shm=GIB // 4)),),
    container_host="169.254.170.2",
    grace=5.0,
)


def node(asked: TrainingJob, capabilities: Capabilities = CONTAINERS) -> NodePlan:
    made = planned(asked, capabilities)
    assert isinstance(made, LaunchPlan)
    return made.nodes[0]


def planned(asked: TrainingJob, capabilities: Capabilities) -> LaunchPlan | Unplannable:
    site = Site(
        server_url="http://127.0.0.1:7070",
        secret="secret",
        objects={},
        capabilities={"docker": capabilities},
    )
    return plan(asked, ATTEMPT, site)


def of_type(instance_type: str) -> TrainingJob:
    resources = {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 50}
    plain = job()
    return replace(plain, request={**plain.request, "ResourceConfig": resources})


def test_an_image_runs_as_it_is_called() -> None:
    made = node(job())
    assert (made.runtime, made.image, made.environment_path) == ("docker", "image", "")
    assert made.notes == ()
    assert (made.engine, made.grace) == ("unix:///run/engine.sock", 5.0)


def test_an_aliased_image_runs_in_its_place_and_the_log_is_told() -> None:
    asked = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:1.14-gpu-py3"
    made = node(job(AlgorithmSpecification={"TrainingImage": asked}))
    assert made.image == "own/tf:1"
    assert made.notes == (f"instead of the image '{asked}' runs own/tf:1, as this server is set",)


def test_an_instance_type_is_what_the_catalogue_has_unless_the_backend_says_otherwise() -> None:
    catalogued = node(of_type("ml.m5.large")).resources
    assert catalogued is not None
    assert (catalogued.cpus, catalogued.memory, catalogued.gpus) == (2, 8 * GIB, 0)
    assert (catalogued.shm, catalogued.volume) == (0, 50 * GIB)
    told = node(of_type("ml.p3.8xlarge")).resources
    assert told is not None
    assert (told.cpus, told.memory, told.gpus, told.shm) == (2, GIB, 0, GIB // 4)


def test_an_instance_type_that_nobody_knows_is_refused_with_the_way_out() -> None:
    refused = planned(of_type("ml.z9.huge"), CONTAINERS)
    assert isinstance(refused, Unplannable)
    assert "'ml.z9.huge'" in refused.reason
    assert "[backends.docker.instances]" in refused.reason
    site = Site(server_url="", secret="", objects={}, capabilities={"k8s": CONTAINERS})
    elsewhere = plan(of_type("ml.unheard.of"), replace(ATTEMPT, backend="k8s"), site)
    assert isinstance(elsewhere, Unplannable)
    assert "[backends.k8s.instances]" in elsewhere.reason


def test_the_jobs_own_wish_for_shared_memory_wins() -> None:
    made = node(replace(of_type("ml.p3.8xlarge"), shm=2 * GIB)).resources
    assert made is not None
    assert made.shm == 2 * GIB


def test_containers_reach_the_server_at_the_backends_address() -> None:
    assert node(job()).container_url == "http://169.254.170.2:7070"
    assert node(job()).server_url == "http://127.0.0.1:7070"
    assert node(job(), replace(CONTAINERS, container_host="")).container_url == ""


def test_isolation_is_planned_and_needs_no_note() -> None:
    made = node(job(EnableNetworkIsolation=True))
    assert made.isolated
    assert made.notes == ()


def test_a_plan_survives_its_way_to_the_agent() -> None:
    made = node(of_type("ml.p3.8xlarge"))
    assert NodePlan.from_json(made.to_json()) == made


def test_the_nodes_of_an_attempt_share_a_secret_that_no_other_attempt_knows() -> None:
    site = Site(
        server_url="http://127.0.0.1:7070",
        secret="secret",
        objects={},
        capabilities={"docker": CONTAINERS},
    )
    first, second = (plan(job(nodes=2), replace(ATTEMPT, number=n), site) for n in (1, 2))
    assert isinstance(first, LaunchPlan)
    assert isinstance(second, LaunchPlan)
    assert len({each.attempt_secret for each in first.nodes}) == 1
    assert len({each.attempt_secret for each in (*first.nodes, *second.nodes)}) == 2
    assert len(first.nodes[0].attempt_secret) >= 32
