"""Channels and results in a bucket."""

import io
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until
from tests.agent.test_inputs import LIST, channel
from tests.stores.remote.conftest import Server

from trainshed.domain.facts import Kind
from trainshed.testing.reports import Reports

MakeAgent = Callable[..., Agent]
AWAY = "an object store is away, and waited for"


@pytest.fixture
def s3() -> Iterator[Server]:
    server = Server()
    yield server
    for each in server.client.list_objects_v2(Bucket="bkt").get("Contents", []):
        server.client.delete_object(Bucket="bkt", Key=each["Key"])
    server.client.delete_bucket(Bucket="bkt")
    server.client.close()
    server.stop()


def stores(access: dict[str, str]) -> tuple[dict[str, str], ...]:
    """Return what a plan says of a store of another make that has all buckets."""
    return ({**access, "prefix": "s3://"},)


def _node(
    agent: MakeAgent, s3: Server, script: str, *channels: dict[str, Any], **more: Any
) -> Agent:
    return agent(
        script, channels=channels, stores=stores(s3.access), output_path="s3://bkt/out", **more
    )


def test_objects_are_staged_by_prefix_and_the_model_is_put(agent: MakeAgent, s3: Server) -> None:
    s3.put(
        **{
            "d/train/": b"",
            "d/train/x/y": b"1",
            "d/train2/z": b"2",
            "d/train/empty/": b"",
            "o": b"3",
        }
    )
    node = _node(agent, s3, f"{LIST}; ls -d train/empty; echo 1 >/opt/ml/model/w",
                 channel("s3://bkt/d/train"), channel("s3://bkt/o", name="one"))  # fmt: skip
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert node.lines() == [
        "./one-manifest",
        "./one/o",
        "./train-manifest",
        "./train/train2/z",
        "./train/x/y",
        "train/empty",
    ]
    body = s3.client.get_object(Bucket="bkt", Key="out/job-1/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        assert tar.getnames() == ["w"]


@pytest.mark.parametrize(
    ("keys", "uri", "reason"),
    [
        (["p/a//b"], "s3://bkt/p", "Failed to download data. S3 key: s3://bkt/p/a//b"),
        (["x"], "s3://bkt/p", "S3 key: s3://bkt/p matched no files on s3"),
        (["p/"], "s3://bkt/p/", "S3 key: s3://bkt/p/ has content, but the name of a folder"),
        (["p/../x"], "s3://bkt/p/", "S3 key: s3://bkt/p/../x would lie outside the folder"),
        (["p/x", "p/x/y"], "s3://bkt/p/", "where another object of the channel lies"),
        (["p/" + "n" * 300], "s3://bkt/p/", ""),
    ],
)  # fmt: skip
def test_keys_that_cannot_lie_in_a_folder_fail_the_job(
    agent: MakeAgent, s3: Server, keys: list[str], uri: str, reason: str
) -> None:
    s3.put(**dict.fromkeys(keys, b"x"))
    node = _node(agent, s3, "echo never", channel(uri))
    node.start().wait()
    outcome, said = node.ended()
    assert outcome == "failed"
    assert said.startswith("ClientError: Data download failed:")
    assert reason in said
    assert keys[-1][:20] in said or reason
    assert "training" not in node.kinds()


def test_a_store_that_is_away_at_first_fails_nothing(agent: MakeAgent, s3: Server) -> None:
    s3.put(**{"p/a": b"1"})
    s3.stop()
    node = _node(agent, s3, "cat input/data/train/a; echo 1 >model/w", channel("s3://bkt/p/"))
    node.start()
    node.reports.wait_for(lambda: node.fact(Kind.DOWNLOADING))
    s3.start()
    node.wait()
    assert node.ended() == ("completed", "")
    assert node.lines() == ["1"]


def test_a_download_can_be_stopped(agent: MakeAgent, s3: Server) -> None:
    s3.stop()
    node = _node(agent, s3, "echo never", channel("s3://bkt/p/")).start()
    node.reports.wait_for(lambda: node.fact(Kind.DOWNLOADING))
    node.signal(15)
    node.wait()
    assert node.ended() == ("stopped", "")
    assert node.kinds() == ["started", "downloading", "stopping", "ended"]
    s3.start()


def test_a_bucket_that_is_not_there_fails_the_delivery(agent: MakeAgent, s3: Server) -> None:
    node = agent("echo 1 >model/w", stores=stores(s3.access), output_path="s3://nowhere/out")
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: Artifact upload failed:s3://nowhere/out")


def test_an_agent_stays_small_while_it_moves_much(agent: MakeAgent, s3: Server) -> None:
    for i in range(8):
        s3.put(**{f"p/{i}": b"x" * (12 << 20)})
    node = _node(agent, s3, "echo up; sleep 600", channel("s3://bkt/p/")).start()
    until(lambda: "up" in node.lines(), 60)
    status = dict(line.split(":", 1) for line in (node.proc / "status").read_text().splitlines())
    assert int(status["VmHWM"].split()[0]) < 120 * 1024


def test_results_wait_for_a_store_that_is_away_until_nobody_wants_to(
    agent: MakeAgent, s3: Server
) -> None:
    script = "echo 1 >/opt/ml/model/w; echo up; exec sleep 60"
    node = _node(agent, s3, script, grace=0.1, max_runtime=1.0).start()
    node.wait_for_line("up")
    s3.stop()
    node.wait_for_line(AWAY)
    # That it ran too long is not that somebody wants an end: not for the next agent, either.
    node.kill()
    node.start()
    node.reports.wait_for(lambda: len([line for line in node.lines() if AWAY in line]) == 2)
    assert node.fact(Kind.ENDED) is None
    (node.folder / "stop").write_text("2")
    node.signal(signal.SIGTERM)
    node.wait()
    s3.start()
    assert node.ended()[0] == "lost"


def test_stopping_the_job_ends_the_waiting_with_the_grace_unless_the_server_is_away(
    agent: MakeAgent, s3: Server, reports: Reports, tmp_path: Path
) -> None:
    script = "echo 1 >/opt/ml/model/w; echo up; sleep 1"
    node = _node(agent, s3, script, unsent=str(tmp_path / "unsent"), grace=0.5).start()
    node.wait_for_line("up")
    s3.stop()
    node.wait_for_line(AWAY)
    reports.lose_answers(1_000_000)
    node.signal(signal.SIGTERM)
    until(lambda: "not waited for longer than 0.5 s" in (node.folder / "output.log").read_text())
    requests = reports.requests
    until(lambda: reports.requests > requests + 1)
    assert node.fact(Kind.ENDED) is None
    reports.lose_answers(0)
    node.wait()
    s3.start()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert "the job was stopped while its results waited: s3://bkt/out/" in reason
    assert reason.endswith("unsent/job-1/job-1.1.algo-1")
    assert (tmp_path / "unsent/job-1/job-1.1.algo-1/model/w").read_text() == "1\n"
