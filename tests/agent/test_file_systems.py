"""Channels that are folders of file systems, as they stand."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent
from tests.agent.test_degrees import NOTHING

from trainshed.agent.channels.items import BadInput
from trainshed.agent.channels.mounts import Mount, mounts_of
from trainshed.agent.runtimes.docker.spec import NfsMount, file_system_mounts
from trainshed.testing.plans import node_plan

MakeAgent = Callable[..., Agent]
ID = "fs-0123456789abcdef0"


def file_system(path: str = "/", mode: str = "ro", **more: Any) -> dict[str, Any]:
    source = {
        "FileSystemId": ID,
        "FileSystemAccessMode": mode,
        "FileSystemType": "EFS",
        "DirectoryPath": path,
        **more,
    }
    return {"ChannelName": "train", "DataSource": {"FileSystemDataSource": source}}


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared/sets/one").mkdir(parents=True)
    (tmp_path / "shared/sets/one/a.csv").write_text("a")
    (tmp_path / "outside").mkdir()
    (tmp_path / "shared/link").symlink_to("sets")
    (tmp_path / "shared/out").symlink_to(tmp_path / "outside")
    return tmp_path / "shared"


def test_a_folder_of_a_file_system_is_a_channel_as_it_stands(
    agent: MakeAgent, shared: Path
) -> None:
    node = agent(
        "cd /opt/ml/input; cat data/train/one/a.csv config/inputdataconfig.json; echo; "
        "touch data/train/new 2>&1",
        channels=(file_system("/sets"),),
        file_systems={ID: str(shared)},
    )
    node.start().wait()
    read, refused = node.lines()
    assert read == (
        'a{"train":{"TrainingInputMode":"File","S3DistributionType":"FullyReplicated",'
        '"RecordWrapperType":"None"}}'
    )
    assert "Read-only file system" in refused
    assert "downloading" not in node.kinds()


def test_what_is_written_to_a_writable_one_is_there_for_others(
    agent: MakeAgent, shared: Path
) -> None:
    node = agent(
        "echo new >/opt/ml/input/data/train/new",
        channels=(file_system(mode="rw"),),
        file_systems={ID: str(shared)},
    )
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert (shared / "new").read_text() == "new\n"


def test_a_bare_job_finds_it_and_is_told_what_is_not_kept(
    agent: MakeAgent, shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bwrap").write_text(NOTHING)
    (tmp_path / "bin/bwrap").chmod(0o755)
    node = agent(
        "cat input/data/train/sets/one/a.csv",
        channels=(file_system(),),
        file_systems={ID: str(shared)},
    )
    node.start(PATH=f"{tmp_path}/bin:{os.environ['PATH']}").wait()
    assert "channel train: nothing keeps it from being written to here" in "\n".join(node.lines())
    assert node.lines()[-1] == "a"


@pytest.mark.parametrize(
    ("path", "more", "reason"),
    [
        ("/none", {}, "there is no folder "),
        ("/sets/one/a.csv", {}, "there is no folder "),
        ("/../outside", {}, "DirectoryPath '/../outside' leads out of its file system"),
        ("/out", {}, "is a link that leads out of its file system"),
        ("/", {"FileSystemId": "fs-00000000"}, "nothing stands for the file system fs-00000000"),
    ],
)
def test_what_cannot_be_had_fails_the_job_before_its_program(
    agent: MakeAgent, shared: Path, path: str, more: dict[str, str], reason: str
) -> None:
    node = agent("true", channels=(file_system(path, **more),), file_systems={ID: str(shared)})
    node.start().wait()
    assert node.ended()[0] == "failed"
    assert node.ended()[1].startswith('ClientError: channel "train": ')
    assert reason in node.ended()[1]
    assert "training" not in node.kinds()


def test_processes_cannot_be_given_an_nfs_server(agent: MakeAgent) -> None:
    node = agent("true", channels=(file_system(),), file_systems={ID: "nfs://files.example/export"})
    node.start().wait()
    assert node.ended()[0] == "failed"
    assert "cannot be given nfs://files.example/export; mount it" in node.ended()[1]


@pytest.mark.parametrize(
    ("path", "kind", "below"),
    [
        ("/", "EFS", ""),
        ("", "EFS", ""),
        ("/sets/one/", "EFS", "sets/one"),
        ("sets//./one", "EFS", "sets/one"),
        ("/link/one", "EFS", "sets/one"),
        ("/mountname", "FSxLustre", ""),
        ("/mountname/sets/one", "FSxLustre", "sets/one"),
    ],
)
def test_where_a_directory_lies_below_its_file_system(
    shared: Path, path: str, kind: str, below: str
) -> None:
    channel = file_system(path, FileSystemType=kind)
    plan = node_plan(
        shared, server_url="", token="", channels=(channel,), file_systems={ID: str(shared)}
    )
    source = str(shared / below)
    assert mounts_of(plan) == [Mount(channel="train", source=source, read_only=True)]


def test_a_directory_that_leads_out_is_refused_of_an_nfs_server_too(tmp_path: Path) -> None:
    plan = node_plan(
        tmp_path,
        server_url="",
        token="",
        channels=(file_system("/a/../../b"),),
        file_systems={ID: "nfs://files.example/export"},
    )
    with pytest.raises(BadInput, match="leads out"):
        mounts_of(plan)


def test_a_container_is_given_an_nfs_server_by_its_engine(tmp_path: Path) -> None:
    plan = node_plan(
        tmp_path,
        server_url="",
        token="",
        channels=(file_system("/sets/a b", mode="rw"),),
        file_systems={ID: "nfs://files.example:2050/export/"},
    )
    [mount] = file_system_mounts(plan)
    assert isinstance(mount, NfsMount)
    told = mount.told()
    options = told["VolumeOptions"].pop("DriverConfig")
    labels = told["VolumeOptions"].pop("Labels")
    assert told == {
        "Type": "volume",
        "Target": "/opt/ml/input/data/train",
        "VolumeOptions": {"NoCopy": True},
    }
    assert labels["trainshed.node"] == plan.node_id
    assert options["Name"] == "local"
    assert options["Options"]["type"] == "nfs"
    assert options["Options"]["device"] == ":/export/sets/a b"
    wanted = {"addr=files.example", "port=2050", "rw", "nfsvers=4.1", "hard"}
    assert wanted <= set(options["Options"]["o"].split(","))
