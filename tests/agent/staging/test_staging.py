"""How channels are brought: side by side, going on after a death, and never half."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until
from tests.agent.staging.conftest import Source
from tests.agent.test_inputs import channel

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
LIST = "cd /opt/ml/input/data && find . -type f | sort"


def leaves_nothing(node: Agent) -> bool:
    """Tell whether nothing is left of what was staged."""
    data = node.folder / "ml/input/data"
    return not (list(data.iterdir()) or list((node.folder / "staged").iterdir()))


@pytest.mark.parametrize(
    ("keys", "prefix", "said"),
    [
        (["p/x", "p/x/y"], "p/", "where another object of the channel lies"),
        (["p/x", "p/x/"], "p/", "where another object of the channel lies"),
        (["train/t.csv", "t.csv", "tra"], "t", ""),
        (["t/a", "ta", "t", "a"], "t", ""),
        (["t/t", "t"], "t", "would be written to 't', where another object"),
        (["p/" + "n" * 256], "p/", "cannot be written to '" + "n" * 256 + "': File name too long"),
        (["p/" + "é" * 128], "p/", "File name too long"),
        (["p/" + "n" * 255], "p/", ""),
        (["p/" + "/".join(["d" * 200] * 4)], "p/", ""),
    ],
)  # fmt: skip
def test_keys_that_one_folder_cannot_hold_together_are_told(
    agent: MakeAgent, store: Source, keys: list[str], prefix: str, said: str
) -> None:
    store.put({key: b"" if key.endswith("/") else b"x" for key in keys})
    node = agent("true", channels=(channel(store.uri(prefix)),), objects=store.access)
    node.start().wait()
    outcome, reason = node.ended()
    if not said:
        assert (outcome, reason) == ("completed", "")
        return
    assert outcome == "failed"
    assert reason.startswith("ClientError: Data download failed:S3 key: s3://")
    assert said.format(uri=store.uri()) in reason
    assert leaves_nothing(node)


def slow_manifest(folder: Path, count: int) -> Path:
    """Have a channel whose last file comes when somebody writes into ``folder``/last."""
    (folder / "data").mkdir()
    names = [f"{number:03}" for number in range(count)]
    for each in names:
        (folder / "data" / each).write_text(each)
    os.mkfifo(folder / "data/last")
    manifest = folder / "m.json"
    manifest.write_text(json.dumps([{"prefix": f"file://{folder}/data/"}, *names, "last"]))
    return manifest


def test_an_agent_that_died_is_gone_on_for_where_it_was(agent: MakeAgent, tmp_path: Path) -> None:
    manifest = slow_manifest(tmp_path, 900)
    node = agent("cd input/data/train; ls | wc -l; cat *99 last; echo; wc -l <../train-manifest",
                 channels=(channel(f"file://{manifest}", "ManifestFile"),))  # fmt: skip
    node.start()
    folder = node.folder / "ml/input/data/train"
    until(lambda: folder.exists() and len(list(folder.iterdir())) == 900)
    node.kill()
    assert not folder.with_name("train-manifest").exists()
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    (folder / "torn").write_text("not recorded")
    (folder / "005").write_text("not as it was recorded")
    (tmp_path / "data/last").unlink()
    (tmp_path / "data/last").write_text("last")
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert node.lines() == ["901", "099199299399499599699799899last", "901"]
    after = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert sum(after[each] == before[each] for each in before) > 600


@pytest.fixture
def half_staged(agent: MakeAgent, tmp_path: Path) -> Iterator[Callable[..., tuple[Agent, Path]]]:
    """Return what has an agent die when all but the last file of a folder is there."""

    def stage(script: str) -> tuple[Agent, Path]:
        manifest = slow_manifest(tmp_path, 300)
        uri = f"file://{manifest}"
        node = agent(script, channels=(channel(uri, "ManifestFile"),))
        node.start()
        folder = node.folder / "ml/input/data/train"
        until(lambda: folder.exists() and len(list(folder.iterdir())) == 300)
        node.kill()
        (tmp_path / "data/last").unlink()
        return node, manifest

    yield stage


def test_what_is_not_in_the_channel_any_more_is_not_kept(
    half_staged: Callable[..., tuple[Agent, Path]],
) -> None:
    node, manifest = half_staged("ls input/data/train | wc -l")
    elements = json.loads(manifest.read_text())
    manifest.write_text(json.dumps([elements[0], *elements[5:200]]))
    node.start().wait()
    assert node.lines() == ["195"]


def test_records_of_another_boot_are_not_believed(
    half_staged: Callable[..., tuple[Agent, Path]], tmp_path: Path
) -> None:
    node, _ = half_staged("cat input/data/train/000")
    record = node.folder / "staged/train.record"
    record.write_text("another-boot\n" + record.read_text().partition("\n")[2])
    (node.folder / "ml/input/data/train/000").write_text("abc")  # as long as it was
    (tmp_path / "data/last").write_text("last")
    node.start().wait()
    assert node.lines() == ["000"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Have the nodes on a disk of 8 MB."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("kind", ["S3Prefix", "ManifestFile"])
def test_a_disk_that_is_too_small_is_told_with_its_numbers(
    agent: MakeAgent, store: Source, small_disk: Path, kind: str
) -> None:
    store.put({f"p/{number}": bytes(3 << 20) for number in range(4)})
    store.put({"m": json.dumps([{"prefix": store.uri("p/")}, *"0123"]).encode()})
    uri = store.uri("p/" if kind == "S3Prefix" else "m")
    node = agent("echo never", channels=(channel(uri, kind),), objects=store.access)
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    takes = r"takes at least (9\.4|12\.6) MB" if kind == "S3Prefix" else "does not fit"
    assert re.match(
        'ClientError: Data download failed:No space left on device: the channel "train" '
        rf"{takes}, but the disk of {small_disk}/.*/train has \S+ \S+ left; make room there",
        reason,
    )
    assert leaves_nothing(node)


def test_a_channel_much_larger_than_the_disk_is_told_before_the_disk_is_full(
    agent: MakeAgent, store: Source, small_disk: Path
) -> None:
    store.put_many({f"p/{number:03}": bytes(256 << 10) for number in range(100)})
    node = agent("echo never", channels=(channel(store.uri("p/")),), objects=store.access)
    node.start().wait()
    found = re.search(
        r"takes at least (\S+) MB, but the disk of \S+ has (\S+) MB left", node.ended()[1]
    )
    assert found is not None
    assert float(found[1]) > 8
    assert float(found[2]) > 0.5
    assert leaves_nothing(node)


def test_a_disk_without_room_for_more_files_is_told(
    agent: MakeAgent, store: Source, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=100", small_disk], check=True)
    store.put_many({f"p/{number}": b"x" for number in range(100)})
    node = agent("echo never", channels=(channel(store.uri("p/")),), objects=store.access)
    node.start().wait()
    assert "can hold no more files" in node.ended()[1]


def test_objects_that_come_by_network_are_kept_for_the_next_job(
    agent: MakeAgent, store: Source, tmp_path: Path
) -> None:
    large, other = b"as it was " * 200_000, b"as it is. " * 200_000
    store.put({"p/a": large, "p/small": b"x"})
    store.put({"m": json.dumps([{"prefix": store.uri("p/")}, "a"]).encode()})
    more: dict[str, Any] = {
        "objects": store.access, "cache": str(tmp_path / "cache"), "cache_limit": 1 << 30
    }  # fmt: skip

    def entries() -> list[Path]:
        return list((tmp_path / "cache/objects").glob("??/*"))

    script = "head -c 9 input/data/train/a; echo; echo changed >input/data/train/a"
    by_prefix, by_name = channel(store.uri("p/")), channel(store.uri("m"), "ManifestFile")
    for number, each in enumerate((by_prefix, by_prefix, by_name), 1):
        node = agent(script, channels=(each,), node_id=f"job-{number}.1.algo-1", **more)
        node.start().wait()
        assert node.lines() == ["as it was"]
        (entry,) = entries()
        assert entry.stat().st_mtime > 1
        os.utime(entry, (1, 1))  # whoever uses it makes it new again
    store.put({"p/a": other})
    node = agent(script, channels=(by_prefix,), node_id="job-9.1.algo-1", **more)
    node.start().wait()
    assert node.lines() == ["as it is."]
    assert len(entries()) == 2


@pytest.mark.parametrize("limit", [0, 10, 1 << 30])
def test_a_cache_that_cannot_be_is_no_failure(
    agent: MakeAgent, store: Source, tmp_path: Path, limit: int
) -> None:
    (tmp_path / "file").touch()
    store.put({"p/a": b"some bytes"})
    node = agent("cat input/data/train/a", channels=(channel(store.uri("p/")),),
                 objects=store.access, cache=str(tmp_path / "file"), cache_limit=limit)  # fmt: skip
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert node.lines()[-1] == "some bytes"
    assert ("nothing is kept for the next job" in node.lines()[0]) == (limit > 0)


def test_no_channel_is_fed_when_all_are_files(agent: MakeAgent, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("1")
    node = agent("ls input/data", channels=(channel(f"file://{tmp_path}/data", name="a"),))
    node.start().wait()
    assert json.loads((node.folder / "feeds.json").read_text()) == {}


def test_how_far_it_is_is_told_while_it_comes(agent: MakeAgent, tmp_path: Path) -> None:
    manifest = slow_manifest(tmp_path, 300)
    node = agent("true", channels=(channel(f"file://{manifest}", "ManifestFile"),)).start()
    node.reports.wait_for(lambda: node.fact(Kind.PROGRESS))
    told = node.fact(Kind.PROGRESS)
    assert told is not None
    assert (told.detail["files"], told.detail["bytes"]) == (300, 900)
    (tmp_path / "data/last").write_text("last")
    node.wait()
    assert node.ended() == ("completed", "")
