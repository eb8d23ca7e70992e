"""A model's archive, beside Python's gzip at its usual level."""

import gzip
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.measured import own_cpu
from trainshed.agent.outputs import archive
from trainshed.agent.written.folder import Folder
from trainshed.stores.objects.remote.sinks import Sink

ROUNDS: Final = 3
SIZE: Final = 1 << 30
GZIP_SIZE: Final = 128 << 20
"""Bytes that the yardstick packs: it takes half a minute for the whole."""
FILES: Final = 8
MIB: Final = 1 << 20


class _Counted:
    """A sink that only counts."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        return len(data)


def measure() -> dict[str, float]:
    """Return MiB per processor second, and the ratio that the bound is set on."""
    with tempfile.TemporaryDirectory(prefix="trainshed-bench-") as folder:
        model = Path(folder)
        _weights(model)
        ours, usual = [], []
        for _ in range(ROUNDS):
            ours.append(_cost(lambda sink: _packed(model, sink)) / SIZE)
            usual.append(_cost(lambda sink: _usual(model, sink)) / GZIP_SIZE)
    mine, theirs = statistics.median(ours), statistics.median(usual)
    return {
        "model.tar.gz of 1 GiB of weights: ours, MiB per CPU second": 1 / mine / MIB,
        "the same by Python's gzip level 6, MiB per CPU second": 1 / theirs / MIB,
        "CPU efficiency / gzip level 6 (bound 8)": theirs / mine,
    }


def _cost(work: Callable[[Sink], None]) -> float:
    began = own_cpu()
    work(_Counted())
    return own_cpu() - began


def _packed(model: Path, sink: Sink) -> None:
    pieces = archive.collect(Folder(model, model, seen_as=str(model)), model.name, print)
    archive.write_tar(pieces, sink, print, compress=True)


def _usual(model: Path, sink: Sink) -> None:
    """Pack the first of the weights as ``gzip.open`` does by default, but for level 6."""
    left = GZIP_SIZE
    with gzip.GzipFile("", "wb", 6, sink) as packed:  # type: ignore[call-overload]
        for path in sorted(model.iterdir()):
            with path.open("rb") as file:
                while left > 0 and (piece := file.read(MIB)):
                    packed.write(piece)
                    left -= len(piece)


def _weights(model: Path) -> None:
    """Write normally distributed float32, as weights are."""
    import numpy as np  # noqa: PLC0415 - of the demo's environment, for this suite alone

    random = np.random.default_rng(0)
    for n in range(FILES):
        with (model / f"{n}.bin").open("wb") as file:
            for _ in range(SIZE // FILES // (4 * MIB)):
                values = random.normal(0, 0.02, MIB).astype(np.float32)
                file.write(values.tobytes())
