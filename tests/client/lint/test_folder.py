"""A folder of code is judged with what its Dockerfile and the request say."""

from typing import Any

from hypothesis import given as holds_for
from hypothesis import strategies as st

from trainshed.client.lint import dockerfile
from trainshed.client.lint.facts import Asked, File, asked_by
from trainshed.client.lint.folder import Folder, of_folder

MEMBERS = [
    "AlgorithmSpecification",
    "TrainingImage",
    "MetricDefinitions",
    "Name",
    "Regex",
    "ContainerEntrypoint",
    "ContainerArguments",
    "HyperParameters",
    "sagemaker_program",
    "Environment",
    "ResourceConfig",
    "VolumeSizeInGB",
    "EnableNetworkIsolation",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(MEMBERS), inner),
    max_leaves=6,
)
SCRIPT = "import signal  # SIGTERM\nopen('/opt/ml/model/m', 'w')\n"
STRICT = (
    "import argparse, signal  # SIGTERM /opt/ml/model\np = argparse.ArgumentParser()\n"
    "p.parse_args()\n"
)


def folder(recipe: str = "", **texts: str) -> Folder:
    files = {
        name.replace("_", "."): File(path=name.replace("_", "."), executable=False, text=text)
        for name, text in texts.items()
    }
    return Folder(
        name="code", files=files, recipe=dockerfile.read(f"FROM a\n{recipe}") if recipe else None
    )


def found(given: Folder, **asked: Any) -> list[tuple[str, str]]:
    return [(f.rule.code, f.where) for f in of_folder(given, Asked(**asked))]


def test_a_script_that_keeps_the_contract_gives_no_finding() -> None:
    given = folder(train_py=SCRIPT, requirements_txt="numpy==2.0\n-r more.txt\n# x\n")
    assert found(given, entry_point="train.py") == []


def test_the_entry_point_must_be_there() -> None:
    assert found(folder(a_py=SCRIPT), entry_point="b.py") == [("TS311", "code")]


def test_requirements_without_versions_are_one_note() -> None:
    given = folder(train_py=SCRIPT, requirements_txt="numpy>=1 # why\n\ntorch\nx==1\n")
    (finding,) = of_folder(given, Asked(entry_point="train.py"))
    assert (finding.rule.code, finding.where) == ("TS312", "requirements.txt:1")
    assert finding.found == "numpy>=1 and 1 more"


def test_requirements_cannot_be_installed_without_a_network() -> None:
    given = folder(train_py=SCRIPT, requirements_txt="numpy==1\n")
    assert found(given, entry_point="train.py", isolated=True) == [("TS313", "requirements.txt")]


def test_a_model_must_be_written_somewhere_in_the_folder() -> None:
    assert found(folder(a_py="SIGTERM\n")) == [("TS314", "code")]
    for text in ('"SM_MODEL_DIR"', '"--model-dir"', '"/opt/ml"', "model_dir = 1"):
        assert found(folder(a_py="x = 1\n", b_py=text)) == [], text
    assert found(folder(notes_txt="no code here")) == []


def test_the_script_of_an_entrypoint_is_found_through_copy() -> None:
    recipe = 'WORKDIR /app\nCOPY . .\nENTRYPOINT ["python", "-u", "train.py"]'
    assert found(folder(recipe, train_py=STRICT)) == [("TS207", "train.py")]
    lenient = STRICT.replace("parse_args", "parse_known_args")
    assert found(folder(recipe, train_py=lenient)) == [("TS107", "Dockerfile:4")]


def test_a_train_on_path_is_found_and_judged() -> None:
    recipe = 'ENV PATH="/opt/program:${PATH}"\nCOPY train /opt/program/train'
    script = "#!/bin/sh\npython -u x.py  # /opt/ml/model\n"
    assert found(folder(recipe, train=script)) == [("TS201", "train"), ("TS205", "train:2")]
    mended = recipe + "\nRUN chmod +x /opt/program/train"
    assert found(folder(mended, train=script)) == [("TS205", "train:2")]


def test_shell_scripts_with_windows_line_ends_are_told_once_each() -> None:
    recipe = 'COPY a.sh b.sh t.py /\nENTRYPOINT ["/bin/bash", "/a.sh"]'
    crlf = "set -e\r\nexec /opt/ml\r\n"
    given = folder(recipe, a_sh=crlf, b_sh=crlf, t_py="x = 1\r\n")
    ends = [pair for pair in dict.fromkeys(found(given)) if pair[0] == "TS202"]
    assert ends == [("TS202", "a.sh:1"), ("TS202", "b.sh:1")]


def test_copies_below_opt_ml_are_judged_with_their_lines() -> None:
    recipe = "COPY a /opt/ml/model/\nCOPY b /opt/ml/code/\nCOPY c /opt/ml/\nCOPY d /opt/"
    assert found(folder(recipe)) == [("TS211", "Dockerfile:2"), ("TS212", "Dockerfile:4")]


def test_amazons_images_and_toolkit_bring_what_the_dockerfile_does_not_say() -> None:
    cmd = 'CMD ["python", "-u", "x.py"]'
    assert found(folder(cmd)) == [("TS106", "Dockerfile:2")]
    assert found(folder(f"RUN pip install sagemaker-training\n{cmd}")) == []
    amazon = Folder(
        name="code",
        files={},
        recipe=dockerfile.read(f"FROM 763104351884.dkr.ecr.eu-west-1.amazonaws.com/x\n{cmd}"),
    )
    assert found(amazon) == []


def test_a_script_of_script_mode_is_judged_by_the_request() -> None:
    request = {
        "AlgorithmSpecification": {"ContainerEntrypoint": ["/bin/bash"]},
        "HyperParameters": {"sagemaker_program": '"train.py"', "lr": "0.1"},
        "EnableNetworkIsolation": True,
        "ResourceConfig": {"VolumeSizeInGB": 2},
    }
    asked = asked_by(request)
    assert asked.entry_point == "train.py"
    assert asked.entrypoint == ("/bin/bash",)
    assert asked.volume == 2 * 2**30
    codes = [f.rule.code for f in of_folder(folder(train_py=STRICT), asked)]
    assert codes == ["TS303"]


@holds_for(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_any_json_can_be_read_as_a_request(request: dict[str, Any]) -> None:
    list(of_folder(folder("CMD x", train_py=STRICT), asked_by(request)))


def test_a_request_of_odd_members_is_read_as_if_they_were_not_given() -> None:
    assert asked_by({}) == Asked(hyperparameters={})
    odd = asked_by({"HyperParameters": [], "AlgorithmSpecification": 3, "ResourceConfig": None})
    assert odd == Asked(hyperparameters={})
