"""What a Pipe channel gives: epochs, their order, records, and an end that is always a real one."""

import gzip
import io
import json
import random
from typing import Any

import pytest
from sagemaker_training.recordio import _read_recordio
from tests.contract.job import BUCKET, Job, channel
from tests.contract.place import Place

READ = """
import json, os, time

DATA = "/opt/ml/input/data"

def epoch(name, n):
    path = f"{DATA}/{name}_{n}"
    while not os.path.exists(path):
        time.sleep(0.005)
    return open(path, "rb")

def keep(name, data):
    with open(f"/opt/ml/model/{name}", "wb") as file:
        file.write(data)
"""
PARTS = {f"pipes/parts/{n}": f"<{n}>".encode() for n in range(8)}
WHOLE = b"".join(PARTS.values())
LARGE = random.Random(5).randbytes(9 << 20)
AUGMENTED = [
    {"source-ref": f"s3://{BUCKET}/pipes/parts/3", "label": 1, "other": "x"},
    {"label": {"a": [1, 2]}, "source-ref": f"s3://{BUCKET}/pipes/parts/0"},
]


def piped(name: str, prefix: str, **changes: Any) -> dict[str, Any]:
    return channel(name, prefix, InputMode="Pipe", **changes)


def augmented(name: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["source-ref", "label"]}
    return piped(name, "pipes/augmented.jsonl", source=source, **changes)


ALL = Job(
    name="pipes",
    main=READ
    + """
for name in ("plain", "packed", "records", "augmented", "augmented-records", "listed", "large",
             "shuffled"):
    for n in range(2):
        keep(f"{name}_{n}", epoch(name, n).read())
for n in range(3):
    with epoch("left", n) as file:
        keep(f"left_{n}", file.read(4))
keep("there", json.dumps(sorted(os.listdir(DATA))).encode())
if not os.fork():
    os.setuid(65534)
    print("as nobody", len(epoch("plain", 2).read()), flush=True)
    os._exit(0)
os.wait()
""",
    objects={
        **PARTS,
        "pipes/parts/": b"",
        "pipes/large.bin": LARGE,
        "pipes/packed/1.gz": gzip.compress(b"one") + gzip.compress(b"two"),
        "pipes/packed/2.gz": gzip.compress(LARGE[: 3 << 20], 1),
        "pipes/list.manifest": json.dumps(
            [{"prefix": f"s3://{BUCKET}/pipes/parts/"}, "7", "2", "7"]
        ).encode(),
        "pipes/augmented.jsonl": "".join(f"{json.dumps(line)}\n" for line in AUGMENTED).encode(),
    },
    channels=[
        piped("plain", "pipes/parts"),
        piped("packed", "pipes/packed/", CompressionType="Gzip"),
        piped("records", "pipes/parts", RecordWrapperType="RecordIO"),
        augmented("augmented"),
        augmented("augmented-records", RecordWrapperType="RecordIO"),
        piped("listed", "pipes/list.manifest", source={"S3DataType": "ManifestFile"}),
        piped("large", "pipes/large.bin"),
        piped("left", "pipes/large.bin"),
        piped("shuffled", "pipes/parts", ShuffleConfig={"Seed": 11}),
        piped("unread", "pipes/parts"),
    ],
)


def saved(place: Place, name: str, epoch: int) -> bytes:
    return place.run(ALL).model[f"{name}_{epoch}"]


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain", WHOLE),
        ("packed", b"onetwo" + LARGE[: 3 << 20]),
        ("augmented", b'<3>1<0>{"a": [1, 2]}'),
        ("listed", b"<7><2><7>"),
        ("large", LARGE),
    ],
)
def test_every_epoch_is_all_of_the_channels_data(
    place: Place, name: str, data: bytes, epoch: int
) -> None:
    assert saved(place, name, epoch) == data


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("records", list(PARTS.values())),
        ("augmented-records", [b"<3>", b"1", b"<0>", b'{"a": [1, 2]}']),
    ],
)
def test_records_are_wrapped_so_that_the_toolkits_reader_takes_them_apart(
    place: Place, name: str, found: list[bytes]
) -> None:
    assert list(_read_recordio(io.BytesIO(saved(place, name, 1)))) == found


def test_a_reader_that_leaves_early_is_given_the_next_epoch(place: Place) -> None:
    assert [saved(place, "left", n) for n in range(3)] == [LARGE[:4]] * 3


def test_every_epoch_is_shuffled_anew(place: Place) -> None:
    first, second = saved(place, "shuffled", 0), saved(place, "shuffled", 1)
    assert len({first, second, WHOLE}) == 3
    assert sorted(first) == sorted(second) == sorted(WHOLE)


