"""What becomes of results that a store refuses, and of an agent that dies while it delivers."""

import json
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.agent.conftest import Agent

from trainshed.agent.outputs.sending import Sent
from trainshed.domain.facts import Kind
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.store import RemoteObjects

MakeAgent = Callable[..., Agent]
MADE = "echo w >/opt/ml/model/w; echo d >/opt/ml/output/data/d"
HOSTS = ("algo-1", "algo-2")


def test_results_that_a_store_refuses_are_kept_where_the_reason_says(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(MADE, output_path="file:///nowhere/out", unsent=str(tmp_path / "unsent")).start()
    node.wait()
    outcome, reason = node.ended()
    kept = tmp_path / "unsent/job-1/job-1.1.algo-1"
    assert outcome == "failed"
    assert reason.startswith("ClientError: Artifact upload failed:file:///nowhere/out/")
    assert reason.endswith(f"in {kept}")
    assert (kept / "model/w").read_text() == "w\n"
    assert (kept / "data/d").read_text() == "d\n"


def test_the_reason_tells_first_why_the_job_itself_failed(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent(
        f"{MADE}; echo too bad >&2; exit 3",
        output_path="file:///nowhere/out",
        unsent=str(tmp_path / "unsent"),
    ).start()
    node.wait()
    reason = node.ended()[1]
    assert reason.startswith("AlgorithmError: too bad, exit code: 3; ClientError: Artifact upload")
    assert reason.endswith("unsent/job-1/job-1.1.algo-1")


def test_an_agent_that_died_after_keeping_them_takes_no_empty_folder_for_the_result(
    agent: MakeAgent, tmp_path: Path
) -> None:
    refused = {"output_path": "file:///nowhere/out", "unsent": str(tmp_path / "unsent")}
    node = agent(MADE, **refused).start()
    node.wait()
    journal = node.folder / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    node.start().wait()
    assert json.loads(journal.read_text().splitlines()[-1])["reason"] == node.ended()[1]
    assert (tmp_path / "unsent/job-1/job-1.1.algo-1/model/w").exists()


def test_a_fault_of_the_agent_costs_no_results(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent(MADE, unsent=str(tmp_path / "unsent"))
    node.folder.mkdir(parents=True)
    (node.folder / "unsent.json").write_text("no JSON")
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: the agent failed: JSONDecodeError")
    assert reason.endswith("unsent/job-1/job-1.1.algo-1")
    assert (tmp_path / "unsent/job-1/job-1.1.algo-1/model/w").exists()


def test_nothing_is_kept_of_a_job_that_made_nothing(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent(
        "true", output_path="nowhere://out", unsent=str(tmp_path / "unsent")
    ).start()  # fmt: skip
    node.wait()
    assert node.ended()[0] == "failed"
    assert "kept" not in node.ended()[1]
    assert not (tmp_path / "unsent").exists()


def test_empty_folders_are_no_objects(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent("mkdir -p /opt/ml/model/deep/er /opt/ml/output/data/x").start()
    node.wait()
    assert node.ended() == ("completed", "")
    assert not (tmp_path / "out").exists()


def test_files_as_they_are_come_from_all_hosts_under_their_own_names(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = (
        "cd /opt/ml/model; mkdir deep; hostname >deep/$(hostname); hostname >same;"
        "for i in $(seq 100); do echo $i >many-$(hostname)-$i; done;"
        "echo o >'a b%20c+d#e?f&g=h~*'; hostname >/opt/ml/output/data/$(hostname)"
    )
    nodes = [
        agent(script, host=host, hosts=HOSTS, node_id=f"job-1.1.{host}", compression="NONE")
        for host in HOSTS
    ]
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
        assert node.ended() == ("completed", "")
    output = tmp_path / "out/job-1/output"
    assert sorted(path.name for path in output.iterdir()) == ["data", "model"]
    assert sorted(path.name for path in (output / "data").iterdir()) == list(HOSTS)
    assert (output / "model/deep/algo-2").read_text() == "algo-2\n"
    assert (output / "model/same").read_text() == "algo-2\n"
    assert (output / "model/a b%20c+d#e?f&g=h~*").read_text() == "o\n"
    assert len(list((output / "model").glob("many-*"))) == 200
    told = nodes[0].fact(Kind.UPLOADING)
    assert told is not None
    assert told.detail["message"].endswith(
        "was kept: a b%20c+d#e?f&g=h~* (algo-2's), same (algo-2's)"
    )


def test_an_agent_killed_while_it_delivers_is_followed_by_one_that_delivers(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = "head -c 60000000 /dev/urandom >/opt/ml/model/w; echo d >/opt/ml/output/data/d"
    node = agent(script).start()
    node.reports.wait_for(lambda: node.fact(Kind.UPLOADING))
    node.signal(signal.SIGKILL)
    assert node.process is not None
    node.process.wait()
    node.start().wait()
    assert node.ended() == ("completed", "")
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert [(member.name, member.size) for member in tar] == [("w", 60_000_000)]
    assert sorted(path.name for path in (tmp_path / "out/job-1/output").iterdir()) == [
        "model.tar.gz",
        "output.tar.gz",
    ]


class Writer:
    """Writes its text, and counts how often."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self.times = 0

    def __call__(self, sink: Sink) -> None:
        self.times += 1
        sink.write(self._text)


def _twice(tmp_path: Path, text: bytes, meanwhile: Callable[[Path, Path], None]) -> int:
    """Return how often an object is written by two agents, of which the first dies."""
    objects = RemoteObjects({}, [str(tmp_path)])
    address, writer = parse(f"file://{tmp_path}/out/model.tar.gz"), Writer(text)
    for _ in range(2):
        with Sent(tmp_path / "sent", objects) as sent:
            sent.put(address, writer, {}, sure=True)
            sent.put(address, writer, {}, sure=True)
        if writer.times == 1:
            meanwhile(tmp_path / "sent", tmp_path / "out/model.tar.gz")
    assert (tmp_path / "out/model.tar.gz").read_bytes() == text
    return writer.times


def test_an_object_that_is_stored_is_not_stored_again(tmp_path: Path) -> None:
    assert _twice(tmp_path, b"model", lambda sent, stored: None) == 1


def test_an_object_that_was_stored_just_before_the_agent_died_is_not_stored_again(
    tmp_path: Path,
) -> None:
    def forget(sent: Path, stored: Path) -> None:
        lines = sent.read_text().splitlines(keepends=True)
        sent.write_text("".join(lines[:-1]) + lines[-1][:9])

    assert _twice(tmp_path, b"model", forget) == 1


def test_an_object_that_did_not_appear_before_the_agent_died_is_stored_again(
    tmp_path: Path,
) -> None:
    def forget(sent: Path, stored: Path) -> None:
        sent.write_text("".join(sent.read_text().splitlines(keepends=True)[:-1]))
        stored.unlink()

    assert _twice(tmp_path, b"model", forget) == 2


def test_an_object_of_an_earlier_attempt_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    stored = tmp_path / "out/model.tar.gz"
    stored.write_bytes(b"older")
    etag = RemoteObjects({}, [str(tmp_path)]).stat(parse(f"file://{stored}")).etag
    begun = {"object": f"file://{stored}", "size": 5, "before": etag}
    (tmp_path / "sent").write_text(json.dumps(begun) + "\n")
    assert _twice(tmp_path, b"newer", lambda sent, stored: None) == 1
