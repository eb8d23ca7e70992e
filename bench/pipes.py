"""Pipe mode from files of this machine: what comes out of the pipe."""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.nodes import node
from trainshed.agent.feeding.line import Line
from trainshed.agent.steps.inputs import bring_inputs
from trainshed.agent.steps.layout import lay_out
from trainshed.agent.watching.ending import Ending

ROUNDS: Final = 5
FILES: Final = 16
SIZE: Final = 128 << 20
MIB: Final = 1 << 20


def measure() -> dict[str, float]:
    """Return the median over epochs, in GiB/s."""
    with tempfile.TemporaryDirectory(prefix="trainshed-bench-") as text:
        folder = Path(text)
        data = folder / "data"
        data.mkdir()
        for n in range(FILES):
            with (data / f"{n:02d}").open("wb") as file:
                for _ in range(SIZE // MIB):
                    file.write(os.urandom(MIB))
        source = {"S3DataType": "S3Prefix", "S3Uri": f"file://{data}/"}
        channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
        here = node(
            folder / "node", channels=(channel,), input_mode="Pipe", file_roots=(str(folder),)
        )
        lay_out(here)
        bring_inputs(here)
        ending = Ending()
        line = Line(here, ending)
        line.begin()
        try:
            seconds = [_epoch(here.tree.data / f"train_{epoch}") for epoch in range(ROUNDS)]
        finally:
            ending.note_over()
            line.finish()
    rate = FILES * SIZE / (1 << 30) / statistics.median(seconds)
    return {"Pipe mode from local files, GiB/s (bound 1)": rate}


def _epoch(pipe: Path) -> float:
    while not pipe.exists():
        time.sleep(0.001)
    began, got = time.monotonic(), 0
    buffer = bytearray(MIB)
    with pipe.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            got += count
    if got != FILES * SIZE:
        raise RuntimeError(f"{pipe.name} gave {got} bytes of {FILES * SIZE}")
    return time.monotonic() - began
