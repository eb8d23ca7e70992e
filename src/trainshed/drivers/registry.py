"""The table of drivers: a kind's name to the module that has it, imported only when used."""

from collections.abc import Mapping
from typing import Final

DRIVERS: Final[Mapping[str, str]] = {
    "local": "trainshed.drivers.local.driver:LocalDriver",
}
