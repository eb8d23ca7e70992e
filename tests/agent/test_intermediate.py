"""What a job writes to output/intermediate is kept while it runs."""

import io
import json
import signal
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.agent.conftest import Agent, until

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
Python = Callable[[str], tuple[str, ...]]


def _asked(tmp_path: Path) -> dict[str, object]:
    return {"hyperparameters": {"sagemaker_s3_output": json.dumps(f"file://{tmp_path}/kept")}}


def _kept(tmp_path: Path, name: str = "") -> Path:
    return tmp_path / "kept/job-1/output/intermediate" / name


WAIT = "until [ -e /opt/ml/output/data/go ]; do sleep 0.05; done; rm /opt/ml/output/data/go"


def _go(node: Agent) -> None:
    (node.folder / "ml/output/data/go").touch()
    until(lambda: not (node.folder / "ml/output/data/go").exists())


def test_files_are_kept_while_the_job_runs_and_never_deleted(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = (
        "cd /opt/ml/output/intermediate; mkdir -p a; echo 1 >a/one; echo 2 >two;"
        f"{WAIT}; rm two; echo 11 >a/one; {WAIT}; echo last >three; ln -s /etc/passwd link"
    )
    node = agent(script, **_asked(tmp_path)).start()
    until(lambda: _kept(tmp_path, "a/one").exists() and _kept(tmp_path, "two").exists())
    _go(node)
    until(lambda: _kept(tmp_path, "a/one").read_text() == "11\n")
    _go(node)
    node.wait()
    assert node.ended() == ("completed", "")
    found = {path.name: path.read_text() for path in _kept(tmp_path).rglob("*") if path.is_file()}
    assert found == {"one": "11\n", "two": "2\n", "three": "last\n"}
    assert any("link is a link that leads elsewhere" in line for line in node.lines())


def test_a_file_that_is_being_written_is_not_kept_in_part(
    agent: MakeAgent, python: Python, tmp_path: Path
) -> None:
    script = """
import pathlib, time
folder = pathlib.Path("/opt/ml/output/intermediate")
with (folder / "slow").open("wb") as file:
    file.write(b"half")
    file.flush()
    (folder / "mark-1").touch()
    while not pathlib.Path("/opt/ml/output/data/go").exists():
        time.sleep(0.02)
    file.write(b"whole")
"""
    node = agent(entrypoint=python(script), **_asked(tmp_path)).start()
    until(lambda: _kept(tmp_path, "mark-1").exists())
    (node.folder / "ml/output/intermediate/mark-2").touch()
    until(lambda: _kept(tmp_path, "mark-2").exists())
    assert not _kept(tmp_path, "slow").exists()
    (node.folder / "ml/output/data/go").touch()
    node.wait()
    assert _kept(tmp_path, "slow").read_bytes() == b"halfwhole"


def test_a_place_that_refuses_fails_no_job_and_is_spoken_of(
    agent: MakeAgent, tmp_path: Path
) -> None:
    asked = {"sagemaker_s3_output": "file:///nowhere"}
    node = agent("echo 1 >/opt/ml/output/intermediate/one", hyperparameters=asked).start()
    node.wait()
    assert node.ended() == ("completed", "")
    said = [line for line in node.lines() if "output/intermediate: one is not kept" in line]
    assert len(said) == 1


def test_a_place_that_is_none_fails_no_job_and_is_spoken_of(agent: MakeAgent) -> None:
    node = agent("true", hyperparameters={"sagemaker_s3_output": "nowhere"}).start()
    node.wait()
    assert node.ended() == ("completed", "")
    assert any("sagemaker_s3_output: 'nowhere' is not an address" in line for line in node.lines())


def test_without_a_place_there_is_no_folder(agent: MakeAgent) -> None:
    node = agent("test ! -e /opt/ml/output/intermediate").start()
    node.wait()
    assert node.ended() == ("completed", "")


def test_amazons_toolkit_leaves_it_to_the_platform(
    agent: MakeAgent, python: Python, tmp_path: Path
) -> None:
    script = f"""
import sys
sys.path[:0] = {[path for path in sys.path if path.endswith("site-packages")]!r}
from sagemaker_training import intermediate_output
print("theirs:", intermediate_output.start_sync("s3://bucket/x", "us-east-1"))
with open("/opt/ml/output/intermediate/one", "w") as file:
    file.write("1")
"""
    node = agent(entrypoint=python(script), **_asked(tmp_path)).start()
    node.wait()
    assert node.ended() == ("completed", ""), node.lines()
    assert "theirs: None" in node.lines()
    assert _kept(tmp_path, "one").read_text() == "1"


def test_a_script_finds_the_folder_by_our_toolkit(agent: MakeAgent, tmp_path: Path) -> None:
    script = b"import os; open(os.environ['SM_OUTPUT_INTERMEDIATE_DIR'] + '/one', 'w').write('1')"
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(script)
        tar.addfile(member, io.BytesIO(script))
    code = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"file://{tmp_path}/sourcedir.tar.gz",
        "sagemaker_s3_output": f"file://{tmp_path}/kept",
    }
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code).start()
    node.wait()
    assert node.ended() == ("completed", "")
    assert _kept(tmp_path, "one").read_text() == "1"


def test_what_an_agent_that_died_had_not_kept_is_kept_by_the_next(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = f"echo 1 >/opt/ml/output/intermediate/one; echo written; {WAIT}"
    node = agent(script, **_asked(tmp_path)).start()
    until(lambda: (node.folder / "ml/output/intermediate/one").exists())
    node.kill()
    assert not _kept(tmp_path, "one").exists()
    node.start().wait()
    assert _kept(tmp_path, "one").read_text() == "1\n"


def test_the_end_of_a_container_does_not_wait_for_a_store_that_is_away(
    agent: MakeAgent, tmp_path: Path
) -> None:
    place = {"sagemaker_s3_output": "s3://bucket/kept"}
    nobody = {"endpoint": "http://127.0.0.1:1", "access_key": "k", "secret_key": "s"}
    script = "echo 1 >/opt/ml/output/intermediate/one"
    node = agent(script, hyperparameters=place, objects=nobody).start()
    until(lambda: node.fact(Kind.EXITED) is not None)
    (node.folder / "stop").write_text("2")
    node.signal(signal.SIGTERM)
    node.wait()
    assert any("one is not kept yet" in line for line in node.lines()), node.lines()


def test_what_is_kept_already_is_not_kept_again_by_the_next_agent(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = f"echo 1 >/opt/ml/output/intermediate/one; {WAIT}"
    node = agent(script, **_asked(tmp_path)).start()
    until(lambda: (node.folder / "intermediate.jsonl").exists()
          and (node.folder / "intermediate.jsonl").stat().st_size)  # fmt: skip
    kept = _kept(tmp_path, "one").stat()
    node.kill()
    node.start().wait()
    assert _kept(tmp_path, "one").stat().st_ino == kept.st_ino
