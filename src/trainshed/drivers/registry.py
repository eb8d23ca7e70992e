"""The table of drivers: a kind's name to the class that has it, imported only when it is used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from trainshed.drivers.base import Driver

DRIVERS: Final[Mapping[str, str]] = {
    "local": "trainshed.drivers.local.driver:LocalDriver",
    "kubernetes": "trainshed.drivers.kubernetes.driver:KubernetesDriver",
    "simulated": "trainshed.testing.simulation.driver:SimulatedDriver",
}


def find(kind: str) -> Callable[..., Driver]:
    """Return the class of a kind of driver; its parameters are its own.

    Raises:
        KeyError: there is no such kind.
    """
    module, _, name = DRIVERS[kind].partition(":")
    found: Callable[..., Driver] = getattr(import_module(module), name)
    return found
