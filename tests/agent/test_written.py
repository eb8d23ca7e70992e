"""What a container puts in the way of the agent leads it nowhere."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.conftest import Agent

from trainshed.agent.written.opening import NotHere, opened, real_path, text_of

MakeAgent = Callable[..., Agent]


def test_of_a_folder_only_the_links_above_its_tree_are_followed(tmp_path: Path) -> None:
    (tmp_path / "node/ml/input").mkdir(parents=True)
    (tmp_path / "host/train").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "node")
    (tmp_path / "node/ml/input/data").symlink_to(tmp_path / "host")
    base = tmp_path / "link/ml"
    assert real_path(base / "input/data/train", base) == f"{tmp_path}/node/ml/input/data/train"


@pytest.mark.parametrize("made", ["link", "pipe", "device", "folder", "nothing"])
def test_only_plain_files_are_opened(tmp_path: Path, made: str) -> None:
    path = tmp_path / "x"
    (tmp_path / "other").write_text("1")
    {
        "link": lambda: path.symlink_to(tmp_path / "other"),
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: os.mknod(path, 0o20666, os.makedev(1, 5)) if not os.geteuid() else None,
        "folder": path.mkdir,
        "nothing": lambda: None,
    }[made]()
    with pytest.raises(NotHere):
        opened(str(path), str(tmp_path))


def test_a_failure_file_behind_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/failure").write_text("secret")
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml/output").symlink_to(tmp_path / "host")
    assert text_of(tmp_path / "ml/output/failure", tmp_path / "ml", 100) == ""
    assert text_of(tmp_path / "host/failure", tmp_path, 3) == "sec"


def test_nothing_of_the_machine_is_carried_out_or_moved_away(
    agent: MakeAgent, tmp_path: Path
) -> None:
    host = tmp_path / "host"
    (host / "data").mkdir(parents=True)
    (host / "data/secret").write_text("s")
    (host / "failure").write_text("secret")
    (tmp_path / "not-a-folder").touch()
    changes = {"output_path": f"file://{tmp_path}/not-a-folder", "unsent": f"{tmp_path}/unsent"}
    script = (
        "echo m >/opt/ml/model/m; echo i >/opt/ml/output/intermediate/i; sleep 1.2;"
        "rm -r /opt/ml/output/*; mv /opt/ml/output /opt/ml/was;"
        f"ln -s {host} /opt/ml/output; exit 1"
    )
    kept = {"sagemaker_s3_output": json.dumps(f"file://{tmp_path}/kept")}
    node = agent(script, hyperparameters=kept, **changes).start()
    node.wait()
    assert (host / "data/secret").read_text() == "s"
    found = [each for each in tmp_path.rglob("*") if each.name in {"secret", "m"}]
    assert sorted(each.name for each in found) == ["m", "secret"], node.ended()
    assert "secret" not in node.ended()[1]
