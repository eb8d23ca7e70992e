"""Images as people have them: their own programs, Amazon's toolkit, and no toolkit at all."""

import csv
import io
import pickle
from typing import Any

import numpy as np
import pytest
from tests.clients.running import ROOT, run
from tests.docker.shed import PROGRAMS, PYTHON, DockerShed
from tests.journeys.shed import BUCKET, channel

pytestmark = pytest.mark.docker

BYOC = "trainshed-test/byoc"
AMAZONS = "trainshed-test/sagemaker-training"


def flowers() -> Any:
    """Return the lengths, four to a row, and the kinds."""
    from sklearn.datasets import load_iris  # noqa: PLC0415 - 60 MB in every process of the tests

    return load_iris(return_X_y=True)


def iris() -> str:
    """Return the flowers as rows: the kind, then four lengths."""
    measures, kinds = flowers()
    text = io.StringIO()
    csv.writer(text).writerows([kind, *row] for kind, row in zip(kinds, measures, strict=True))
    return text.getvalue()


def test_an_image_that_somebody_built_for_sagemaker_trains_unchanged(shed: DockerShed) -> None:
    shed.put({"flowers/iris.csv": iris()})
    name = shed.train(
        BYOC,
        InputDataConfig=[channel("training", "flowers/")],
        HyperParameters={"max_leaf_nodes": "5"},
    )
    shed.completed(name)
    assert shed.lines(name)[-1] == "learned from 150 rows, leaves=5"
    tree = pickle.loads(shed.archive(name)["decision-tree.pkl"])
    measures, kinds = flowers()
    assert tree.get_n_leaves() == 5
    assert np.mean(tree.predict(measures) == kinds) > 0.95


def test_its_failure_file_is_the_failure_reason(shed: DockerShed) -> None:
    shed.put({"weeds/iris.csv": "setosa,not,a,number\n"})
    name = shed.train(BYOC, InputDataConfig=[channel("training", "weeds/")])
    reason = shed.failed(name)
    assert reason.startswith("AlgorithmError: Exception during training: could not convert string")
    assert reason.endswith(", exit code: 255")
    assert not shed.keys(f"output/{name}/output/model")


def test_with_amazons_toolkit_or_with_none_a_script_makes_the_same_model(
    shed: DockerShed,
) -> None:
    shed.put({"points/points.csv": "1,3\n2,6\n3,9\n"})
    trained = [
        shed.run_script(
            "weights.py",
            image,
            InputDataConfig=[channel("train", "points/")],
            HyperParameters={"epochs": "7", "learning-rate": "0.05", "note": '"a text"'},
        )
        for image in (AMAZONS, PYTHON)
    ]
    for name in trained:
        shed.completed(name)
    amazons, ours = (shed.archive(name) for name in trained)
    assert sorted(ours) == ["said.json", "weights.bin"]
    assert ours == amazons


def test_the_sagemaker_sdk_gets_the_same_from_both(shed: DockerShed) -> None:
    shed.put({"points/points.csv": "1,3\n2,6\n3,9\n"})
    said = run(
        [
            *(ROOT / ".venv-sdk2" / "bin" / "python", PROGRAMS / "sdk2_same_script.py"),
            *(BUCKET, PROGRAMS, AMAZONS, PYTHON),
        ],
        shed.server.exported(),
    )
    trained = [line.split("=")[1] for line in said.splitlines() if line.startswith("job=")]
    assert len(trained) == 2
    for name in trained:
        shed.completed(name)
    amazons, ours = (shed.archive(name) for name in trained)
    assert ours == amazons
    assert len(ours["weights.bin"]) == 64 * 8
