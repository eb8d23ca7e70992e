"""A node's checkpoints, by real agents on a folder that stands for the store."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]


def config(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"CheckpointConfig": {"S3Uri": f"file://{tmp_path}/kept", **more}}


def kept(tmp_path: Path) -> dict[str, str]:
    root = tmp_path / "kept"
    found = (path for path in root.rglob("*") if path.is_file() and ".trainshed" not in path.parts)
    return {str(path.relative_to(root)): path.read_text() for path in found}


def test_what_a_job_saves_is_kept_while_it_runs(agent: MakeAgent, tmp_path: Path) -> None:
    script = (
        "cd /opt/ml/checkpoints; mkdir a; echo 1 >a/x; echo 2 >y;"
        f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; rm y; echo 3 >>a/x"
    )
    node = agent(script, request=config(tmp_path)).start()
    until(lambda: kept(tmp_path) == {"a/x": "1\n", "y": "2\n"})
    (tmp_path / "go").touch()
    node.wait()
    assert node.ended() == ("completed", "")
    assert kept(tmp_path) == {"a/x": "1\n3\n"}
    told = node.fact(Kind.CHECKPOINT)
    assert told is not None
    assert (told.detail["files"], told.detail["bytes"]) == (1, 4)
    manifest = json.loads((tmp_path / "kept/.trainshed/algo-1.json").read_text())
    assert manifest["job"] == "job-1"
    assert set(manifest["files"]) == {"a/x"}


def test_what_was_kept_is_brought_back_with_its_times(agent: MakeAgent, tmp_path: Path) -> None:
    script = "cd /opt/ml/checkpoints; mkdir b; echo new >b/x; echo old >y; touch -d @1000000000 y"
    agent(script, request=config(tmp_path)).start().wait()
    look = "cd /opt/ml/checkpoints; find . -type f; cat b/x; stat -c %Y y; rm y; echo 5 >z"
    node = agent(look, request=config(tmp_path), node_id="job-2.1.algo-1").start()
    node.wait()
    lines = node.lines()
    assert lines[0].startswith("[trainshed] checkpoints: 2 files (8 B) of file://")
    assert sorted(lines[1:3]) == ["./b/x", "./y"]
    assert lines[3:] == ["new", "1000000000"]
    assert kept(tmp_path) == {"b/x": "new\n", "z": "5\n"}


def test_what_is_not_what_was_kept_is_refused(agent: MakeAgent, tmp_path: Path) -> None:
    agent("echo weights >/opt/ml/checkpoints/w", request=config(tmp_path)).start().wait()
    held = tmp_path / "kept/w"
    status = held.stat()
    held.write_text("wEights\n")
    os.utime(held, ns=(status.st_atime_ns, status.st_mtime_ns))
    node = agent("echo ran", request=config(tmp_path), node_id="job-2.1.algo-1").start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert f"file://{held} is damaged: its SHA-256 is " in reason
    held.write_text("mine\n")
    node = agent("cat /opt/ml/checkpoints/w", request=config(tmp_path), node_id="job-3.1.algo-1")
    node.start().wait()
    assert node.lines()[-1] == "mine"


def test_an_agent_that_died_over_it_starts_over(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent("ls /opt/ml/checkpoints", request=config(tmp_path))
    half = node.folder / "ml/checkpoints/half"
    half.mkdir(parents=True)
    (half / "x").write_text("of an agent before")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/whole").write_text("1")
    node.start().wait()
    assert node.lines()[-1] == "whole"


def test_what_a_full_disk_cut_short_does_not_replace_what_is_kept(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = (
        f"echo whole >/opt/ml/checkpoints/x; until [ -e {tmp_path}/kept/x ]; do sleep 0.05; done; "
        "echo ha >/opt/ml/checkpoints/x; echo 'OSError: [Errno 28] No space left on device' >&2; "
        "exit 1"
    )
    node = agent(script, request=config(tmp_path)).start()
    node.wait()
    assert node.ended()[0] == "failed"
    assert kept(tmp_path) == {"x": "whole\n"}
    assert "checkpoints: x may have been in the middle of being written" in "".join(node.lines())


@pytest.mark.parametrize("end", ["exit 3", "sh -c 'kill -9 $$'; exit $?"])
def test_a_failing_job_keeps_what_it_has_saved(agent: MakeAgent, tmp_path: Path, end: str) -> None:
    script = (
        f"echo 1 >/opt/ml/checkpoints/x; until [ -e {tmp_path}/kept/x ]; do sleep 0.05; done; {end}"
    )
    node = agent(script, request=config(tmp_path)).start()
    node.wait()
    assert node.ended()[0] == "failed"
    assert kept(tmp_path) == {"x": "1\n"}
