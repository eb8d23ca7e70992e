"""The life of a node that is a pod: claimed, staged, watched, delivered; or over before."""

import tarfile
from pathlib import Path

import pytest
from tests.agent.conftest import until
from tests.agent.sibling.conftest import MakeSpot

from trainshed.domain import pods
from trainshed.domain.facts import Kind
from trainshed.testing.played_cluster import PlayedCluster

CODE = {"sagemaker_program": "train.py"}


def test_a_job_is_staged_watched_and_its_model_delivered(spot: MakeSpot, tmp_path: Path) -> None:
    node = spot()
    assert node.stage() == 0, node.said()
    assert node.lease["spec"]["holderIdentity"] == node.uid
    agent = node.run("--keep")
    node.begin('echo hello; echo to stderr >&2; echo 42 >"$ML/model/weights"')
    assert agent.wait(60) == 0, node.said()
    assert node.ended() == ("completed", ""), node.said()
    assert node.kinds() == ["started", "image", "training", "exited", "uploading", "ended"]
    assert node.lines() == ["hello", "to stderr"]
    image = node.fact(Kind.IMAGE)
    assert image is not None
    assert image.detail == {"id": "sha256:0a1b", "digest": "repo/img@sha256:0a1b"}
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["weights"]
    assert "algo-1 ended: outcome 'completed'" in node.said()


