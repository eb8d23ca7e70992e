"""The kinds of backends that settings may name, and what each can be told.

``[backends.local]`` and ``[backends.docker]`` are of the kind of their name. Every other table says
its kind, so there may be several of one: ``[backends.spare]`` with ``kind = "docker"``.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, Final

import msgspec

OWN_NAMES: Final = frozenset({"local", "docker"})
"""Backends that are there without a ``kind``, some without a table."""
KINDS: Final[Mapping[str, str]] = {
    "local": "trainshed.app.settings:LocalBackend",
    "docker": "trainshed.app.settings:DockerBackend",
    "kubernetes": "trainshed.drivers.kubernetes.options:KubernetesBackend",
    "simulated": "trainshed.testing.simulation.options:SimulatedBackend",
}
"""By kind, where its options are: imported only when they are asked for."""


class Further(msgspec.Struct, frozen=True, kw_only=True):
    """A backend with a name of its own."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    kind: str
    options: Any
    """What ``KINDS`` has for its kind."""


def further(tables: Mapping[str, Any]) -> dict[str, Further]:
    """Return the backends with names of their own, from the tables below ``backends``.

    Raises:
        ValueError: one has no kind, or what it says is no option of its kind.
    """
    return {name: _further(name, table) for name, table in tables.items() if name not in OWN_NAMES}


def _further(name: str, table: Any) -> Further:  # noqa: ANN401 - whatever stands in the file
    options = dict(table) if isinstance(table, dict) else {}
    kind = options.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(
            f"backends.{name}: kind is {kind!r}; it must be one of {', '.join(sorted(KINDS))}"
        )
    module, _, struct = KINDS[kind].partition(":")
    try:
        made = msgspec.convert(options, getattr(import_module(module), struct))
        return msgspec.convert({"name": name, "kind": kind, "options": made}, Further)
    except msgspec.ValidationError as error:
        raise ValueError(f"backends.{name}: {error}") from error
