"""A host that was lost while it stored leaves part of a checkpoint: nobody goes on from that."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent

from trainshed.agent.checkpoints.believed import Believed
from trainshed.agent.checkpoints.manifest import Line, Manifest
from trainshed.agent.checkpoints.storing import Storing
from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
LOOK = "cd /opt/ml/checkpoints; find . -type f | sort"
PASS = Storing(host="algo-1", at=2.0, paths=("two/a", "two/b"))
BEFORE = {"one/a": "1", "one/b": "2"}


def config(tmp_path: Path) -> dict[str, Any]:
    return {"CheckpointConfig": {"S3Uri": f"file://{tmp_path}/kept"}}


def manifest(etags: dict[str, str], at: float = 1.0, **more: Any) -> Manifest:
    files = {
        path: Line(size=1, sha256="", etag=etag, mtime=1.0, restored=False)
        for path, etag in etags.items()
    }
    return Manifest(job="j", attempt="1.1", host="algo-1", at=at, files=files, **more)


def torn(believed: Believed, found: dict[str, str]) -> set[str]:
    """Return what is not brought of the objects that are there."""
    assert not believed.whole
    believed.note_found(found)
    return {path for path, etag in found.items() if believed.is_torn(path, etag)}


@pytest.mark.parametrize(
    ("begun", "found", "expected"),
    [
        (("two/a", "two/b"), {"two/a": "3"}, {"two/a"}),
        (("two/a", "two/b"), {"two/a": "3", "two/b": "4"}, set()),
        (("two/a", "two/b"), {"two/a": "3", "two/mine": "9"}, {"two/a"}),
        (("one/a", "two/b"), {"one/a": "5"}, set()),  # nothing else is left of what it replaced
        (("one/a", "two/b"), {"two/b": "4"}, {"two/b"}),
        (("one/a", "one/b"), {}, set()),
    ],
)
def test_of_a_pass_that_did_not_come_to_its_end_what_is_new_is_left(
    begun: tuple[str, ...], found: dict[str, str], expected: set[str]
) -> None:
    believed = Believed([manifest(BEFORE)], [Storing(host="algo-1", at=2.0, paths=begun)])
    assert torn(believed, {**BEFORE, **found}) == expected


def test_a_pass_is_over_once_its_hosts_manifest_is_younger() -> None:
    assert Believed([manifest(BEFORE, at=3.0)], [PASS]).whole
    other = Storing(host="algo-2", at=2.0, paths=PASS.paths)
    assert not Believed([manifest(BEFORE, at=3.0)], [other]).whole


def test_what_was_torn_once_stays_so_until_it_is_stored_again() -> None:
    later = Believed([manifest(BEFORE, at=3.0, torn={"two/a": "3"})], [])
    assert later.is_torn("two/a", "3")
    assert not later.is_torn("two/a", "4")
    again = Believed([manifest({"two/a": "3"}, at=4.0, torn={"two/a": "3"})], [])
    assert not again.is_torn("two/a", "3")


def test_only_the_youngest_attempts_files_are_missed() -> None:
    older = Manifest(
        job="j", attempt="1.0", host="algo-2", at=0.5, files={**manifest(BEFORE).files}
    )
    now = manifest({"two/a": "3", "two/b": "4"})
    assert Believed([older, now], []).lost(["two/a"]) == ["two/b"]


def test_a_job_goes_on_from_the_checkpoint_before_the_torn_one(
    agent: MakeAgent, tmp_path: Path
) -> None:
    save = "cd /opt/ml/checkpoints; mkdir one; echo 1 >one/a; echo 2 >one/b"
    agent(save, request=config(tmp_path)).start().wait()
    kept = tmp_path / "kept"
    begun = json.loads((kept / ".trainshed/algo-1.storing").read_text())
    assert begun["paths"] == ["one/a", "one/b"]
    written = json.loads((kept / ".trainshed/algo-1.json").read_text())
    assert begun["at"] <= written["at"]
    (kept / "two").mkdir()
    (kept / "two/a").write_text("3")
    begun = {**begun, "at": written["at"] + 9, "paths": ["two/a", "two/b"]}
    (kept / ".trainshed/algo-1.storing").write_text(json.dumps(begun))
    for job in (2, 3):  # the second finds it in the manifest of the first
        node = agent(f"{LOOK}; echo >new-{job}", request=config(tmp_path),
                     node_id=f"job-{job}.1.algo-1").start()  # fmt: skip
        node.wait()
        assert node.ended() == ("completed", "")
        said = [line for line in node.lines() if line.startswith("./")]
        assert said == ["./one/a", "./one/b"] if job == 2 else ["./new-2", "./one/a", "./one/b"]
        assert any("two/a left in the store: the host that sto" in each for each in node.lines())
    (kept / ".trainshed/algo-1.storing").unlink()
    node = agent(LOOK, request=config(tmp_path), node_id="job-4.1.algo-1").start()
    node.wait()
    assert "./two/a" not in node.lines()
    (kept / "two/a").write_text("by hand")
    node = agent(LOOK, request=config(tmp_path), node_id="job-5.1.algo-1").start()
    node.wait()
    assert "./two/a" in node.lines()


def test_what_was_restored_is_told_with_its_newest(agent: MakeAgent, tmp_path: Path) -> None:
    node = agent("true", request=config(tmp_path)).start()
    node.wait()
    empty = node.fact(Kind.RESTORED)
    assert empty is not None
    assert empty.detail == {"files": 0, "bytes": 0, "newest": 0.0}
    save = "cd /opt/ml/checkpoints; echo 1 >a; echo 22 >b; touch -d @1000000000 a; touch -d @5 b"
    agent(save, request=config(tmp_path), node_id="job-2.1.algo-1").start().wait()
    node = agent("true", request=config(tmp_path), node_id="job-3.1.algo-1").start()
    node.wait()
    restored = node.fact(Kind.RESTORED)
    assert restored is not None
    assert restored.detail == {"files": 2, "bytes": 5, "newest": 1000000000.0}
    assert node.lines()[0].endswith("; the newest was made 2001-09-09 01:46:40 UTC")
    (tmp_path / "kept/b").unlink()
    node = agent("true", request=config(tmp_path), node_id="job-4.1.algo-1").start()
    node.wait()
    assert "[trainshed] checkpoints: b was kept, and is in the store no more" in node.lines()
