"""What a container engine's machine has, and what of it a container gets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trainshed.agent.node import NodeOver
from trainshed.agent.runtimes.docker.engine import Engine
from trainshed.domain.facts import Outcome
from trainshed.domain.plan import NodePlan, Resources

_GPUS: Final = Path("/proc/driver/nvidia/gpus")
"""A folder for each GPU that NVIDIA's driver runs."""
_GIB: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """An engine and what it has to give."""

    version: str
    cpus: int
    memory: int
    """Bytes."""
    gpus: int
    """GPUs that containers can be given."""
    gpu_driver: str = ""
    """How they are asked for: ``nvidia`` or ``cdi``."""
    rootless: bool = False
    """Whether the engine runs as a plain user: who is root in its containers, and its networks
    are none of the machine's."""


def look(engine: Engine) -> Machine:
    """Ask an engine what it has.

    Raises:
        EngineError: it does not say.
    """
    return described(engine.get("/info"), _gpus_here())


def described(info: dict[str, Any], gpus: int) -> Machine:
    """Return what an engine's ``/info`` tells, on a machine with so many GPUs."""
    driver = ""
    if "nvidia" in (info.get("Runtimes") or {}):
        driver = "nvidia"
    elif any(str(each.get("ID", "")).startswith("nvidia.com/gpu") for each in _devices(info)):
        driver = "cdi"
    return Machine(
        version=str(info.get("ServerVersion", "")),
        cpus=int(info["NCPU"]),
        memory=int(info["MemTotal"]),
        gpus=gpus if driver else 0,
        gpu_driver=driver,
        rootless=any("name=rootless" in each.split(",") for each in _security(info)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a container gets."""

    cpus: float = 0.0
    """0 for no limit."""
    memory: int = 0
    """Bytes; 0 for no limit."""
    shm: int
    """Bytes."""
    gpus: int = 0
    notes: tuple[str, ...] = ()
    """Where that is less than was asked for."""


def share(plan: NodePlan, machine: Machine, free: int) -> Share:
    """Return what a node's container gets.

    Args:
        plan: the node's.
        machine: where it runs.
        free: bytes of disk that are free for the node's folder.

    Raises:
        NodeOver: what was asked for can't be done with less.
    """
    wanted = plan.resources
    if wanted is None:
        return Share(shm=machine.memory // 2)
    if wanted.gpus > machine.gpus:
        found = str(machine.gpus) if machine.gpus else "none"
        raise NodeOver(
            Outcome.FAILED,
            f"ClientError: instance type {plan.instance_type} has {_counted(wanted.gpus)}, "
            f"this machine's engine offers {found}; use an instance type without, or say what "
            f'"{plan.instance_type}" means here in [backends.docker.instances] (gpus = 0)',
        )
    if wanted.shm > machine.memory:
        raise NodeOver(
            Outcome.FAILED,
            f"ClientError: a /dev/shm of {_gib(wanted.shm)} was asked for, and this machine has "
            f"{_gib(machine.memory)} of memory; ask for less (the tag trainshed:shm-size, or shm "
            "in [backends.docker])",
        )
    memory = min(wanted.memory, machine.memory)
    return Share(
        cpus=min(wanted.cpus, float(machine.cpus)),
        memory=memory,
        shm=wanted.shm or memory // 2,
        gpus=wanted.gpus,
        notes=tuple(_notes(plan.instance_type, wanted, machine, free)),
    )


def _notes(instance_type: str, wanted: Resources, machine: Machine, free: int) -> list[str]:
    notes = []
    less = []
    if wanted.cpus > machine.cpus:
        less.append(f"{machine.cpus} of {wanted.cpus:g} processors")
    if wanted.memory > machine.memory:
        less.append(f"{_gib(machine.memory)} of {_gib(wanted.memory)} of memory")
    if less:
        notes.append(f"{instance_type}: this machine has {' and '.join(less)}")
    if wanted.volume > free:
        notes.append(
            f"VolumeSizeInGB asks for {_gib(wanted.volume)}, and this machine's disk has "
            f"{_gib(free)} free"
        )
    return notes


def _counted(gpus: int) -> str:
    return f"{gpus} GPU" if gpus == 1 else f"{gpus} GPUs"


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"


def _devices(info: dict[str, Any]) -> list[dict[str, Any]]:
    return list(info.get("DiscoveredDevices") or [])


def _security(info: dict[str, Any]) -> list[str]:
    return list(info.get("SecurityOptions") or [])


def _gpus_here() -> int:
    return len(list(_GPUS.iterdir())) if _GPUS.is_dir() else 0
