"""What a channel's objects become below /opt/ml/input/data."""

import json

import pytest
from tests.contract.job import BUCKET, LOOK, Job, channel
from tests.contract.place import Place

A, B, C, D = (letter.encode() for letter in "abcd")
LARGE = bytes(range(256)) * 4096
OBJECTS = {
    "channels/folder/a.csv": A,
    "channels/folder/deep/er/b.csv": B,
    "channels/folder2/c.csv": C,
    "channels/folder.csv": D,
    "channels/odd/with blank.csv": A,
    "channels/odd/größe-日本.csv": B,
    "channels/odd/plus+and&percent%20.csv": C,
    "channels/odd/empty.csv": b"",
    "channels/marked/": b"",
    "channels/marked/kept/": b"",
    "channels/marked/a.csv": A,
    "channels/large/x.bin": LARGE,
    "channels/parts/one.csv": A,
    "channels/parts/two/two.csv": B,
    "channels/parts/three.csv": C,
    "channels/list.manifest": json.dumps(
        [{"prefix": f"s3://{BUCKET}/channels/parts/"}, "one.csv", "two/two.csv"]
    ).encode(),
}
ALL = Job(
    name="channels",
    main=LOOK,
    objects=OBJECTS,
    channels=[
        channel("slash", "channels/folder/"),
        channel("no-slash", "channels/folder/deep"),
        channel("prefix", "channels/fold"),
        channel("folder-and-more", "channels/folder"),
        channel("object", "channels/folder/a.csv"),
        channel("inner", "channels/folder/de"),
        channel("odd.name_1", "channels/odd/"),
        channel("marked", "channels/marked/"),
        channel("large", "channels/large/"),
        channel("again", "channels/folder/"),
        channel("listed", "channels/list.manifest", source={"S3DataType": "ManifestFile"}),
        channel("squeezed", "channels/folder/a.csv", CompressionType="Gzip"),
        channel("fast", "channels/folder/", InputMode="FastFile"),
        channel("shuffled", "channels/folder/", ShuffleConfig={"Seed": 7}),
    ],
)
LANDED = {
    "slash": {"a.csv": A, "deep/er/b.csv": B},
    "no-slash": {"er/b.csv": B},
    "prefix": {"folder/a.csv": A, "folder/deep/er/b.csv": B, "folder2/c.csv": C, "folder.csv": D},
    "folder-and-more": {"a.csv": A, "deep/er/b.csv": B, "folder2/c.csv": C, "folder.csv": D},
    "object": {"a.csv": A},
    "inner": {"deep/er/b.csv": B},
    "odd.name_1": {
        "with blank.csv": A,
        "größe-日本.csv": B,
        "plus+and&percent%20.csv": C,
        "empty.csv": b"",
    },
    "marked": {"a.csv": A},
    "large": {"x.bin": LARGE},
    "again": {"a.csv": A, "deep/er/b.csv": B},
    "listed": {"one.csv": A, "two/two.csv": B},
    "squeezed": {"a.csv": A},
    "fast": {"a.csv": A, "deep/er/b.csv": B},
    "shuffled": {"a.csv": A, "deep/er/b.csv": B},
}
"""By channel: what lies in its folder."""
MOST = Job(
    name="channels-most",
    main=LOOK,
    objects={"channels-most/x": A},
    channels=[channel(f"channel-{n}", "channels-most/x") for n in range(19)],
)
DEALT = Job(
    name="channels-dealt",
    main=LOOK,
    nodes=2,
    objects={f"channels-dealt/{n}.csv": str(n).encode() for n in range(5)}
    | {"channels-dealt-one/only.csv": A},
    channels=[
        channel("dealt", "channels-dealt/", source={"S3DataDistributionType": "ShardedByS3Key"}),
        channel("whole", "channels-dealt/", source={"S3DataDistributionType": "FullyReplicated"}),
        channel("few", "channels-dealt-one/", source={"S3DataDistributionType": "ShardedByS3Key"}),
    ],
)
TOLD_APART = Job(
    name="channels-groups",
    main=LOOK,
    nodes=2,
    objects={"channels-groups/x": A, "channels-groups/y": B},
    channels=[
        channel("ours", "channels-groups/x", source={"InstanceGroupNames": ["one"]}),
        channel("theirs", "channels-groups/y", source={"InstanceGroupNames": ["two"]}),
        channel("both", "channels-groups/x", source={"InstanceGroupNames": ["one", "two"]}),
    ],
    request={
        "ResourceConfig": {
            "VolumeSizeInGB": 5,
            "InstanceGroups": [
                {"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 1}
                for name in ("one", "two")
            ],
        }
    },
)


def below(place: Place, job: Job, name: str, host: str = "algo-1") -> dict[str, bytes]:
    """Return the files of one channel."""
    data = place.run(job).data(host)
    return {
        path.removeprefix(f"{name}/"): content
        for path, content in data.items()
        if path.startswith(f"{name}/")
    }


@pytest.mark.parametrize("name", LANDED)
def test_a_channels_objects_lie_where_they_belong(place: Place, name: str) -> None:
    assert below(place, ALL, name) == LANDED[name]


def test_a_folders_marker_becomes_an_empty_folder(place: Place) -> None:
    assert place.run(ALL).look["tree"]["input/data/marked/kept"]["kind"] == "folder"


@pytest.mark.parametrize("name", ["slash", "prefix", "listed"])
def test_the_list_beside_a_channel_names_its_files_in_key_order(place: Place, name: str) -> None:
    listed = place.run(ALL).data()[f"{name}-manifest"].decode().splitlines()
    assert sorted(listed) == sorted(LANDED[name])


def test_twenty_channels_are_brought(place: Place) -> None:
    names = {path.split("/")[0] for path in place.run(MOST).data() if "/" in path}
    assert names == {f"channel-{n}" for n in range(19)}  # and the program's own


@pytest.mark.parametrize(
    ("host", "files"),
    [
        ("algo-1", {"0.csv": b"0", "2.csv": b"2", "4.csv": b"4"}),
        ("algo-2", {"1.csv": b"1", "3.csv": b"3"}),
    ],
)
def test_a_sharded_channel_is_dealt_to_the_hosts(
    place: Place, host: str, files: dict[str, bytes]
) -> None:
    assert below(place, DEALT, "dealt", host) == files


@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_a_replicated_channel_is_whole_on_every_host(place: Place, host: str) -> None:
    assert len(below(place, DEALT, "whole", host)) == 5


@pytest.mark.parametrize(("host", "files"), [("algo-1", {"only.csv": A}), ("algo-2", {})])
def test_with_more_hosts_than_objects_some_get_nothing(
    place: Place, host: str, files: dict[str, bytes]
) -> None:
    assert below(place, DEALT, "few", host) == files


@pytest.mark.parametrize(
    ("host", "names"), [("algo-1", {"ours", "both"}), ("algo-2", {"theirs", "both"})]
)
def test_a_channel_goes_to_the_instance_groups_that_it_names(
    place: Place, host: str, names: set[str]
) -> None:
    found = {path.split("/")[0] for path in place.run(TOLD_APART).data(host) if "/" in path}
    assert found == names


@pytest.mark.parametrize(
    ("host", "names"), [("algo-1", {"ours", "both"}), ("algo-2", {"theirs", "both"})]
)
def test_only_the_channels_of_a_group_are_described_to_it(
    place: Place, host: str, names: set[str]
) -> None:
    assert set(place.run(TOLD_APART).config("inputdataconfig", host)) == names | {"program"}


REFUSED = {
    "double-slash": (
        Job(
            name="channel-double-slash",
            main=LOOK,
            objects={"double/a//b.csv": A},
            channels=[channel("train", "double/")],
        ),
        (
            "ClientError: Data download failed:Failed to download data. S3 key: "
            f"s3://{BUCKET}/double/a//b.csv has an illegal char sub-sequence '//' in it"
        ),
    ),
    "manifest-names-nothing": (
        Job(
            name="channel-manifest-missing",
            main=LOOK,
            objects={
                "lists/none.manifest": json.dumps(
                    [{"prefix": f"s3://{BUCKET}/lists/"}, "gone.csv"]
                ).encode()
            },
            channels=[channel("a", "lists/none.manifest", source={"S3DataType": "ManifestFile"})],
        ),
        (
            "ClientError: Data download failed:the manifest "
            f"s3://{BUCKET}/lists/none.manifest names s3://{BUCKET}/lists/gone.csv"
        ),
    ),
    "manifest-is-none": (
        Job(
            name="channel-manifest-broken",
            main=LOOK,
            objects={"lists/broken.manifest": b"not json"},
            channels=[channel("a", "lists/broken.manifest", source={"S3DataType": "ManifestFile"})],
        ),
        f"ClientError: Data download failed:the manifest s3://{BUCKET}/lists/broken.manifest",
    ),
    "file-and-folder": (
        Job(
            name="channel-clash",
            main=LOOK,
            objects={"clash/a": A, "clash/a/b": B},
            channels=[channel("train", "clash/")],
        ),
        "ClientError: Data download failed:S3 key: ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_channel_that_cannot_be_brought_fails_the_job_with_its_reason(
    place: Place, name: str
) -> None:
    job, reason = REFUSED[name]
    assert place.run(job).reason.startswith(reason)


@pytest.mark.parametrize("name", ["double-slash"])
def test_a_channel_that_cannot_be_brought_ends_the_job_before_its_program(
    place: Place, name: str
) -> None:
    told = place.run(REFUSED[name][0]).told["SecondaryStatusTransitions"]
    assert [each["Status"] for each in told] == ["Starting", "Downloading", "Failed"]
