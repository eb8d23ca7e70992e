"""What each instance type has: the figures that a container is held to.

``instances.tsv`` beside this file is written by ``tools/instance_types.py``, which names the
sources. Memory is in bytes everywhere but in that file.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One machine's worth of processors, memory and GPUs."""

    cpus: float
    memory: int
    """Bytes."""
    gpus: int = 0
    shm: int = 0
    """Bytes of /dev/shm; 0 for half of the memory."""


def known(instance_type: str) -> Instance | None:
    """Return what a type has, such as ``ml.m5.large`` or EC2's ``m5.large``; None for no type."""
    name = instance_type if instance_type.startswith("ml.") else f"ml.{instance_type}"
    return _catalogue().get(name)


def types() -> tuple[str, ...]:
    """Return every type's name, such as ``ml.m5.large``."""
    return tuple(_catalogue())


@cache
def _catalogue() -> dict[str, Instance]:
    table = files("trainshed.domain").joinpath("instances.tsv").read_text()
    return dict(map(_parsed, table.splitlines()[1:]))


def _parsed(line: str) -> tuple[str, Instance]:
    name, cpus, memory_mib, gpus = line.split("\t")
    return name, Instance(cpus=float(cpus), memory=int(memory_mib) * _MIB, gpus=int(gpus))
