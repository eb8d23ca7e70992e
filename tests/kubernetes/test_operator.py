"""Old manifests, applied with kubectl: an operator and a server of this machine run them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from tests.journeys.shed import BUCKET
from tests.kubernetes.cluster import Cluster, own_namespace, until
from tests.kubernetes.manifests import (
    CLASSIFIED,
    FOLDER,
    KIND,
    PAIRS,
    TRAINS,
    bert,
    changed,
    code,
    digits,
    filled,
    manifest,
    running,
)
from tests.kubernetes.operated import END, Operated, operated

pytestmark = pytest.mark.kubernetes

SLEEPS = "import time; print('begun', flush=True); time.sleep(600)"
FAILS = "import sys; open('/opt/ml/output/failure', 'w').write('no labels'); sys.exit(3)"


def passing(namespace: Cluster) -> str:
    """Return the name of a namespace that comes and goes; the operator works for it as well."""
    return f"{namespace.namespace}-passing"


@pytest.fixture(scope="module")
def at(
    namespace: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operated]:
    lease = ("--leader-election", "operator", "--leader-election-namespace", namespace.namespace)
    also = ("--namespace", passing(namespace))
    with operated(namespace, tmp_path_factory.mktemp("operated"), *lease, *also) as found:
        found.shed.put({"digits/train.csv": digits(), "pairs/train.tsv": PAIRS})
        yield found


def mnist(at: Operated, name: str) -> dict[str, object]:
    found = filled("training-tensorflow", hyperParameters=code(at.shed, TRAINS, "train.py"))
    found["metadata"]["name"] = name
    found["spec"]["inputDataConfig"][0]["dataSource"]["s3DataSource"]["s3Uri"] = (
        f"s3://{BUCKET}/digits"
    )
    return found


def test_the_mnist_manifest_trains_and_leaves_its_model(at: Operated, kubectl: Cluster) -> None:
    name = f"tf-mnist-{'new' if '/' in kubectl.program else 'old'}"
    said = kubectl.apply(mnist(at, name))
    assert f"trainingjob.sagemaker.aws.amazon.com/{name} created" in said.out
    at.wait(name, "Completed")
    row = kubectl.kubectl("get", KIND, name).lines
    assert row[0].split()[:5] == [
        "NAME",
        "STATUS",
        "SECONDARY-STATUS",
        "CREATION-TIME",
        "SAGEMAKER-JOB-NAME",
    ]
    uid = at.get(name)["metadata"]["uid"].replace("-", "")
    assert row[1].split()[:3] == [name, "Completed", "Completed"]
    assert row[1].split()[4] == f"{name}-{uid}"[:63]
    described = kubectl.kubectl("describe", KIND, name).out
    assert "Created training job" in described
    assert "Model Path" in described
    bucket, _, key = at.status(name)["modelPath"].removeprefix("s3://").partition("/")
    assert at.shed.s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > 100
    job = at.status(name)["sageMakerTrainingJobName"]
    assert any("accuracy=0.9" in line for line in at.shed.lines(job))
    at.delete(name)
    assert at.shed.describe(job)["TrainingJobStatus"] == "Completed"


def test_the_bert_manifest_runs_its_mpi_on_two_nodes_of_spot(at: Operated) -> None:
    made = bert(at.shed)
    name = made["metadata"]["name"]
    at.apply(made)
    at.wait(name, "Completed")
    job = at.status(name)["sageMakerTrainingJobName"]
    assert any(CLASSIFIED in line for line in at.shed.lines(job))
    told = at.shed.describe(job)
    assert told["ResourceConfig"]["InstanceCount"] == 2
    assert told["EnableManagedSpotTraining"]
    at.delete(name)


def test_a_job_is_of_the_region_that_its_manifest_names(at: Operated) -> None:
    at.apply(running("beijing", "print(1)", region="cn-north-1"))
    at.wait("beijing", "Completed")
    assert at.status("beijing")["trainingJobArn"].startswith("arn:aws-cn:sagemaker:cn-north-1:")
    at.delete("beijing")


def test_a_failing_program_ends_in_failed_with_its_reason(at: Operated) -> None:
    at.apply(running("fails", FAILS))
    at.wait("fails", "Failed")
    assert "no labels" in at.status("fails")["additional"]
    assert at.truths("fails")["Finished"] == "Failed"
    [event] = at.events("fails", "Failed")
    assert "no labels" in event["message"]
    assert event["type"] == "Warning"
    at.delete("fails")


def test_a_job_is_stopped_without_deleting_its_object(at: Operated) -> None:
    at.apply(running("stops", SLEEPS))
    until("it trains", lambda: at.status("stops").get("secondaryStatus") == "Training", END)
    at.cluster.kubectl("patch", KIND, "stops", "--type=merge", "-p", '{"spec":{"stop":true}}')
    at.wait("stops", "Stopped")
    assert at.status("stops")["trainingJobStatus"] == "Stopped"
    at.delete("stops")


def test_deleting_an_object_stops_its_job(at: Operated) -> None:
    at.apply(running("deleted", SLEEPS))
    until("it trains", lambda: at.status("deleted").get("secondaryStatus") == "Training", END)
    job = at.status("deleted")["sageMakerTrainingJobName"]
    at.delete("deleted")
    assert at.shed.describe(job)["TrainingJobStatus"] == "Stopped"


def test_an_edit_of_a_job_that_runs_is_refused_by_name(at: Operated) -> None:
    thing = running("edited", SLEEPS)
    at.apply(thing)
    until("it trains", lambda: at.status("edited").get("secondaryStatus") == "Training", END)
    at.apply(changed(thing, stoppingCondition={"maxRuntimeInSeconds": 60}))
    assert "stoppingCondition" in at.until_stalled("edited", "EditRefused")
    assert at.events("edited", "EditRefused")
    at.apply(thing)
    until("it is followed again", lambda: at.truths("edited").get("Synced") == "Followed", END)
    at.delete("edited")


def test_a_name_that_is_taken_is_told(at: Operated) -> None:
    at.apply(running("first", SLEEPS, trainingJobName="one-name"))
    until("it trains", lambda: at.status("first").get("secondaryStatus") == "Training", END)
    at.apply(running("second", SLEEPS, trainingJobName="one-name"))
    assert "trainshed.dev/adopt" in at.until_stalled("second", "NameInUse")
    at.delete("second")
    assert at.shed.describe("one-name")["TrainingJobStatus"] == "InProgress"
    at.delete("first")


def test_what_the_service_refuses_stalls_until_it_is_edited(at: Operated) -> None:
    resources = {"instanceCount": 1, "instanceType": "ml.huge", "volumeSizeInGB": 1}
    thing = running("refused", "print(1)", resourceConfig=resources)
    at.apply(thing)
    assert "ml.huge" in at.until_stalled("refused", "SpecRefused")
    assert at.events("refused", "SpecRefused")
    at.apply(changed(thing, resourceConfig={**resources, "instanceType": "ml.m5.large"}))
    at.wait("refused", "Completed")
    at.delete("refused")


def test_an_unknown_image_is_told(at: Operated) -> None:
    thing = running("no-image", SLEEPS)
    thing["spec"]["algorithmSpecification"]["trainingImage"] = "nobody/knows:1"
    at.apply(thing)
    at.wait("no-image", "Failed")
    assert "nobody/knows:1" in at.message("no-image", "Failed")
    at.delete("no-image")


def test_an_absent_service_is_told_once_and_holds_nothing_up(at: Operated) -> None:
    at.apply(running("nowhere", SLEEPS, sageMakerEndpoint="http://127.0.0.1:9"))
    until("nobody", lambda: "cannot be reached" in at.message("nowhere", "Synced"), END)
    assert at.events("nowhere", "ServiceUnreachable")[0]["count"] == 1
    at.delete("nowhere")


def test_a_region_that_is_none_says_what_to_correct(at: Operated) -> None:
    at.apply(running("astray", SLEEPS, region="nowhere land!"))
    assert "spec.region" in at.until_stalled("astray", "SpecRefused")
    at.delete("astray")


def test_every_training_manifest_as_it_is_says_what_is_missing_here(at: Operated) -> None:
    things = {}
    for path in sorted(FOLDER.glob("training*.yaml")):
        thing = things[path.stem] = manifest(path.stem)
        thing["metadata"]["name"] = path.stem
        thing["spec"].pop("sageMakerEndpoint", None)
        at.apply(thing)
    until(
        "each comes to an end, or stalls",
        lambda: all({"Stalled", "Finished"} & set(at.truths(name)) for name in things),
        END,
    )
    for name in things:
        told = at.status(name)
        assert len(told["additional"]) > 20, f"{name}: {told}"
        chosen = f"involvedObject.name={name},type=Warning"
        assert at.cluster.find("events", "--field-selector", chosen), name
        at.delete(name)


def test_other_kinds_say_so_and_go(at: Operated) -> None:
    names = ["tuning", "transform", "processing", "model", "endpoint-config", "hosting"]
    for name in (*names, "autoscaling"):
        thing = manifest(name)
        kind = f"{thing['kind'].lower()}.sagemaker.aws.amazon.com"
        at.apply(thing)
        assert "not run" in at.until_stalled(thing["metadata"]["name"], "NotOffered", kind)
        at.delete(thing["metadata"]["name"], kind)


def test_an_object_in_another_namespace_is_left_alone(at: Operated) -> None:
    with own_namespace(at.cluster, "operator-elsewhere") as elsewhere:
        elsewhere.apply(running("elsewhere", "print(1)"))
        at.apply(running("here", "print(1)"))
        at.wait("here", "Completed")
        left = elsewhere.get(KIND, "elsewhere")
        assert "status" not in left
        assert "finalizers" not in left["metadata"]
    at.delete("here")


def test_moto_is_driven_by_its_address_alone(at: Operated) -> None:
    with ExitStack() as stack:
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        host, port = moto.get_host_and_port()
        at.apply(running("at-moto", "print(1)", sageMakerEndpoint=f"http://{host}:{port}"))
        at.wait("at-moto", "Completed")
        at.delete("at-moto")


def test_nothing_is_written_while_nothing_changes(at: Operated) -> None:
    at.apply(running("steady", SLEEPS))
    until("it trains", lambda: at.status("steady").get("secondaryStatus") == "Training", END)
    version = at.get("steady")["metadata"]["resourceVersion"]
    at.apply(running("marks-time", "import time; time.sleep(3)"))
    at.wait("marks-time", "Completed")
    assert at.get("steady")["metadata"]["resourceVersion"] == version
    at.delete("steady")
    at.delete("marks-time")


def test_an_operator_that_is_asked_to_end_ends_and_another_one_goes_on(at: Operated) -> None:
    at.apply(running("handed-over", SLEEPS))
    until("it trains", lambda: at.status("handed-over").get("secondaryStatus") == "Training", END)
    assert at.operator.stop() == 0
    job = at.status("handed-over")["sageMakerTrainingJobName"]
    at.shed.sagemaker.stop_training_job(TrainingJobName=job)
    at.operator.start()
    at.wait("handed-over", "Stopped")
    at.delete("handed-over")


def test_a_spare_operator_takes_over_when_the_first_one_is_killed(
    at: Operated, tmp_path: Path
) -> None:
    with at.operator.another(tmp_path) as spare:
        at.apply(running("before", "print(1)"))
        at.wait("before", "Completed")
        assert "working" not in spare.said()
        at.operator.kill()
        at.apply(running("after", "print(1)"))
        at.wait("after", "Completed")
        assert "working" in spare.said()
        at.delete("before")
        at.delete("after")
    at.operator.start()
    at.apply(running("again", "print(1)"))
    at.wait("again", "Completed")
    at.delete("again")


def test_a_namespace_goes_with_the_jobs_that_run_for_it(at: Operated) -> None:
    name = passing(at.cluster)
    at.cluster.kubectl("create", "namespace", name)
    inside = at.cluster.within(name)
    inside.apply(running("left", SLEEPS))

    def job() -> str:
        status = inside.get(KIND, "left").get("status", {})
        trains = status.get("secondaryStatus") == "Training"
        return str(status["sageMakerTrainingJobName"]) if trains else ""

    left = until("it trains", job, END)
    at.cluster.kubectl("delete", "namespace", name, f"--timeout={END:.0f}s")
    assert at.shed.describe(left)["TrainingJobStatus"] == "Stopped"
