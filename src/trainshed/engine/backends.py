"""The places where jobs may run, as the engine is given them."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainshed.drivers.base import Driver


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The configured backends."""

    drivers: Mapping[str, Driver]
    """By name."""
    default: str
    """The name of the one that jobs go to which name none."""
