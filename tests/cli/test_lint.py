"""``trainshed lint`` on folders and logs: what it says, and the exit codes a script relies on."""

import json
import re
from pathlib import Path

from tests.cli.conftest import Shell

GOOD = """\
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
open(os.path.join(os.environ["SM_MODEL_DIR"], "model"), "w").close()
"""


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)


def test_a_folder_that_keeps_the_contract_says_what_was_looked_at(shell: Shell) -> None:
    write(shell.folder, train_py=GOOD)
    said = shell("lint", ".", "--hp", "lr=0.1", "--strict")
    assert said.lines == ["nothing found: 1 file in .; script mode with train.py"]
    assert "not looked at: hyperparameters" in shell("lint", "train.py").out


def test_each_finding_has_code_place_consequence_and_remedy(shell: Shell) -> None:
    write(shell.folder, Dockerfile="FROM a\nENTRYPOINT python -u x\n")
    said = shell("lint", ".")
    assert said.lines[:2] == [
        "warning TS101  ENTRYPOINT in shell form",
        "  Dockerfile:2: ENTRYPOINT python -u x",
    ]
    assert said.lines[2].startswith("    happens:   ")
    assert said.lines[3].startswith("    mend:      ")
    assert said.lines[-1].startswith("1 warning: ")
    assert "\033" not in said.out, "colour is for terminals"


def test_warnings_fail_only_when_strict_and_errors_always(shell: Shell) -> None:
    write(shell.folder, train_py=GOOD, Dockerfile="FROM a\nUSER me\n")
    shell("lint", ".", code=0)
    shell("lint", ".", "--strict", code=1)
    shell("lint", ".", "--entry-point", "other.py", code=1)


def test_programs_get_json(shell: Shell) -> None:
    write(shell.folder, train_py="open('/home/me/x')\n")
    found = json.loads(shell("lint", ".", "-o", "json").out)
    assert [(f["code"], f["severity"], f["where"]) for f in found["findings"]] == [
        ("TS314", "warning", "."),
        ("TS206", "note", "train.py"),
        ("TS307", "note", "train.py:1"),
    ]
    assert all(f["mend"] and f["sagemaker"] and f["here"] for f in found["findings"])
    assert found["checked"] == ["1 file in .", "script mode with train.py"]
    lines = shell("lint", ".", "-o", "jsonl").lines
    assert [json.loads(line) for line in lines] == found["findings"]
    assert shell("lint", ".", "-o", "name").lines == ["TS314", "TS206", "TS307"]


def test_metrics_are_shown_against_a_log(shell: Shell) -> None:
    write(shell.folder, a_log="loss=0.5\nx\nloss=0.25\r\n")
    words = ["--metric", "loss=loss=([0-9.]+)", "--metric", "acc=acc=(.)", "--log", "a.log"]
    said = shell("lint", *words)
    assert re.search(r"^loss +2 +2 +0\.5 +0\.25$", said.out, re.MULTILINE)
    assert re.search(r"^acc +0 +0 +- +-$", said.out, re.MULTILINE)
    assert "TS405" in said.out
    assert "not looked at: an image or a folder" in said.out


def test_a_regex_that_never_ends_is_given_up(shell: Shell) -> None:
    write(shell.folder, a_log="a" * 60 + "b\n")
    said = shell("lint", "--metric", "m=^(a+)+$", "--log", "a.log", "-o", "json")
    assert [f["code"] for f in json.loads(said.out)["findings"]] == ["TS407"]


def test_a_request_brings_hyperparameters_metrics_and_entry_point(shell: Shell) -> None:
    script = "import argparse\np = argparse.ArgumentParser()\np.parse_args()\n" + GOOD
    request = {
        "AlgorithmSpecification": {
            "TrainingImage": "x",
            "MetricDefinitions": [{"Name": "m", "Regex": "no group"}],
        },
        "HyperParameters": {"sagemaker_program": "go.py", "epochs": "3"},
    }
    write(shell.folder, go_py=script, other_py=GOOD, job_json=json.dumps(request))
    said = shell("lint", ".", "--request", "job.json", "-o", "json", code=1)
    found = json.loads(said.out)["findings"]
    assert [(f["code"], f["found"]) for f in found] == [
        ("TS303", "--epochs"),
        ("TS402", "no group"),
    ]


def test_a_virtual_environment_and_caches_are_not_code(shell: Shell) -> None:
    write(shell.folder, train_py=GOOD)
    for name in ("venv", "__pycache__"):
        (shell.folder / name).mkdir()
        write(shell.folder / name, bad_py="open('/home/me')")
    (shell.folder / "venv" / "pyvenv.cfg").touch()
    assert shell("lint", ".").lines[0] == "nothing found: 1 file in .; script mode with train.py"


def test_what_cannot_be_looked_at_is_an_error_with_a_remedy(shell: Shell) -> None:
    assert "there is nothing at ./no" in shell("lint", "./no", code=1).err
    assert "name an IMAGE or a DIR" in shell("lint", code=2).err
    write(shell.folder, bad_json="[")
    assert "check --request" in shell("lint", ".", "--request", "bad.json", code=1).err
    assert "check --log" in shell("lint", "--metric", "a=(b)", "--log", "none", code=1).err


def test_an_image_without_an_engine_says_so(shell: Shell) -> None:
    shell.environment["DOCKER_HOST"] = f"unix://{shell.folder}/no.sock"
    said = shell("lint", "image:1", code=1)
    assert "image:1 is no folder" in said.err
    assert "trainshed doctor" in said.err
