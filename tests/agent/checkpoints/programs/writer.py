"""A training program that saves checkpoints in every nasty way; run as ``writer.py SEED NOTES``.

Before each version it notes the SHA-256 of what the version will be when it is whole, so whatever
is none of these is torn.
"""

import hashlib
import mmap
import os
import random
import sys
import time
from pathlib import Path
from typing import BinaryIO

ROOT = Path("/opt/ml/checkpoints")
CHUNK = 4096
dice = random.Random(int(sys.argv[1]))
notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
size = dice.choice([CHUNK, 40_000, 300_000])


def content() -> bytes:
    data = dice.randbytes(size)
    os.write(notes, hashlib.sha256(data).hexdigest().encode() + b"\n")
    return data


def pour(file: BinaryIO, data: bytes) -> None:
    """Write piece by piece, with the pauses of a slow disk or of a busy device."""
    pause = dice.choice([0.0, 0.0, 0.0005, 0.01])
    stall = dice.randrange(2 * len(data)) // CHUNK * CHUNK
    for start in range(0, len(data), CHUNK):
        file.write(data[start : start + CHUNK])
        file.flush()
        if start == stall:
            time.sleep(dice.choice([0.1, 0.7]))
        if pause:
            time.sleep(pause)


def in_place(path: Path) -> None:
    """Truncate and write, as torch.save does."""
    with path.open("wb") as file:
        pour(file, content())


def over_itself(path: Path) -> None:
    """Write over the old bytes; the size stays."""
    with path.open("r+b" if path.exists() else "wb") as file:
        pour(file, content())


def renamed(path: Path) -> None:
    unfinished = path.with_name(path.name + ".tmp")
    in_place(unfinished)
    unfinished.replace(path)


def folder(step: int) -> None:
    """Several files in a folder that gets its name when it is whole."""
    unfinished = ROOT / f"tmp-checkpoint-{step}"
    unfinished.mkdir(exist_ok=True)
    for name in ("weights", "optimizer", "state"):
        in_place(unfinished / name)
    unfinished.replace(ROOT / f"checkpoint-{step}")
    old = ROOT / f"checkpoint-{step - 2}"
    if old.exists():
        for each in old.iterdir():
            each.unlink()
        old.rmdir()


def anew(path: Path) -> None:
    """Delete the old one first."""
    path.unlink(missing_ok=True)
    in_place(path)


def mapped(path: Path) -> None:
    """Write through memory, long after the file was closed."""
    data = content()
    with path.open("w+b") as file:
        file.truncate(len(data))
        view = mmap.mmap(file.fileno(), len(data))
    for start in range(0, len(data), CHUNK):
        view[start : start + CHUNK] = data[start : start + CHUNK]
        time.sleep(0.0005)
    view.close()


ways = [
    lambda step: in_place(ROOT / "latest.pt"),
    lambda step: over_itself(ROOT / "same.bin"),
    lambda step: renamed(ROOT / "best.ckpt"),
    folder,
    lambda step: anew(ROOT / "only.h5"),
    lambda step: mapped(ROOT / "mapped.npy"),
]
chosen = dice.sample(ways, dice.randint(1, 3))
for step in range(1_000_000):
    dice.choice(chosen)(step)
    time.sleep(dice.choice([0, 0, 0.01, 0.3, 1.2]))
