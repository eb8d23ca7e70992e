"""``trainshed demo``: a real model, trained, fetched and scored, with nothing to prepare."""

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from trainshed.cli import exits, live, output, session
from trainshed.cli.options import DataDir
from trainshed.cli.run import new_name, place
from trainshed.client import fetch, server
from trainshed.client.download import Download
from trainshed.client.errors import ClientError
from trainshed.client.order import Order
from trainshed.client.references import describe

DIGITS: Final = Path(__file__).parent / "digits"
"""The demo's programs; ordinary files that a user may copy."""
ENOUGH: Final = 0.95
"""The accuracy below which something is broken: this model reaches 0.98."""


def demo(
    work: Annotated[
        Path | None,
        typer.Option(
            "--work", metavar="DIR", help="Folder for data and model [default: in the data folder]."
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Train on handwritten digits, fetch the model, score it on digits it has never seen."""
    if find_spec("sklearn") is None:
        raise ClientError("the demo needs scikit-learn", "pip install 'trainshed[demo]'")
    found, started = session.ensure(data_dir)
    try:
        _demo(found, work, data_dir)
    finally:
        if started:
            server.stop(found, sleep=time.sleep)


def _demo(found: server.Server, work: Path | None, data_dir: Path | None) -> None:
    name = new_name(Path("digits"))
    folder = (work or found.data_dir / "demo" / name).resolve()
    data, holdout = folder / "data", folder / "holdout.csv"
    data.mkdir(parents=True, exist_ok=True)
    _begin("1 data", "8x8 pictures of handwritten digits, a quarter of them held back")
    print(_python("data.py", data / "train.csv", holdout))
    _begin("2 train", f"a job of the SageMaker API, on this machine: {found.url}")
    order = Order(
        name=name,
        script=DIGITS / "train.py",
        data={"train": str(data)},
        hyperparameters={"cost": 10.0, "gamma": 0.001},
        metrics={"validation:accuracy": r"validation:accuracy=([0-9.]+)"},
    )
    api = session.reconnect(data_dir)()
    place(api, order, order.sources())
    view = live.view_for(describe(api, name), quiet=False)
    ended = live.watch(name, view, session.reconnect(data_dir), quiet=False)
    print(live.summary(api, ended))
    status = ended["TrainingJobStatus"]
    if status != "Completed":
        raise typer.Exit(exits.of_job(ended))
    _begin("3 score", "the model is fetched, and reads the digits that were held back")
    how = Download(api=api, progress=_silent)
    model = _model(fetch.fetch_model(how, ended, folder / "model"))
    accuracy = float(_python("score.py", model, holdout))
    print(f"{accuracy:.1%} of them are read right")
    if accuracy < ENOUGH:
        raise ClientError(f"the model's accuracy is {accuracy:.3f}, expected {ENOUGH} or more")
    print("\nnow yours:  trainshed run train.py --data train=./data --hp lr=0.1\n")
    print(f"demo ok: job={name} status={status} accuracy={accuracy:.3f} model={model}", flush=True)


def _begin(step: str, what: str) -> None:
    """Say what comes next, set off from what came before."""
    print(f"\n{output.strong(step)}  {what}", flush=True)


def _python(program: str, *arguments: Path) -> str:
    """Run one of the demo's programs in a process of its own and return what it prints."""
    command = [sys.executable, str(DIGITS / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ClientError(f"{program} failed: {last}", f"run it by hand: {' '.join(command)}")
    return done.stdout.strip()


def _model(files: list[Path]) -> Path:
    for path in files:
        if path.suffix == ".joblib":
            return path
    raise ClientError(f"the model's archive holds {output.plural(len(files), 'file')}, no .joblib")


def _silent(moved: int) -> None:
    """Take note of nothing."""
