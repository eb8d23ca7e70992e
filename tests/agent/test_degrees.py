"""Machines where bubblewrap does less, or nothing: every promise but /opt/ml holds."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.conftest import Agent, until

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
REAL = shutil.which("bwrap") or "/usr/bin/bwrap"
NO_PIDS = f"""#!/bin/sh
for word in "$@"; do [ "$word" = --unshare-pid ] && {{ echo "no pid namespace" >&2; exit 1; }}; done
exec {REAL} "$@"
"""
NOTHING = "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
HERE = 'cd "${SAGEMAKER_BASE_DIR:-/opt/ml}"; '


@pytest.fixture(params=["mounts", "bare"])
def degree(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """Return a degree, and the environment in which an agent finds no better one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "bwrap").write_text(NO_PIDS if request.param == "mounts" else NOTHING)
    (folder / "bwrap").chmod(0o755)
    return request.param, {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_job_runs_and_delivers(
    agent: MakeAgent, degree: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    node = agent(HERE + "echo 1 >model/w; echo hello; exit 4")
    node.start(**degree[1]).wait()
    started = node.fact(Kind.STARTED)
    assert started is not None
    assert started.detail["runtime"] == f"process ({degree[0]})"
    assert node.lines()[-1] == "hello"
    assert node.ended() == ("failed", "AlgorithmError: hello, exit code: 4")
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_a_bare_job_is_told_where_its_tree_is(
    agent: MakeAgent, degree: tuple[str, dict[str, str]]
) -> None:
    node = agent("pwd")
    node.start(**degree[1]).wait()
    if degree[0] == "bare":
        said, here = node.lines()
        assert said.startswith("[trainshed] paths under /opt/ml are not visible to this job: ")
        assert "No permissions to create new namespace" in said
        assert here == str(node.folder / "ml")
    else:
        assert node.lines() == ["/opt/ml"]


def test_what_a_warm_pool_keeps_is_found_where_the_variable_says(
    agent: MakeAgent, degree: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "before").touch()
    variable = "$SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"
    node = agent(f'{HERE} ls "{variable}"; echo "{variable}"; touch sagemaker/warmpoolcache/now',
                 warm_cache=str(kept))  # fmt: skip
    node.start(**degree[1]).wait()
    base = node.folder / "ml" if degree[0] == "bare" else Path("/opt/ml")
    assert node.lines()[-2:] == ["before", str(base / "sagemaker/warmpoolcache")]
    assert (kept / "now").exists()


def test_a_missing_program_exits_127(agent: MakeAgent, degree: tuple[str, dict[str, str]]) -> None:
    node = agent(entrypoint=("no-such-program",))
    node.start(**degree[1]).wait()
    assert node.ended()[0] == "failed"
    assert node.ended()[1].endswith("exit code: 127")


def test_nothing_survives_the_end(
    agent: MakeAgent, degree: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    node = agent(f"(setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 600' &); "
                 f"while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done")  # fmt: skip
    node.start(**degree[1]).wait()
    assert not _alive(tmp_path / "pid")


def test_a_stop_reaches_the_script_and_the_grace_ends_it(
    agent: MakeAgent, degree: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    node = agent(f"trap 'echo heard' TERM; echo $$ >{tmp_path}/pid; echo up; "
                 "while :; do sleep 0.01; done", grace=0.5)  # fmt: skip
    node.start(**degree[1])
    node.wait_for_line("up")
    node.signal(signal.SIGTERM)
    node.wait()
    assert node.lines()[-3:-1] == ["up", "heard"]
    assert node.lines()[-1].startswith("[trainshed] it did not end within")
    assert node.ended() == ("stopped", "")
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert exited.detail["exit_code"] == 137
    assert not _alive(tmp_path / "pid")


def test_a_killed_agent_takes_everything_along(
    agent: MakeAgent, degree: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    node = agent(f"(setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 600' &); "
                 f"echo $$ >{tmp_path}/own; echo up; sleep 600")  # fmt: skip
    node.start(**degree[1])
    node.wait_for_line("up")
    until(lambda: (tmp_path / "pid").exists())
    node.kill()
    until(lambda: not _alive(tmp_path / "pid") and not _alive(tmp_path / "own"))


def _alive(pid_file: Path) -> bool:
    text = pid_file.read_text().strip()
    stat = Path(f"/proc/{text}/stat")
    return not text or (stat.exists() and " Z " not in stat.read_text())


def test_a_bare_job_finds_its_tree_without_script_mode_too(
    agent: MakeAgent, tmp_path: Path, degree: tuple[str, dict[str, str]]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x").write_text("1")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"file://{tmp_path}/in"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    node = agent('ls "${SM_CHANNEL_TRAIN-}"; echo "${SM_MODEL_DIR-}"', channels=(channel,))
    node.start(**degree[1]).wait()
    if degree[0] == "bare":
        assert node.lines()[-2:] == ["x", str(node.folder / "ml/model")]
    else:
        assert node.lines()[-1:] == [""], node.ended()


def test_a_command_finds_no_descriptors_but_its_own_three(
    agent: MakeAgent, degree: tuple[str, dict[str, str]]
) -> None:
    node = agent("ls /proc/$$/fd")
    node.start(**degree[1]).wait()
    assert node.lines()[-3:] == ["0", "1", "2"]
    assert len([line for line in node.lines() if line.isdigit()]) == 3