def test_a_pipe_is_there_for_the_epoch_that_can_be_read_and_for_no_other(place: Place) -> None:
    there = set(json.loads(place.run(ALL).model["there"]))
    assert {"plain_2", "listed_2", "unread_0", "program"} <= there
    assert not {"plain_0", "plain_1", "plain_3", "left_0", "unread_1", "plain", "unread"} & there


def test_a_user_who_is_not_root_reads_a_pipe(place: Place) -> None:
    assert f"as nobody {len(WHOLE)}" in place.run(ALL).lines["algo-1"]


DEALT = Job(
    name="pipes-dealt",
    main=READ
    + """
host = json.load(open("/opt/ml/input/config/resourceconfig.json"))["current_host"]
for n in range(3):
    keep(f"{host}-{n}", epoch("dealt", n).read())
""",
    nodes=2,
    objects={f"pipes-dealt/{n:02d}": f"<{n:02d}>".encode() for n in range(17)},
    channels=[
        piped(
            "dealt",
            "pipes-dealt/",
            source={"S3DataDistributionType": "ShardedByS3Key"},
            ShuffleConfig={"Seed": 2},
        )
    ],
)


def test_the_hosts_share_every_epoch_and_are_dealt_anew(place: Place) -> None:
    model = place.run(DEALT).model
    shares = [[model[f"algo-{host}-{n}"] for host in (1, 2)] for n in range(3)]
    for one, other in shares:
        both = [
            each[start : start + 4] for each in (one, other) for start in range(0, len(each), 4)
        ]
        assert sorted(both) == [f"<{n:02d}>".encode() for n in range(17)]
    assert (
        len({frozenset(one[at : at + 4] for at in range(0, len(one), 4)) for one, _ in shares}) > 1
    )


def points(count: int) -> str:
    """Return lines ``x,y`` of y = 3 x - 2, more or less."""
    draw = random.Random(9)
    xs = [draw.uniform(-1, 1) for _ in range(count)]
    return "".join(f"{x},{3 * x - 2 + draw.gauss(0, 0.01)}\n" for x in xs)


LEARNING = Job(
    name="pipes-learning",
    main=READ
    + """
slope = intercept = 0.0
losses = []
for n in range(2):
    loss = count = 0
    with epoch("train", n) as file:
        for line in file:
            x, y = map(float, line.split(b","))
            error = slope * x + intercept - y
            slope, intercept = slope - 0.05 * error * x, intercept - 0.05 * error
            loss, count = loss + error * error, count + 1
    losses.append(loss / count)
    print(f"epoch={n} loss={losses[-1]:.6f}", flush=True)
keep("line.json", json.dumps([slope, intercept, losses]).encode())
""",
    objects={f"pipes-learning/{n}.csv": points(200).encode() for n in range(5)},
    channels=[piped("train", "pipes-learning/", ShuffleConfig={"Seed": 1})],
)


def test_a_job_learns_from_its_pipe(place: Place) -> None:
    slope, intercept, losses = json.loads(place.run(LEARNING).model["line.json"])
    assert slope == pytest.approx(3, abs=0.05)
    assert intercept == pytest.approx(-2, abs=0.05)
    assert losses[1] < losses[0] / 100


GONE = Job(
    name="pipes-gone",
    main=READ + "epoch('train', 0).read()\nprint('the end', flush=True)\n",
    objects={
        "pipes-gone/1": b"1",
        "pipes-gone/list": json.dumps(
            [{"prefix": f"s3://{BUCKET}/pipes-gone/"}, "1", "gone"]
        ).encode(),
    },
    channels=[piped("train", "pipes-gone/list", source={"S3DataType": "ManifestFile"})],
)
NOTHING = Job(
    name="pipes-nothing",
    main=READ + "print('began')",
    objects={"pipes-nothing/list": json.dumps({"label": 1}).encode()},
    channels=[
        piped(
            "train",
            "pipes-nothing/list",
            source={"S3DataType": "AugmentedManifestFile", "AttributeNames": ["labels"]},
        )
    ],
)


def test_an_object_that_is_missing_in_the_middle_fails_the_job_and_is_no_end(place: Place) -> None:
    seen = place.run(GONE)
    assert seen.reason.startswith(
        f"ClientError: Data download failed:s3://{BUCKET}/pipes-gone/gone does not exist"
    )
    assert f"entry 2 of the manifest s3://{BUCKET}/pipes-gone/list" in seen.reason
    assert "the end" not in seen.lines.get("algo-1", ())


def test_a_bad_line_of_an_augmented_manifest_fails_the_job_before_its_program(place: Place) -> None:
    seen = place.run(NOTHING)
    assert seen.reason == (
        f"ClientError: Data download failed:line 1 of s3://{BUCKET}/pipes-nothing/list lacks the "
        'attribute "labels"; it has label'
    )
    assert "Training" not in [each["Status"] for each in seen.told["SecondaryStatusTransitions"]]
