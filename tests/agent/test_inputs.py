"""What a container finds below input/data, and what is refused before it starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent

MakeAgent = Callable[..., Agent]
LIST = "cd /opt/ml/input/data && find . -type f | sort"


def channel(uri: str, kind: str = "S3Prefix", name: str = "train", **more: Any) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, **more.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("data/a.csv", "data/sub/b.csv", "data2/c.csv", "one.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_a_folder_and_a_file_are_staged(agent: MakeAgent, data: Path) -> None:
    node = agent(
        LIST,
        channels=(
            channel(f"file://{data}/data", name="a"),
            channel(f"file://{data}/data/", name="b"),
            channel(f"file://{data}/one.csv", name="c"),
        ),
    )
    node.start().wait()
    assert node.kinds() == ["started", "downloading", "training", "exited", "uploading", "ended"]
    assert node.lines() == [
        "./a-manifest",
        "./a/a.csv",
        "./a/sub/b.csv",
        "./b-manifest",
        "./b/a.csv",
        "./b/sub/b.csv",
        "./c-manifest",
        "./c/one.csv",
    ]


def test_the_data_may_be_changed_by_the_job_without_touching_the_source(
    agent: MakeAgent, data: Path
) -> None:
    node = agent(
        "cd input/data; echo changed >train/a.csv; cat train/a.csv train-manifest; "
        "stat -c '%a %U' train train/a.csv; touch /opt/ml/input/mine",
        channels=(channel(f"file://{data}/data"),),
    )
    node.start().wait()
    assert node.lines() == ["changed", "a.csv", "sub/b.csv", "755 root", "644 root"]
    assert (data / "data/a.csv").read_text() == "data/a.csv"


def test_a_manifest_names_each_file(agent: MakeAgent, data: Path) -> None:
    manifest = data / "m.json"
    manifest.write_text(json.dumps([{"prefix": f"file://{data}/"}, "one.csv", "data/sub/b.csv"]))
    node = agent(LIST, channels=(channel(f"file://{manifest}", "ManifestFile"),))
    node.start().wait()
    assert node.lines() == ["./train-manifest", "./train/data/sub/b.csv", "./train/one.csv"]


def test_shards_have_every_file_once(agent: MakeAgent, data: Path) -> None:
    for i in range(7):
        (data / f"data/s{i}").write_text("x")
    found: list[str] = []
    hosts = ("algo-1", "algo-2", "algo-3")
    sharded = channel(f"file://{data}/data", source={"S3DataDistributionType": "ShardedByS3Key"})
    for host in reversed(hosts):
        node = agent(LIST, channels=(sharded,), host=host, hosts=hosts, node_id=f"job-1.1.{host}")
        node.start().wait()
        mine = [line for line in node.lines() if line.startswith("./train/")]
        assert len(mine) == 3
        found += mine
    assert len(set(found)) == 9


def test_shards_are_dealt_among_the_nodes_of_the_channels_groups(
    agent: MakeAgent, data: Path
) -> None:
    hosts = ("algo-1", "algo-2", "algo-3")
    groups = [{"instance_group_name": "cpus", "instance_type": "ml.m5.large", "hosts": ["algo-2"]},
              {"instance_group_name": "gpus", "instance_type": "ml.m5.large",
               "hosts": ["algo-3", "algo-1"]}]  # fmt: skip
    dealt = channel(f"file://{data}/data", source={
        "S3DataDistributionType": "ShardedByS3Key", "InstanceGroupNames": ["gpus"]})  # fmt: skip
    found = {}
    for host in reversed(hosts):
        node = agent("cd input/data; find . -path './train/*' -type f", channels=(dealt,),
                     host=host, hosts=hosts, node_id=f"job-1.1.{host}",
                     instance_groups=tuple(groups),
                     instance_group="cpus" if host == "algo-2" else "gpus")  # fmt: skip
        node.start().wait()
        found[host] = node.lines()
    assert found == {"algo-1": ["./train/a.csv"], "algo-2": [], "algo-3": ["./train/sub/b.csv"]}


def test_a_channel_for_another_group_is_not_brought(agent: MakeAgent, data: Path) -> None:
    other = channel(f"file://{data}/data", source={"InstanceGroupNames": ["gpus"]})
    node = agent("ls input/data; cat input/config/inputdataconfig.json", channels=(other,))
    node.start().wait()
    assert node.lines() == ["{}"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda d: channel(f"file://{d}/dat"), "matched no files on s3"),
        (lambda d: channel("file:///etc/passwd"), "outside the folders that jobs may use"),
        (lambda d: channel(f"file://{d}/leads-out"), "outside the folders that jobs may use"),
        (lambda d: channel(f"file://{d}/data/../../../etc"), "outside the folders"),
        (lambda d: channel(f"file://{d}/bad.json", "ManifestFile"), "where a JSON array is exp"),
        (lambda d: channel(f"file://{d}/escape.json", "ManifestFile"), "would lie outside"),
        (lambda d: channel(f"file://{d}/absent.json", "ManifestFile"), "does not exist"),
        (lambda d: channel(f"file://{d}/data", "AugmentedManifestFile"), "Pipe only, not File"),
        (lambda d: channel(f"file://{d}/data", "Converse"), "use S3Prefix or ManifestFile"),
        (lambda d: channel("ftp://x"), "is not an address"),
        (lambda d: channel(f"file://{d}/data", name=".."), "cannot be the name"),
        (lambda d: {"ChannelName": "fs", "DataSource": {"FileSystemDataSource": {}}}, "only S3"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_brought_fails_the_job_before_the_script(
    agent: MakeAgent, data: Path, bad: Callable[[Path], dict[str, Any]], said: str
) -> None:
    (data / "leads-out").symlink_to("/etc")
    (data / "bad.json").write_text("{}")
    (data / "escape.json").write_text(json.dumps([{"prefix": f"file://{data}/d/"}, "../one.csv"]))
    node = agent("echo never", channels=(bad(data),))
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: ")
    assert said in reason
    assert "training" not in node.kinds()


def test_what_is_used_in_pipe_mode_alone_changes_no_file_and_is_said(
    agent: MakeAgent, data: Path
) -> None:
    both = channel(f"file://{data}/data", CompressionType="Gzip", RecordWrapperType="RecordIO")
    node = agent("cat input/data/train/a.csv", channels=(both,))
    node.start().wait()
    *said, read = node.lines()
    assert read == "data/a.csv"
    assert [line.partition(" is used")[0] for line in said] == [
        "[trainshed] channel train: CompressionType Gzip",
        "[trainshed] channel train: RecordWrapperType RecordIO",
    ]
    assert all("its files stay as they are" in line for line in said)


def test_a_half_staged_channel_is_staged_anew(agent: MakeAgent, data: Path) -> None:
    node = agent(LIST, channels=(channel(f"file://{data}/data"),))
    left = node.folder / "ml/input/data/train"
    left.mkdir(parents=True)
    (left / "a.csv").write_text("torn")
    (left / "gone.csv").write_text("torn")
    node.start().wait()
    assert node.ended()[0] == "completed"
    assert "./train/gone.csv" not in node.lines()


def test_many_small_files_are_staged(agent: MakeAgent, data: Path) -> None:
    for i in range(500):
        (data / "data" / f"{i:04}").write_text(str(i))
    node = agent("ls input/data/train | wc -l; cat input/data/train/0499",
                 channels=(channel(f"file://{data}/data"),))  # fmt: skip
    node.start().wait()
    assert node.lines() == ["502", "499"]


def test_data_around_the_nodes_own_folder_is_not_copied_into_itself(
    agent: MakeAgent, data: Path
) -> None:
    node = agent(LIST, channels=(channel(f"file://{data}"),))
    node.start().wait()
    assert node.lines() == [
        "./train-manifest",
        "./train/data/a.csv",
        "./train/data/sub/b.csv",
        "./train/data2/c.csv",
        "./train/one.csv",
    ]


def test_a_channel_may_be_called_as_the_list_of_another(agent: MakeAgent, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x").write_text("1")
    uri = f"file://{tmp_path}/in"
    node = agent(LIST, channels=(channel(uri, name="a"), channel(uri, name="a-manifest")))
    node.start().wait()
    assert node.lines() == ["./a-manifest-manifest", "./a-manifest/x", "./a/x"]
