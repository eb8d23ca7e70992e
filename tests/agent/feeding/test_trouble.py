"""What can't be fed, before and in the middle: no reader is shown an end that is not one."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.conftest import Agent
from tests.agent.feeding.conftest import READER, piped, working_for

MakeAgent = Callable[..., Agent]
Write = Callable[[str], tuple[str, ...]]
Read = Callable[..., Agent]

TAKE_ON = """
file = epoch(0)
print(file.read(3).decode(), flush=True)
print(file.read(), "the end", flush=True)
"""


def test_an_object_that_is_gone_in_the_middle_fails_the_job(
    read: Read, data: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "list"
    manifest.write_text(json.dumps([{"prefix": f"file://{data}/"}, "3", "gone", "0"]))
    node = read(TAKE_ON, piped(manifest, kind="ManifestFile"))
    assert node.ended() == (
        "failed",
        (
            f"ClientError: Data download failed:file://{data}/gone does not exist "
            f"(entry 2 of the manifest file://{manifest} names it)"
        ),
    )
    assert node.lines() in ([], ["<3>"])  # it may be killed before it reads at all
    assert working_for(node) == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (gzip.compress(b"abc" * 99, mtime=0)[:-1], "it ends in the middle of what was packed"),
        (gzip.compress(b"abc" * 99, mtime=0)[:-8] + bytes(8), "it is not gzip, or broken: "),
        (gzip.compress(b"abc", mtime=0) + b"more than there was", "it is not gzip, or broken: "),
        (b"never packed at all", "it is not gzip, or broken: "),
    ],
)
def test_broken_gzip_fails_the_job(read: Read, tmp_path: Path, broken: bytes, reason: str) -> None:
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/1").write_bytes(gzip.compress(b"<1>"))
    (tmp_path / "packed/2").write_bytes(broken)
    node = read(TAKE_ON, piped(tmp_path / "packed", CompressionType="Gzip"))
    outcome, said = node.ended()
    assert outcome == "failed"
    assert said.startswith(
        f"ClientError: Data download failed:S3 key: file://{tmp_path}/packed/2: {reason}"
    )
    assert node.lines() in ([], ["<1>"])  # it may be killed before it reads at all


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('{"a": 1}\n{"a": \n', "line 2 of {} is not JSON (Expecting value at character 7): "),
        ('{"a": 1}\n\n{"a": 1}\n', "line 2 of {} is blank"),
        ('{"a": 1}\n{"b": 1, "A": 2}\n', 'line 2 of {} lacks the attribute "a"; it has b, A'),
        ("[1]\n", "line 1 of {} is not a JSON object: '[1]'"),
        ("", "S3 key: {} matched no files on s3"),
    ],
)
def test_a_bad_line_of_an_augmented_manifest_fails_the_job_before_it_starts(
    read: Read, tmp_path: Path, lines: str, reason: str
) -> None:
    manifest = tmp_path / "augmented"
    manifest.write_text(lines)
    source = {"AttributeNames": ["a"]}
    node = read("print('began')", piped(manifest, kind="AugmentedManifestFile", source=source))
    outcome, said = node.ended()
    assert outcome == "failed"
    wanted = reason.format(f"file://{manifest}")
    assert said.startswith(f"ClientError: Data download failed:{wanted}")
    assert "training" not in node.kinds()
    assert working_for(node) == []


@pytest.mark.parametrize("value", [5, None, "image.png", "s3:/x"])
def test_a_reference_that_is_no_address_fails_the_job_before_it_starts(
    read: Read, tmp_path: Path, value: object
) -> None:
    manifest = tmp_path / "augmented"
    manifest.write_text(json.dumps({"image-ref": value}))
    source = {"AttributeNames": ["image-ref"]}
    node = read("print('began')", piped(manifest, kind="AugmentedManifestFile", source=source))
    assert "line 1 of file://" in node.ended()[1]
    assert '"image-ref", which must be an S3 URI' in node.ended()[1]


def test_a_channel_in_the_way_of_a_pipe_is_refused(read: Read, data: Path) -> None:
    node = read("print('began')", piped(data, name="x"), piped(data, name="x_10"))
    outcome, said = node.ended()
    assert outcome == "failed"
    assert said.startswith('ClientError: the pipes of channel "x" are called "x_0"')


def test_what_lies_in_the_way_of_the_next_pipe_is_never_written_to(
    read: Read, data: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    node = read(
        f"os.symlink({str(victim)!r}, '/opt/ml/input/data/train_1')\n"
        "print(epoch(0).read()); print(open('/opt/ml/input/data/train_1').read())",
        piped(data),
    )
    assert node.lines() == ["b'<0><1><2><3><4>'", "<0><1><2><3><4>"]
    assert victim.read_text() == "untouched"


def test_a_script_that_waits_for_a_pipe_is_stopped_as_any_other(
    agent: MakeAgent, python: Write, data: Path
) -> None:
    script = READER + "print(len(epoch(0).read()), flush=True); file = epoch(1); time.sleep(600)"
    node = agent(entrypoint=python(script), channels=[piped(data)]).start()
    node.wait_for_line("15")
    node.signal(15)
    node.wait()
    assert node.ended() == ("stopped", "")
    assert working_for(node) == []


def test_a_folder_in_the_way_of_the_next_pipe_is_named(read: Read, data: Path) -> None:
    node = read(
        "os.mkdir('/opt/ml/input/data/train_1'); epoch(0).read(); time.sleep(600)", piped(data)
    )
    outcome, said = node.ended()
    assert outcome == "failed"
    assert said.startswith('ClientError: channel "train": there is a folder called train_1')


def test_a_script_that_clears_its_data_away_wants_no_more(read: Read, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    size = 3 << 20  # a pipe holds 1 MiB: none follows in the middle of the clearing
    (tmp_path / "data/0").write_bytes(bytes(size))
    node = read(
        "file = epoch(0); import shutil; shutil.rmtree('/opt/ml/input/data')\n"
        "print(len(file.read()), os.path.exists('/opt/ml/input/data'))",
        piped(tmp_path / "data"),
    )
    assert node.ended() == ("completed", "")
    assert node.lines() == [f"{size} False"]


def test_a_feeding_process_that_has_no_room_to_say_what_failed_still_ends_the_job(
    agent: MakeAgent, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("1")
    node = agent("echo never", channels=[piped(tmp_path / "data")])
    node.folder.mkdir(parents=True)
    (node.folder / "feeding.log").symlink_to("/dev/full")
    (node.folder / "feeding").write_text("in the way")
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert "cannot be fed here" in reason


def test_a_fault_of_our_own_while_feeding_fails_the_job_and_leaves_its_traces(
    read: Read, data: Path
) -> None:
    node = read("print('began')", piped(data, ShuffleConfig={"Seed": "none"}))
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: feeding failed: ValueError: invalid literal")
    assert node.lines() == []
    assert working_for(node) == []
