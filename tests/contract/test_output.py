"""What becomes of /opt/ml/model and /opt/ml/output/data."""

import io
import tarfile

import pytest
from tests.contract.job import BUCKET, Job
from tests.contract.place import Place

MAKES = """
import os, probe
probe.write("model/weights.bin", bytes(range(256)))
probe.write("model/deep/er/config.json", "{}")
probe.write("model/.hidden", "h")
probe.write("model/größe 日本.txt", "u")
probe.write("model/empty", "")
probe.write("model/run.sh", "#!/bin/sh")
os.chmod("/opt/ml/model/run.sh", 0o755)
os.symlink("weights.bin", "/opt/ml/model/link")
os.symlink("/opt/ml/model/weights.bin", "/opt/ml/model/absolute")
os.symlink("/etc/passwd", "/opt/ml/model/elsewhere")
os.mkfifo("/opt/ml/model/pipe")
os.mkdir("/opt/ml/model/nothing")
probe.write("output/data/report.txt", "r")
probe.write("output/data/plots/loss.svg", "<svg/>")
probe.write("output/other.txt", "not kept")
probe.write("output/metrics/sagemaker/x.json", "not kept")
probe.write("checkpoints/step-1", "not kept")
probe.write("tmp.txt", "not kept")
"""
MADE = Job(name="makes", main=MAKES)
PLAIN = Job(
    name="makes-plain",
    main=MAKES,
    request={
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/plain/", "CompressionType": "NONE"}
    },
)
NOTHING = Job(name="makes-nothing", main="pass")
ONLY_DATA = Job(name="makes-data", main="import probe; probe.write('output/data/a', '1')")
SLASH = Job(
    name="slash",
    main="import probe; probe.write('model/a', '1')",
    request={"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/with/slash/"}},
)
SHARED = Job(
    name="makes-shared",
    nodes=2,
    main="""
import probe
host = probe.config("resourceconfig")["current_host"]
probe.write(f"model/{host}.bin", host)
probe.write("model/same.bin", host)
probe.write(f"output/data/{host}.txt", host)
""",
)

KEPT = Job(
    name="keeps-intermediate",
    hyperparameters={"sagemaker_s3_output": f"s3://{BUCKET}/output"},
    main="""
import probe
probe.write("output/intermediate/deep/step", "1")
probe.write("output/data/report", "r")
""",
)


def members(place: Place, job: Job) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(place.run(job).objects["output/model.tar.gz"])) as tar:
        return {member.name: member for member in tar}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.bin", bytes(range(256))),
        ("deep/er/config.json", b"{}"),
        (".hidden", b"h"),
        ("größe 日本.txt", b"u"),
        ("empty", b""),
        ("link", bytes(range(256))),
        ("absolute", bytes(range(256))),
    ],
)
def test_a_file_of_the_model_is_in_the_archive(place: Place, name: str, content: bytes) -> None:
    assert place.run(MADE).model[name] == content


def test_the_archive_begins_at_the_content_of_the_model_folder(place: Place) -> None:
    names = members(place, MADE)
    assert not any(name.startswith(("/", "./", "model/", "opt/")) for name in names)


def test_a_file_keeps_its_mode(place: Place) -> None:
    found = members(place, MADE)
    assert (found["run.sh"].mode, found["weights.bin"].mode) == (0o755, 0o644)


@pytest.mark.parametrize("name", ["elsewhere", "pipe"])
def test_what_is_no_file_of_the_model_is_left_out_and_told(place: Place, name: str) -> None:
    seen = place.run(MADE)
    assert name not in seen.model
    assert any(f"model/{name} is " in line for line in seen.lines["algo-1"])


def test_other_output_is_an_archive_of_its_own(place: Place) -> None:
    assert place.run(MADE).output == {"report.txt": b"r", "plots/loss.svg": b"<svg/>"}


def test_nothing_but_the_two_archives_is_stored(place: Place) -> None:
    assert set(place.run(MADE).objects) == {"output/model.tar.gz", "output/output.tar.gz"}


def test_the_models_address_is_told(place: Place) -> None:
    seen = place.run(MADE)
    where = f"s3://{BUCKET}/output/{seen.name}/output/model.tar.gz"
    assert seen.told["ModelArtifacts"] == {"S3ModelArtifacts": where}


def test_the_models_address_is_told_from_the_first_moment(place: Place) -> None:
    seen = place.run(MADE)
    assert seen.at_first["ModelArtifacts"] == seen.told["ModelArtifacts"]


def test_a_slash_at_the_end_of_the_output_path_changes_nothing(place: Place) -> None:
    seen = place.run(SLASH)
    assert set(seen.objects) == {"output/model.tar.gz"}
    where = f"s3://{BUCKET}/with/slash/{seen.name}/output/model.tar.gz"
    assert seen.told["ModelArtifacts"]["S3ModelArtifacts"] == where


def test_an_empty_model_is_not_stored(place: Place) -> None:
    assert place.run(NOTHING).objects == {}


def test_an_empty_model_is_no_failure(place: Place) -> None:
    assert place.run(NOTHING).status == ("Completed", "Completed")


def test_other_output_is_stored_without_a_model(place: Place) -> None:
    seen = place.run(ONLY_DATA)
    assert set(seen.objects) == {"output/output.tar.gz"}
    assert seen.output == {"a": b"1"}


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("output/model/weights.bin", bytes(range(256))),
        ("output/model/deep/er/config.json", b"{}"),
        ("output/model/größe 日本.txt", b"u"),
        ("output/model/link", bytes(range(256))),
        ("output/data/report.txt", b"r"),
        ("output/data/plots/loss.svg", b"<svg/>"),
    ],
)
def test_without_compression_files_are_stored_as_they_are(
    place: Place, key: str, content: bytes
) -> None:
    assert place.run(PLAIN).objects[key] == content


def test_without_compression_there_is_no_archive(place: Place) -> None:
    assert [key for key in place.run(PLAIN).objects if key.endswith(".tar.gz")] == []


def test_without_compression_the_models_address_is_a_folder(place: Place) -> None:
    seen = place.run(PLAIN)
    where = f"s3://{BUCKET}/plain/{seen.name}/output/model/"
    assert seen.told["ModelArtifacts"]["S3ModelArtifacts"] == where


@pytest.mark.parametrize("name", ["algo-1.bin", "algo-2.bin"])
def test_the_models_of_all_hosts_become_one_archive(place: Place, name: str) -> None:
    assert place.run(SHARED).model[name] == name.removesuffix(".bin").encode()


def test_the_other_output_of_all_hosts_becomes_one_archive(place: Place) -> None:
    assert place.run(SHARED).output == {"algo-1.txt": b"algo-1", "algo-2.txt": b"algo-2"}


def test_of_files_with_one_name_the_last_hosts_is_kept_and_it_is_told(place: Place) -> None:
    seen = place.run(SHARED)
    assert seen.model["same.bin"] == b"algo-2"
    told = "same.bin was made by more than one host: the one of algo-2 is kept"
    assert any(told in line for line in seen.lines["algo-1"])


def test_nothing_is_left_of_how_hosts_bring_their_parts(place: Place) -> None:
    assert set(place.run(SHARED).objects) == {"output/model.tar.gz", "output/output.tar.gz"}


def test_intermediate_output_is_kept_where_the_hyperparameter_says(place: Place) -> None:
    seen = place.run(KEPT)
    assert seen.status == ("Completed", "Completed")
    assert seen.objects["output/intermediate/deep/step"] == b"1"


def test_intermediate_output_is_no_part_of_the_other_output(place: Place) -> None:
    assert place.run(KEPT).output == {"report": b"r"}