def test_a_program_that_fails_is_told_by_its_last_words(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    node.begin("echo 'ValueError: bad data' >&2; exit 3")
    node.wait_for_main()
    assert node.run("--keep").wait(60) == 0
    assert node.ended() == ("failed", "AlgorithmError: ValueError: bad data, exit code: 3")


def test_a_program_killed_for_want_of_memory_is_said_to_be(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    node.be_over(137, "OOMKilled")
    assert node.run("--keep").wait(60) == 0
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert exited.detail["oom"]
    assert "out of memory" in node.ended()[1]


OLD = (
    "OCI runtime create failed: container_linux.go:380: starting container process caused: "
    'exec: "train": executable file not found in $PATH: unknown'
)
NEW = (
    "failed to create containerd task: failed to create shim task: OCI runtime create "
    'failed: runc create failed: unable to start container process: exec: "/opt/a": '
    "permission denied: unknown"
)


@pytest.mark.parametrize(("message", "exit_code"), [(OLD, 127), (NEW, 126)])
@pytest.mark.parametrize("reason", ["ContainerCannotRun", "StartError"])
def test_a_command_that_is_not_there_is_told(
    spot: MakeSpot, message: str, exit_code: int, reason: str
) -> None:
    node = spot()
    node.stage()
    node.be_over(128, reason, message)
    assert node.run("--keep").wait(60) == 0
    outcome, why = node.ended()
    assert outcome == "failed"
    assert why.startswith("AlgorithmError: the entrypoint")
    assert why.endswith(f"exit code: {exit_code}")


def test_a_container_that_can_not_be_made_is_the_requests_fault(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    node.be_over(128, "StartError", "unable to find user nobody-here")
    assert node.run("--keep").wait(60) == 0
    assert node.ended() == (
        "failed",
        "ClientError: the container could not be started: unable to find user nobody-here",
    )


@pytest.mark.parametrize("holder", [pods.REMOVED, "another-pods-uid"])
def test_a_pod_that_is_not_the_node_ends_and_tells_the_server_nothing(
    spot: MakeSpot, holder: str
) -> None:
    node = spot()
    node.cluster.put_lease(pods.object_name(node.plan.node_id), spec={"holderIdentity": holder})
    assert node.stage() == 3
    assert node.reports.requests == 0
    assert not (node.folder / "journal.jsonl").exists()
    assert (node.root / "dev/termination-log").read_text() in node.said()


def test_a_pod_whose_node_nobody_knows_ends(spot: MakeSpot) -> None:
    node = spot()
    node.cluster.leases.clear()
    assert node.stage() == 3
    assert "nobody knows this node any more" in node.said()
    assert node.reports.requests == 0


def test_an_agent_that_may_not_claim_says_what_it_needs(spot: MakeSpot) -> None:
    node = spot()
    node.cluster.refused[".*/leases/.*"] = 403
    assert node.stage() == 3
    assert "Role trainshed-node" in (node.root / "dev/termination-log").read_text()


def test_a_claim_waits_for_a_cluster_that_is_away(spot: MakeSpot, cluster: PlayedCluster) -> None:
    node = spot()
    cluster.stop()
    stage = node.run("--stage")
    until(lambda: "cannot claim the node" in node.said())
    cluster.start()
    assert stage.wait(60) == 0


def test_bad_input_ends_the_node_before_its_program_starts(spot: MakeSpot, tmp_path: Path) -> None:
    source = {"S3Uri": f"file://{tmp_path}/nothing", "S3DataType": "S3Prefix"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    node = spot(channels=(channel,))
    assert node.stage() == 1
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: Data download failed")


def test_what_a_script_needs_is_laid_into_its_container(spot: MakeSpot, tmp_path: Path) -> None:
    archive = tmp_path / "code.tar.gz"
    archive.write_bytes(b"code")
    code = {**CODE, "sagemaker_submit_directory": f"file://{archive}"}
    node = spot(script_mode=True, entrypoint=None, hyperparameters=code)
    assert node.stage() == 0, node.said()
    laid = node.folder / pods.TOOLKIT_FOLDER
    assert (laid / "sourcedir.tar.gz").read_bytes() == b"code"
    assert (laid / "train").read_bytes().startswith(b"#!/bin/sh\n")
    assert (laid / "train").stat().st_mode & 0o777 == 0o755
    assert (node.folder / "ml/code").stat().st_mode & 0o777 == 0o777


def test_the_programs_folders_are_anybodys(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    for part in ("input", "model", "output", "output/data", "checkpoints"):
        assert (node.folder / "ml" / part).stat().st_mode & 0o777 == 0o777


def test_a_channel_that_would_be_a_view_is_copied_and_the_log_says_so(
    spot: MakeSpot, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("1")
    source = {"S3Uri": f"file://{tmp_path}/data", "S3DataType": "S3Prefix"}
    channel = {
        "ChannelName": "train",
        "InputMode": "FastFile",
        "DataSource": {"S3DataSource": source},
    }
    node = spot(channels=(channel,))
    assert node.stage() == 0, node.said()
    assert (node.folder / "ml/input/data/train/a").read_text() == "1"
    node.begin("true")
    assert node.run("--keep").wait(60) == 0
    assert "FastFile is not possible here: a pod may mount nothing" in node.lines()[0]


def test_a_pipe_is_there_before_the_program_and_fed_by_the_agent_beside_it(
    spot: MakeSpot, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("1\n2\n")
    source = {"S3Uri": f"file://{tmp_path}/data", "S3DataType": "S3Prefix"}
    channel = {"ChannelName": "train", "InputMode": "Pipe", "DataSource": {"S3DataSource": source}}
    node = spot(channels=(channel,))
    assert node.stage() == 0, node.said()
    node.begin('cat "$ML/input/data/train_0"; cat "$ML/input/data/train_1"')
    assert node.run("--keep").wait(60) == 0
    assert node.ended() == ("completed", ""), node.said()
    assert node.lines() == ["1", "2", "1", "2"]


def test_hosts_begin_when_all_of_them_have_their_data(spot: MakeSpot) -> None:
    hosts = ("localhost", "127.0.0.1")  # names that are known everywhere
    first, second = (
        spot(node_id=f"job-1.1.{host}", host=host, hosts=hosts, log_stream=f"job-1/{host}")
        for host in hosts
    )
    one = first.run("--stage")
    until(lambda: first.lease["metadata"].get("annotations"))  # it is ready itself
    assert one.poll() is None
    assert second.stage() == 0, second.said()
    assert one.wait(60) == 0, first.said()


def test_a_host_that_waits_for_others_heeds_a_wish_to_stop(spot: MakeSpot) -> None:
    node = spot(node_id="job-1.1.algo-2", host="algo-2", hosts=("algo-1", "algo-2"))
    stage = node.run("--stage")
    node.wait_for(Kind.STARTED)
    node.annotate(stop="2")
    assert stage.wait(60) == 1
    assert node.ended() == ("stopped", "")


def test_an_image_that_cannot_be_had_is_said_and_waited_for(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    node.be_waiting("ErrImagePull", "no such host")
    agent = node.run("--keep")
    node.wait_for_line("[trainshed] the container does not start yet: ErrImagePull: no such host")
    node.be_waiting("ImagePullBackOff", "Back-off pulling image")
    node.begin("echo up")
    assert agent.wait(60) == 0
    assert node.lines()[1:] == ["up"]
    node.wait_for(Kind.ENDED)


def test_an_image_that_is_never_fetched_ends_the_node(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    node.be_waiting("ErrImageNeverPull", "not present with pull policy of Never")
    assert node.run("--keep").wait(60) == 0
    assert node.ended()[0] == "failed"
    assert "cannot be had by the cluster's machines (ErrImageNeverPull" in node.ended()[1]
    assert "training" not in node.kinds()


def test_a_wish_to_stop_ends_the_wait_for_an_image(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    agent = node.run("--keep")
    node.annotate(stop="1")
    assert agent.wait(60) == 0
    assert node.ended() == ("stopped", "")
