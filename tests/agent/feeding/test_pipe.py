"""Jobs that read their channels from pipes: epochs, early ends, wrapping, unpacking."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sagemaker_training.recordio import _read_recordio
from tests.agent.conftest import Agent
from tests.agent.feeding.conftest import READER, piped
from tests.agent.test_inputs import channel

MakeAgent = Callable[..., Agent]
Write = Callable[[str], tuple[str, ...]]
Read = Callable[..., Agent]

SAVE = "open('/opt/ml/model/epoch', 'wb').write(epoch(0).read())"
"""The node is over when it is looked at, but its folder is still there."""


def records(root: Path) -> list[bytes]:
    """Return the records of the epoch that a node has saved, as Amazon's own reader finds them."""
    [*_, epoch] = sorted(root.glob("nodes/*/ml/model/epoch"))
    with epoch.open("rb") as file:
        return list(_read_recordio(file))


def test_each_epoch_is_all_of_the_data_in_the_order_of_the_keys(read: Read, data: Path) -> None:
    node = read("for n in range(3): print(epoch(n).read().decode())", piped(data))
    assert node.ended() == ("completed", "")
    assert node.lines() == ["<0><1><2><3><4>"] * 3


def test_whoever_comes_to_the_end_of_an_epoch_finds_the_next(read: Read, data: Path) -> None:
    node = read(
        "for n in range(50): print(len(open(f'/opt/ml/input/data/train_{n}').read()))", piped(data)
    )
    assert node.lines() == ["15"] * 50


def test_a_reader_that_leaves_early_finds_the_next_epoch(read: Read, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 << 20))
    node = read(
        "for n in range(3):\n    with epoch(n) as file: print(n, len(file.read(1000)))",
        piped(tmp_path / "big"),
    )
    assert node.ended() == ("completed", "")
    assert node.lines() == ["0 1000", "1 1000", "2 1000"]


def test_a_large_object_comes_as_it_is(read: Read, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(range(256)) * (40 << 12))
    node = read("print(epoch(0).read() == bytes(range(256)) * (40 << 12))", piped(tmp_path / "big"))
    assert node.lines() == ["True"]


def test_channels_are_read_in_any_order(read: Read, data: Path) -> None:
    node = read(
        "print(epoch(0, 'two').read(), epoch(0, 'one').read(), epoch(1, 'one').read())",
        piped(data / "1", name="one"),
        piped(data / "2", name="two"),
    )
    assert node.lines() == ["b'<2>' b'<1>' b'<1>'"]


def test_a_channel_that_nobody_reads_holds_nothing_up(read: Read, data: Path) -> None:
    node = read("print('done')", piped(data), channel(f"file://{data}", name="file"))
    assert node.ended() == ("completed", "")
    assert node.lines() == ["done"]


def test_shuffled_epochs_differ_and_are_complete(read: Read, data: Path) -> None:
    node = read(
        "for n in range(4): print(epoch(n).read().decode())",
        piped(data, ShuffleConfig={"Seed": 3}),
    )
    assert len(set(node.lines())) > 1
    assert {"".join(sorted(line)) for line in node.lines()} == {"".join(sorted("<0><1><2><3><4>"))}


@pytest.mark.parametrize(("host", "text"), [("algo-1", "<0><2><4>"), ("algo-2", "<1><3>")])
def test_a_sharded_channel_is_dealt_to_the_hosts(
    agent: MakeAgent, python: Write, data: Path, host: str, text: str
) -> None:
    script = READER + "print(epoch(0).read().decode(), epoch(1).read().decode())"
    shared = piped(data, source={"S3DataDistributionType": "ShardedByS3Key"})
    node = agent(
        entrypoint=python(script),
        channels=[shared],
        host=host,
        hosts=("algo-1", "algo-2"),
        node_id=f"job-1.1.{host}",
    ).start()
    node.wait_for_line(text)
    assert node.lines() == [f"{text} {text}"]


def test_a_host_that_is_dealt_nothing_reads_nothing(
    agent: MakeAgent, python: Write, data: Path
) -> None:
    node = agent(
        entrypoint=python(READER + "print(epoch(0).read(), epoch(1).read())"),
        channels=[piped(data / "0", source={"S3DataDistributionType": "ShardedByS3Key"})],
        host="algo-2",
        hosts=("algo-1", "algo-2"),
    ).start()
    node.wait_for_line("b'' b''")


def test_gzip_is_unpacked_member_by_member(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "1.gz").write_bytes(gzip.compress(b"a" * 3_000_000) + gzip.compress(b"b"))
    (folder / "2.gz").write_bytes(gzip.compress(b""))
    (folder / "3.gz").write_bytes(gzip.compress(b"c"))
    node = read(
        "found = epoch(0).read(); print(found == b'a' * 3_000_000 + b'bc')",
        piped(folder, CompressionType="Gzip"),
    )
    assert node.lines() == ["True"]


def test_each_object_becomes_a_record(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    for n in range(6):
        (folder / str(n)).write_bytes(bytes([n]) * n)
    read(SAVE, piped(folder, RecordWrapperType="RecordIO"))
    assert records(tmp_path) == [bytes([n]) * n for n in range(6)]


def test_what_a_record_holds_is_unpacked_first(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    for n in (1, 9_000_000):
        (folder / f"{n}.gz").write_bytes(gzip.compress(b"x" * n, 1))
    read(SAVE, piped(folder, RecordWrapperType="RecordIO", CompressionType="Gzip"))
    assert records(tmp_path) == [b"x", b"x" * 9_000_000]


def test_a_manifests_objects_come_in_its_order(read: Read, data: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "list"
    manifest.write_text(json.dumps([{"prefix": f"file://{data}/"}, "3", "0", "3"]))
    node = read("print(epoch(0).read().decode())", piped(manifest, kind="ManifestFile"))
    assert node.lines() == ["<3><0><3>"]


def test_an_augmented_manifests_attributes_come_in_the_order_asked_for(
    read: Read, data: Path, tmp_path: Path
) -> None:
    lines = [
        {"label": 1, "image-ref": f"file://{data}/4", "other": None},
        {"image-ref": f"file://{data}/0", "label": "größe"},
    ]
    manifest = tmp_path / "augmented"
    manifest.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    asked = piped(manifest, kind="AugmentedManifestFile",
                  source={"AttributeNames": ["image-ref", "label"]})  # fmt: skip
    node = read("print(epoch(0).read().decode())", asked)
    assert node.lines() == ["<4>1<0>größe"]
    read(SAVE, {**asked, "RecordWrapperType": "RecordIO"}, node_id="job-1.2.algo-1")
    assert records(tmp_path) == [b"<4>", b"1", b"<0>", "größe".encode()]
