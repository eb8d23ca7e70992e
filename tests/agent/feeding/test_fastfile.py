"""Jobs whose channels are shown as they lie in the store."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until
from tests.agent.feeding.conftest import feeder, working_for
from tests.agent.test_degrees import NOTHING
from tests.agent.test_inputs import channel

from trainshed.agent.feeding import mounting
from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
Write = Callable[[str], tuple[str, ...]]
IO_ERROR = "Input/output error"


def fast(uri: object, **more: Any) -> dict[str, Any]:
    return channel(f"file://{uri}", InputMode="FastFile", **more)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("a.csv", "sub/b.csv", "sub/deep/c.csv", "trains/d.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"<{name}>")
    return folder


def test_a_channel_is_shown_as_it_lies_in_the_store(agent: MakeAgent, data: Path) -> None:
    os.utime(data / "a.csv", (1e9, 1e9))
    script = "cd /opt/ml/input/data/train; find . -type f | sort; cat a.csv sub/deep/c.csv; echo; "
    node = agent(
        script + "stat -c '%s %Y %A' a.csv sub; df --output=fstype . | tail -1",
        channels=(fast(data),),
    )
    node.start().wait()
    assert node.lines() == [
        "./a.csv",
        "./sub/b.csv",
        "./sub/deep/c.csv",
        "./trains/d.csv",
        "<a.csv><sub/deep/c.csv>",
        "7 1000000000 -rw-r--r--",
        node.lines()[6],
        "fuse.fastfile",
    ]
    assert node.ended() == ("completed", "")
    assert Kind.DOWNLOADING.value not in node.kinds()


def test_nothing_is_left_of_a_view_when_its_job_is_over(agent: MakeAgent, data: Path) -> None:
    node = agent("true", channels=(fast(data),))
    node.start().wait()
    assert mounting.mounted_below(str(node.folder)) == []
    assert working_for(node) == []
    assert list((node.folder / "ml/input/data/train").iterdir()) == []
    assert not list(node.folder.glob("fastfile-*"))


@pytest.mark.parametrize(
    "change",
    ["echo x >new", "echo x >>a.csv", "rm a.csv", "mkdir d", "mv a.csv b", "chmod 600 a.csv"],
)
def test_a_view_cannot_be_written_to(agent: MakeAgent, data: Path, change: str) -> None:
    node = agent(f"cd /opt/ml/input/data/train; {change}", channels=(fast(data),))
    node.start().wait()
    assert "Read-only file system" in node.lines()[-1]


def test_channels_of_several_modes_lie_side_by_side(agent: MakeAgent, data: Path) -> None:
    node = agent(
        "cd /opt/ml/input/data; cat one/a.csv two/b.csv three/a.csv; cat four_0",
        channels=(
            fast(data, name="one"),
            fast(f"{data}/sub/", name="two"),
            channel(f"file://{data}/a.csv", name="three"),
            channel(f"file://{data}/trains", name="four", InputMode="Pipe"),
        ),
    )
    node.start().wait()
    assert node.lines() == ["<a.csv><sub/b.csv><a.csv><trains/d.csv>"]


def test_a_file_that_is_changed_meanwhile_is_never_shown_in_part(
    agent: MakeAgent, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_bytes(b"old" * 5_000_000)
    node = agent(
        f"cd /opt/ml/input/data/train; head -c 3 x; echo; touch {tmp_path}/begun; "
        f"while [ ! -e {tmp_path}/changed ]; do sleep 0.01; done; "
        "tail -c +14000000 x | grep -c new; cat x | tail -c 3",
        channels=(fast(tmp_path / "data"),),
    )
    node.start()
    until((tmp_path / "begun").exists)
    (tmp_path / "data/x").write_bytes(b"new" * 5_000_000)
    (tmp_path / "changed").touch()
    node.wait()
    said = "\n".join(node.lines())
    assert IO_ERROR in said
    assert "x cannot be read any more: file://" in said
    assert "\n0" in said


def test_a_prefix_that_is_no_folder_is_refused(agent: MakeAgent, data: Path) -> None:
    node = agent("true", channels=(fast(f"{data}/nothing"),))
    node.start().wait()
    assert node.ended()[0] == "failed"
    assert "matched no files" in node.ended()[1]


def test_a_manifest_is_refused(agent: MakeAgent, data: Path) -> None:
    node = agent("true", channels=(fast(f"{data}/a.csv", kind="ManifestFile"),))
    node.start().wait()
    assert node.ended() == (
        "failed",
        (
            "ClientError: FastFile takes the S3DataType S3Prefix only, not ManifestFile; use File "
            "or Pipe"
        ),
    )


def test_where_no_view_can_be_mounted_the_files_are_copied_and_the_log_says_so(
    agent: MakeAgent, data: Path
) -> None:
    node = agent("cat /opt/ml/input/data/train/b.csv", channels=(fast(f"{data}/sub"),))
    node.start("bwrap", "--dev-bind", "/", "/", "--dev", "/dev").wait()
    assert node.lines() == [
        (
            "[trainshed] channel train: FastFile is not possible here: /dev/fuse cannot be opened "
            "(No such file or directory); its files are copied first, as in File mode"
        ),
        "<sub/b.csv>",
    ]
    assert Kind.DOWNLOADING.value in node.kinds()


def test_a_job_without_a_root_of_its_own_is_shown_it_in_its_tree(
    agent: MakeAgent, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bwrap").write_text(NOTHING)
    (tmp_path / "bin/bwrap").chmod(0o755)
    node = agent("cat input/data/train/a.csv", channels=(fast(data),))
    node.start(PATH=f"{tmp_path}/bin:{os.environ['PATH']}").wait()
    assert node.lines()[-1] == "<a.csv>"
    assert mounting.mounted_below(str(node.folder)) == []


def test_a_job_whose_view_dies_fails_with_a_reason(agent: MakeAgent, data: Path) -> None:
    node = agent("echo up; sleep 600", channels=(fast(data),))
    node.start().wait_for_line("up")
    os.kill(feeder(node), 9)
    node.wait()
    assert node.ended()[0] == "lost"
    assert node.ended()[1].startswith("InternalServerError: ")
    mounting.unmount_below(node.folder)


def test_random_reads_of_random_files_are_the_objects_bytes(
    agent: MakeAgent, python: Write, tmp_path: Path
) -> None:
    chance = random.Random(7)
    (tmp_path / "data").mkdir()
    for n in range(8):
        (tmp_path / f"data/{n}").write_bytes(chance.randbytes(chance.randrange(3_000_000)))
    script = f"""
import os, random, threading
chance = random.Random(8)
def check(n):
    mine, theirs = (open(f"{{top}}/{{n}}", "rb", 0) for top in
                    ("/opt/ml/input/data/train", "{tmp_path}/data"))
    for _ in range(60):
        at, size = chance.randrange(3_100_000), chance.randrange(300_000)
        assert os.pread(mine.fileno(), size, at) == os.pread(theirs.fileno(), size, at), (n, at)
threads = [threading.Thread(target=check, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print("same")
"""
    node = agent(entrypoint=python(script), channels=(fast(tmp_path / "data"),))
    node.start().wait()
    assert node.lines() == ["same"]
