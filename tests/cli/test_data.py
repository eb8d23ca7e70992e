"""``trainshed data`` with a real server: whole, twice, killed in between."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Shell
from tests.cli.stalling import StallingProxy, stalling

from trainshed.testing.server import Server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def here(server: Server, tmp_path: Path) -> Shell:
    """A shell on the server's own machine."""
    return Shell(server.data, tmp_path)


@pytest.fixture
def proxy(server: Server) -> Iterator[StallingProxy]:
    with stalling(server.address) as between:
        yield between


@pytest.fixture
def afar(server: Server, proxy: StallingProxy, tmp_path: Path) -> Shell:
    """A shell that knows the server by the AWS environment only, and reaches it by the proxy."""
    shell = Shell(tmp_path / "no-server-here", tmp_path)
    access, secret = server.keys
    shell.environment |= {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_CONFIG_FILE": "/dev/null",
    }
    return shell


def folder(root: Path) -> Path:
    """Make a folder with names that trouble careless programs."""
    for name in ("a.csv", "sub/b c?#+%.csv", "sub/deep/ü\n\x01.txt", "sub.csv", "empty"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name == "empty" else name)
    (root / "big").write_bytes(os.urandom(17 * MIB))
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def facts(shell: Shell, *words: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(shell("data", *words, "-o", "json").out)
    return found


def test_a_folder_goes_there_and_comes_back_and_the_second_time_nothing_moves(
    here: Shell, tmp_path: Path
) -> None:
    source = folder(tmp_path / "d")
    (source / "broken").symlink_to("nowhere")
    (source / "linked").symlink_to("a.csv")
    said = here("data", "put", "d", "s3://there/and/back")
    assert said.lines == ["s3://there/and/back/"]
    assert "made the bucket there" in said.err
    assert "left out: 1" in said.err
    again = facts(here, "put", "d", "s3://there/and/back/")
    assert (again["files"], again["bytes"], again["same"]) == (0, 0, 7)
    here("data", "get", "s3://there/and/back/", "copy")
    (source / "broken").unlink()
    assert contents(tmp_path / "copy") == contents(source)
    assert facts(here, "get", "s3://there/and/back/", "copy")["same"] == 7


def test_only_what_differs_is_sent_and_only_what_differs_is_brought(
    here: Shell, tmp_path: Path
) -> None:
    source = folder(tmp_path / "d")
    here("data", "put", "d", "s3://differs/")
    here("data", "get", "s3://differs/", "copy")
    (source / "a.csv").write_text("A.csv")  # as long as it was
    (source / "new").write_text("new")
    assert facts(here, "put", "d", "s3://differs")["files"] == 2
    (tmp_path / "copy/sub.csv").write_text("SUB.csv")
    (tmp_path / "copy/own").write_text("not of the bucket")
    assert facts(here, "get", "s3://differs/", "copy")["files"] == 3
    (tmp_path / "copy/own").unlink()
    assert contents(tmp_path / "copy") == contents(source)


def test_what_is_listed_is_what_is_there(here: Shell, tmp_path: Path) -> None:
    folder(tmp_path / "d")
    here("data", "put", "d", "s3://listed/in")
    assert "listed" in here("data", "ls", "-o", "name").lines
    assert here("data", "ls", "s3://listed/in", "-o", "name").lines == ["in/"]
    top = here("data", "ls", "s3://listed/in/").lines
    assert [line[31:].strip() for line in top] == ["a.csv", "big", "empty", "sub.csv", "sub/"]
    assert [line.split()[-2] for line in top] == ["5", str(17 * MIB), "0", "7", "PRE"]
    whole = json.loads(here("data", "ls", "-r", "s3://listed/", "-o", "json").out)
    assert [entry["size"] for entry in whole][:3] == [5, 17 * MIB, 0]
    assert "in/sub/deep/ü\n\x01.txt" in {entry["key"] for entry in whole}
    assert len(here("data", "ls", "-r", "s3://listed/in/s", "-o", "jsonl").lines) == 3


def test_one_object_is_a_file_here(here: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    here("data", "put", "a.csv", "s3://one/as-it-is")
    here("data", "put", "a.csv", "s3://one/in/")
    here("data", "get", "s3://one/in/a.csv", "b.csv")
    here("data", "get", "s3://one/as-it-is")
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "as-it-is").read_text() == "1"


REFUSED: list[tuple[list[str], int, str]] = [
    (["get", "s3://nowhere/x", "x"], 7, "no bucket 'nowhere'"),
    (["get", "s3://told/none", "x"], 7, "nothing is at s3://told/none"),
    (["get", "s3://told/none/", "x"], 7, "nothing is at s3://told/none/"),
    (["get", "s3://told/sub", "x"], 1, "s3://told/sub is a folder"),
    (["get", "s3://told/sub/", "a.csv"], 1, "where a file is"),
    (["get", "told/sub", "x"], 1, "not an address like s3://"),
    (["get", "gs://told/sub", "x"], 1, "gs://told/sub is in no S3 store"),
    (["get", "file:///told", "x"], 1, "a file of the machine where the job ran"),
    (["ls", "s3://nowhere"], 7, "no bucket 'nowhere'"),
    (["ls", "s3://told/none"], 7, "nothing is at"),
    (["put", "none", "s3://told/"], 1, "no file or folder"),
    (["put", "a.csv", "s3://Not_A_Bucket/"], 1, "'Not_A_Bucket' cannot be the name of a bucket"),
]


def test_what_cannot_be_done_is_told(here: Shell, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.csv").write_text("1")
    (tmp_path / "sub/a.csv").write_text("1")
    here("data", "put", "sub", "s3://told/sub/")
    for words, code, why in REFUSED:
        assert why in here("data", *words, code=code).err
        assert not (tmp_path / "x").exists()


def test_a_server_far_away_is_reached_by_the_aws_environment(
    afar: Shell, proxy: StallingProxy, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("1")
    assert "no bucket" in afar("data", "put", "a.csv", "s3://afar/", "--aws", code=7).err
    del afar.environment["AWS_REGION"]
    assert "no region" in afar("data", "ls", "--aws", code=1).err
    afar.environment |= {"AWS_REGION": "us-east-1", "AWS_SECRET_ACCESS_KEY": "wrong"}
    assert "signature" in afar("data", "ls", "--aws", code=1).err
    proxy.close()
    assert "no server answers" in afar("data", "ls", "--aws", code=6).err


def killed_when_stalled(shell: Shell, proxy: StallingProxy, *words: str) -> None:
    with shell.begin(*words) as process:
        assert proxy.stalled.wait(60), process.communicate(timeout=5)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    proxy.go_on()


def test_a_put_that_was_killed_sends_only_the_rest(
    here: Shell, afar: Shell, proxy: StallingProxy, tmp_path: Path
) -> None:
    content = os.urandom(40 * MIB)
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "a").write_text("1")
    here("data", "put", "a", "s3://killed/")
    proxy.stall_after(up=34 * MIB)
    words = ["data", "put", "big", "s3://killed/", "--aws", "--at-once", "1"]
    killed_when_stalled(afar, proxy, *words)
    assert "big" not in here("data", "ls", "s3://killed/").out
    afar(*words)
    assert proxy.moved["up"] < 9 * MIB  # two parts of 16 had been acknowledged
    here("data", "get", "s3://killed/big", "copy")
    assert (tmp_path / "copy").read_bytes() == content


def test_a_get_that_was_killed_brings_only_the_rest(
    here: Shell, afar: Shell, proxy: StallingProxy, tmp_path: Path
) -> None:
    content = os.urandom(40 * MIB)
    (tmp_path / "big").write_bytes(content)
    here("data", "put", "big", "s3://gotten/")
    proxy.stall_after(down=30 * MIB)
    words = ["data", "get", "s3://gotten/big", "copy", "--aws", "--at-once", "1"]
    killed_when_stalled(afar, proxy, *words)
    assert not (tmp_path / "copy").exists()
    afar(*words)
    assert proxy.moved["down"] < 14 * MIB  # of 10, and a begun piece of each of three streams
    assert (tmp_path / "copy").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "copy"]


def test_of_an_object_that_changed_meanwhile_nothing_old_is_kept(
    here: Shell, afar: Shell, proxy: StallingProxy, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"1" * 40 * MIB)
    here("data", "put", "big", "s3://changed/")
    proxy.stall_after(down=20 * MIB)
    words = ["data", "get", "s3://changed/big", "copy", "--aws", "--at-once", "1"]
    killed_when_stalled(afar, proxy, *words)
    (tmp_path / "big").write_bytes(b"2" * 40 * MIB)
    here("data", "put", "big", "s3://changed/")
    afar(*words)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "big").read_bytes()


def test_ctrl_c_ends_a_transfer_that_hangs_at_once(
    here: Shell, afar: Shell, proxy: StallingProxy, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(os.urandom(20 * MIB))
    here("data", "put", "big", "s3://hangs/")
    proxy.stall_after(down=10 * MIB)
    with afar.begin("data", "get", "s3://hangs/big", "copy", "--aws") as process:
        assert proxy.stalled.wait(60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)  # less than a read may take
    assert process.returncode == 130


def test_a_put_that_is_interrupted_names_the_parts_that_stay(
    here: Shell, afar: Shell, proxy: StallingProxy, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("1")
    here("data", "put", "a", "s3://parts/")
    (tmp_path / "big one").write_bytes(os.urandom(30 * MIB))
    proxy.stall_after(up=20 * MIB)
    words = ["data", "put", "big one", "s3://parts/", "--aws", "--at-once", "1"]
    with afar.begin(*words) as process:
        assert proxy.stalled.wait(60)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "parts of s3://parts/big one are there, and take room" in said
    assert "aws s3api abort-multipart-upload --bucket parts --key 'big one' --upload-id " in said
