"""Which images run in place of those that jobs name, as a backend's settings say it."""

from collections.abc import Mapping
from typing import Final

from trainshed.domain.names import PYTHON_IMAGE
from trainshed.domain.patterns import closest

_PYTHONS_OWN: Final = "python:3.12"


def images(told: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return (image name pattern, image), with one for ``PYTHON_IMAGE`` if no pattern fits that."""
    if closest(PYTHON_IMAGE, told) is not None:
        return tuple(told.items())
    return (*told.items(), (PYTHON_IMAGE, _PYTHONS_OWN))
