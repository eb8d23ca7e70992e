"""What becomes of /opt/ml/checkpoints, and of what was kept before."""

import json

import pytest
from tests.contract.job import BUCKET, PYTHON, Job
from tests.contract.place import Place

SAVES = """
import os, probe, sys
folder = sys.argv[1] if len(sys.argv) > 1 else "/opt/ml/checkpoints"
found = {}
for parent, _, names in os.walk(folder):
    for name in names:
        path = os.path.join(parent, name)
        found[os.path.relpath(path, folder)] = [open(path).read(), os.path.getmtime(path)]
probe.save(found=found)
for path, text in {"step-2/w": "new", "same": "same", "old": "changed"}.items():
    target = os.path.join(folder, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w") as file:
        file.write(text)
if os.path.exists(os.path.join(folder, "step-1/w")):
    os.remove(os.path.join(folder, "step-1/w"))
"""


def _saves(name: str, local: str = "", image: str = PYTHON) -> Job:
    kept = f"output/contract-{name}/kept"
    config = {"S3Uri": f"s3://{BUCKET}/{kept}", **({"LocalPath": local} if local else {})}
    return Job(
        name=name,
        main=SAVES,
        image=image,
        algorithm={"ContainerArguments": [local]} if local else {},
        objects={
            f"{kept}/": b"",
            f"{kept}/step-1/w": b"1",
            f"{kept}/old": b"2",
            f"{kept}er/neighbour": b"3",
        },
        request={"CheckpointConfig": config},
    )


HERE = _saves("checkpoints")
ELSEWHERE = _saves("checkpoints-elsewhere", "/own/checkpoints")
AS_ANOTHER = _saves("checkpoints-user", image="trainshed-test/contract-user")
BOTH = pytest.mark.parametrize("job", [HERE, ELSEWHERE], ids=["default", "elsewhere"])


@BOTH
def test_what_lies_below_the_uri_is_there_before_the_program(place: Place, job: Job) -> None:
    found = place.run(job).look["found"]
    assert {path: text for path, (text, _) in found.items()} == {"step-1/w": "1", "old": "2"}


@BOTH
def test_new_and_changed_files_are_stored_as_they_are(place: Place, job: Job) -> None:
    objects = place.run(job).objects
    assert objects["kept/step-2/w"] == b"new"
    assert objects["kept/same"] == b"same"
    assert objects["kept/old"] == b"changed"


@BOTH
def test_a_file_that_the_program_deletes_is_deleted_in_the_store(place: Place, job: Job) -> None:
    assert "kept/step-1/w" not in place.run(job).objects


def test_a_neighbour_whose_name_begins_alike_is_left_alone(place: Place) -> None:
    assert place.run(HERE).objects["kepter/neighbour"] == b"3"


def test_a_manifest_tells_what_was_kept(place: Place) -> None:
    manifest = json.loads(place.run(HERE).objects["kept/.trainshed/algo-1.json"])
    assert manifest["job"] == "contract-checkpoints"
    assert set(manifest["files"]) == {"step-2/w", "same", "old"}


def test_how_much_was_kept_is_told_with_the_status(place: Place) -> None:
    training = [
        each["StatusMessage"]
        for each in place.run(HERE).told["SecondaryStatusTransitions"]
        if each["Status"] == "Training"
    ]
    assert training[0].startswith(
        "Training image download completed. Training in progress. "
        "Checkpoints: 3 files (14 B) kept at "
    )


@pytest.mark.docker
def test_an_images_own_user_may_change_and_delete_what_was_brought(containers: Place) -> None:
    objects = containers.run(AS_ANOTHER).objects
    assert objects["kept/old"] == b"changed"
    assert "kept/step-1/w" not in objects
