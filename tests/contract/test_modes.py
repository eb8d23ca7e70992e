"""Every input mode x data type x distribution, each with a training loop that learns from it."""

import json
import random
from itertools import product
from typing import Any, Final

import pytest
from tests.contract.job import BUCKET, Job, Seen, channel
from tests.contract.place import Place, refused

MODES: Final = ("File", "FastFile", "Pipe")
TYPES: Final = ("S3Prefix", "ManifestFile", "AugmentedManifestFile")
DISTRIBUTIONS: Final = ("FullyReplicated", "ShardedByS3Key")
OFFERED: Final = {
    "S3Prefix": {"File", "FastFile", "Pipe"},
    "ManifestFile": {"File", "Pipe"},
    "AugmentedManifestFile": {"Pipe"},
}
"""The modes of each data type. Source: Amazon SageMaker developer guide and API reference."""
ALL: Final = list(product(MODES, TYPES, DISTRIBUTIONS))
ROWS: Final = [
    (mode, kind, distribution) for mode, kind, distribution in ALL if mode in OFFERED[kind]
]
OTHERS: Final = [row for row in ALL if row not in ROWS]
NODES: Final = 2
PARTS: Final = 6
CHANCE: Final = random.Random(17)
SAMPLES: Final = [[CHANCE.random() for _ in range(40)] for _ in range(PARTS)]
URIS: Final = {
    "S3Prefix": "modes/rows/",
    "ManifestFile": "modes/rows.manifest",
    "AugmentedManifestFile": "modes/rows.jsonl",
}
OBJECTS: Final = {
    **{
        f"modes/rows/{n}.csv": "".join(f"{x},{3 * x + 2}\n" for x in part).encode()
        for n, part in enumerate(SAMPLES)
    },
    URIS["ManifestFile"]: json.dumps(
        [{"prefix": f"s3://{BUCKET}/modes/rows/"}, *(f"{n}.csv" for n in range(PARTS))]
    ).encode(),
    URIS["AugmentedManifestFile"]: "".join(
        json.dumps({"id": n, "rows-ref": f"s3://{BUCKET}/modes/rows/{n}.csv"}) + "\n"
        for n in range(PARTS)
    ).encode(),
}
LEARN: Final = """
import json, os, sys, time

DATA = "/opt/ml/input/data"
config = json.load(open("/opt/ml/input/config/inputdataconfig.json"))
host = json.load(open("/opt/ml/input/config/resourceconfig.json"))["current_host"]

def passes(name, mode, count):
    for n in range(count):
        if mode == "Pipe":
            while not os.path.exists(f"{DATA}/{name}_{n}"):
                time.sleep(0.002)
            with open(f"{DATA}/{name}_{n}") as file:
                yield file.read()
        else:
            folder = f"{DATA}/{name}"
            yield "".join(open(f"{folder}/{each}").read() for each in sorted(os.listdir(folder)))

os.makedirs("/opt/ml/model/" + host)
for name, each in config.items():
    if name == "program":
        continue
    slope = offset = 0.0
    loss, orders = [], []
    for text in passes(name, each["TrainingInputMode"], 30):
        rows = [tuple(map(float, line.split(","))) for line in text.splitlines()]
        orders.append([x for x, _ in rows])
        loss.append(sum((slope * x + offset - y) ** 2 for x, y in rows) / len(rows))
        for x, y in rows:
            wrong = slope * x + offset - y
            slope -= 0.3 * wrong * x
            offset -= 0.3 * wrong
    learned = {"slope": slope, "offset": offset, "loss": loss, "orders": orders[:3]}
    with open(f"/opt/ml/model/{host}/{name}.json", "w") as file:
        json.dump(learned, file)
"""


def name_of(mode: str, kind: str, distribution: str) -> str:
    return f"{mode}-{kind}-{distribution}"


def asked(mode: str, kind: str, distribution: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3DataDistributionType": distribution}
    if kind == "AugmentedManifestFile":
        source["AttributeNames"] = ["rows-ref"]
    return channel(
        name_of(mode, kind, distribution),
        URIS[kind],
        source=source,
        InputMode=mode,
        ShuffleConfig={"Seed": 7},
        **changes,
    )


TRAINED: Final = Job(
    name="modes",
    main=LEARN,
    objects=OBJECTS,
    channels=[asked(*row) for row in ROWS],
    nodes=NODES,
)


def learned(seen: Seen, row: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Return what each host has learned from a channel."""
    assert seen.status == ("Completed", "Completed"), seen.told
    hosts = [f"algo-{n}" for n in range(1, NODES + 1)]
    return [json.loads(seen.model[f"{host}/{name_of(*row)}.json"]) for host in hosts]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row))
def test_a_model_learns_from_every_mode_type_and_distribution(
    place: Place, row: tuple[str, str, str]
) -> None:
    for model in learned(place.run(TRAINED), row):
        assert abs(model["slope"] - 3) < 0.05
        assert abs(model["offset"] - 2) < 0.05
        assert model["loss"][-1] < model["loss"][0] / 1000


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row))
def test_every_sample_comes_once_to_each_host_or_to_one(
    place: Place, row: tuple[str, str, str]
) -> None:
    everything = sorted(x for part in SAMPLES for x in part)
    epochs = [model["orders"] for model in learned(place.run(TRAINED), row)]
    for hosts in zip(*epochs, strict=True):
        if row[2] == "FullyReplicated":
            assert [sorted(each) for each in hosts] == [everything] * NODES
        else:
            assert sorted(x for each in hosts for x in each) == everything
            assert all(hosts)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row))
def test_pipes_are_shuffled_anew_in_each_epoch_and_files_are_not(
    place: Place, row: tuple[str, str, str]
) -> None:
    for model in learned(place.run(TRAINED), row):
        first, second, third = model["orders"]
        assert (first == second == third) is (row[0] != "Pipe")


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: "-".join(row))
def test_what_a_mode_cannot_give_is_refused_by_name(
    place: Place, row: tuple[str, str, str]
) -> None:
    shed, (mode, kind, _) = place.shed, row
    for key, body in OBJECTS.items():
        shed.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    said = refused(
        lambda: shed.create(
            TrainingJobName=f"refused-{name_of(*row)}",
            algorithm={"TrainingImage": TRAINED.image, "ContainerEntrypoint": ["true"]},
            InputDataConfig=[asked(*row)],
        )
    )
    assert said.startswith("ValidationException: ")
    assert mode in said
    assert kind in said
