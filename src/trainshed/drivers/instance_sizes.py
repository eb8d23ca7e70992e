"""What instance types mean on a backend, as its settings say it."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from trainshed.domain import sizes
from trainshed.domain.instances import Instance


class InstanceSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What nodes of an instance type get."""

    cpus: Annotated[float, msgspec.Meta(gt=0)]
    memory: str
    """Such as ``16g``."""
    gpus: Annotated[int, msgspec.Meta(ge=0)] = 0
    shm: str = ""
    """Size of /dev/shm; half of the memory when it is not said."""

    def instance(self) -> Instance:
        """Return it in bytes.

        Raises:
            ValueError: a size is none.
        """
        shm = sizes.parse(self.shm) if self.shm else 0
        memory = sizes.parse(self.memory)
        return Instance(cpus=self.cpus, memory=memory, gpus=self.gpus, shm=shm)


def instances(told: Mapping[str, InstanceSize]) -> tuple[tuple[str, Instance], ...]:
    """Return (pattern, instance) in bytes.

    Raises:
        ValueError: a size is none; the message names its pattern.
    """
    found = []
    for pattern, size in told.items():
        try:
            found.append((pattern, size.instance()))
        except ValueError as error:
            raise ValueError(f"instances: {pattern!r}: {error}") from error
    return tuple(found)


def in_bytes(option: str, text: str) -> int:
    """Return a size in bytes, 0 when it is not said.

    Raises:
        ValueError: it is none; the message names the option.
    """
    try:
        return sizes.parse(text) if text else 0
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error
