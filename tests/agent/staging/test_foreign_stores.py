"""The same channels from servers of every make: ours, moto's and rclone's."""

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from tests.agent.conftest import Agent
from tests.agent.staging.conftest import Source
from tests.agent.test_inputs import channel

MakeAgent = Callable[..., Agent]
LIST = "cd /opt/ml/input/data && find . -type f | sort"
SUMS = "cd /opt/ml/input/data/train && find . -type f -print0 | xargs -0 md5sum"


def staged(agent: MakeAgent, source: Source, script: str, *channels: Any, **more: Any) -> Agent:
    node = agent(script, channels=channels, objects=source.access, **more)
    node.start().wait()
    assert node.ended() == ("completed", "")
    return node


def test_a_prefix_is_text_and_not_a_folder(agent: MakeAgent, source: Source) -> None:
    source.put({"d/train/x/y": b"1", "d/train2/z": b"2", "d/train.csv": b"3", "d/other": b"4"})
    node = staged(agent, source, LIST, channel(source.uri("d/train")))
    assert node.lines() == ["./train-manifest", "./train/train.csv", "./train/train2/z",
                            "./train/x/y"]  # fmt: skip


def test_every_byte_arrives_whatever_its_size_and_name(agent: MakeAgent, source: Source) -> None:
    objects = {
        "p/empty": b"",
        "p/one": b"x",
        "p/large": os.urandom(20 << 20),
        "p/Füße und Ähren.txt": b"utf-8",
        "p/a b+c&d=e%20.txt": b"signs",
        "p/deep/" + "/".join("abcdefgh"): b"deep",
    }
    source.put(objects)
    node = staged(agent, source, SUMS, channel(source.uri("p/")))
    found = {f"p/{name}": digest for digest, name in (line.split("  ./") for line in node.lines())}
    assert found == {key: hashlib.md5(body).hexdigest() for key, body in objects.items()}


def test_more_objects_than_a_page_of_the_list_has(agent: MakeAgent, source: Source) -> None:
    source.put_many({f"p/{number:04}": str(number).encode() for number in range(1_100)})
    node = staged(agent, source, "cd input/data; ls train | wc -l; wc -l <train-manifest; "
                  "cat train/*00", channel(source.uri("p")))  # fmt: skip
    assert node.lines() == ["1100", "1100", "".join(str(each) for each in range(0, 1_100, 100))]


def test_a_manifest_names_objects(agent: MakeAgent, source: Source) -> None:
    source.put({"p/a": b"1", "p/sub/b": b"2", "p/c": b"3"})
    manifest = json.dumps([{"prefix": source.uri("p/")}, "sub/b", "a"])
    source.put({"lists/m": manifest.encode()})
    node = staged(agent, source, f"{LIST}; cat train-manifest",
                  channel(source.uri("lists/m"), "ManifestFile"))  # fmt: skip
    assert node.lines() == ["./train-manifest", "./train/a", "./train/sub/b", "sub/b", "a"]


def test_a_manifest_that_names_a_missing_object_fails_the_job(
    agent: MakeAgent, source: Source
) -> None:
    source.put({"p/a": b"1"})
    source.put({"m": json.dumps([{"prefix": source.uri("p/")}, "a", "missing"]).encode()})
    node = agent("echo never", channels=(channel(source.uri("m"), "ManifestFile"),),
                 objects=source.access)  # fmt: skip
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason == (
        f"ClientError: Data download failed:the manifest {source.uri('m')} names "
        f"{source.uri('p/missing')}, which does not exist"
    )
    assert not (node.folder / "ml/input/data/train").exists()
    assert not (node.folder / "ml/input/data/train-manifest").exists()


def test_shards_have_every_object_once(agent: MakeAgent, source: Source) -> None:
    source.put({f"p/{number}": b"x" for number in range(5)})
    hosts = ("algo-1", "algo-2", "algo-3")
    dealt = channel(source.uri("p/"), source={"S3DataDistributionType": "ShardedByS3Key"})
    found = []
    for host in reversed(hosts):
        node = agent(LIST, channels=(dealt,), objects=source.access, host=host, hosts=hosts,
                     node_id=f"job-1.1.{host}")  # fmt: skip
        node.start().wait()
        found.append([line for line in node.lines() if line.startswith("./train/")])
    assert found == [["./train/2"], ["./train/1", "./train/4"], ["./train/0", "./train/3"]]


def test_more_hosts_than_objects_leave_empty_folders(agent: MakeAgent, source: Source) -> None:
    source.put({"p/only": b"x"})
    dealt = channel(source.uri("p/"), source={"S3DataDistributionType": "ShardedByS3Key"})
    node = agent("ls -A input/data/train | wc -l", channels=(dealt,), objects=source.access,
                 host="algo-2", hosts=("algo-1", "algo-2"), node_id="job-1.1.algo-2")  # fmt: skip
    node.start().wait()
    assert node.lines() == ["0"]
