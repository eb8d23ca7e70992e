"""``trainshed`` and pods: a script of this machine runs there, its model comes back, and people
look in."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.kubernetes import images
from tests.kubernetes.cluster import until
from tests.kubernetes.shed import BACKEND, PodShed

from trainshed.testing.server import TRAINSHED

pytestmark = pytest.mark.kubernetes

TRAINS = """
import argparse, json, os, pathlib
asked = argparse.ArgumentParser()
asked.add_argument("--lr", type=float)
lr = asked.parse_args().lr
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv").read_text().split()
print(f"{len(data)} points", flush=True)
model = json.dumps({"lr": lr, "points": len(data)})
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(model)
"""
TICKS = """
import pathlib, sys, time
print("began", flush=True)
while not pathlib.Path("/tmp/gate").exists():
    print("tick", flush=True)
    time.sleep(0.1)
sys.exit(3)
"""


def command(shed: PodShed, *words: str) -> list[str]:
    """Return a command line for the shed's server."""
    end = words.index("--") if "--" in words else len(words)
    return [str(TRAINSHED), *words[:end], "--data-dir", str(shed.server.data), *words[end:]]


def trainshed(shed: PodShed, folder: Path, *words: str) -> str:
    """Return what a command prints that works."""
    ran = subprocess.run(
        command(shed, *words), cwd=folder, capture_output=True, text=True, timeout=150, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_script_of_this_machine_trains_in_a_pod_and_its_model_comes_back(
    shed: PodShed, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAINS)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "points.csv").write_text("1\n2\n3\n")

    where = ("--on", BACKEND, "--image", images.PYTHON, "--name", "from-here")
    data = ("--data", "train=./data", "--hp", "lr=0.1")
    said = trainshed(shed, tmp_path, "run", "train.py", *where, *data)
    assert "3 points" in said
    trainshed(shed, tmp_path, "artifacts", "get", "from-here")
    model = next(tmp_path.rglob("model.json"))
    assert json.loads(model.read_text()) == {"lr": 0.1, "points": 3}
    shed.nothing_left()


def test_a_pod_is_looked_into_and_its_end_is_the_end_of_who_watches(
    shed: PodShed, tmp_path: Path
) -> None:
    (tmp_path / "ticks.py").write_text(TICKS)
    where = ("--on", BACKEND, "--image", images.PYTHON, "--name", "ticks")
    trainshed(shed, tmp_path, "run", "--detach", *where, "ticks.py")
    until("it ticks", lambda: "tick" in shed.lines("ticks"))
    told = trainshed(shed, tmp_path, "exec", "ticks", "--", "hostname")
    assert told == "algo-1\n"
    with subprocess.Popen(
        command(shed, "attach", "ticks"), stdout=subprocess.PIPE, text=True
    ) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "tick\n"
        trainshed(shed, tmp_path, "exec", "ticks", "--", "touch", "/tmp/gate")
        attached.communicate(timeout=90)
    assert attached.returncode == 3
    shed.over("ticks")
    over = subprocess.run(
        command(shed, "exec", "ticks"), capture_output=True, text=True, check=False
    )
    assert "ticks is over (Failed)" in over.stderr
