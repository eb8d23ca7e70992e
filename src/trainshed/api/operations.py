"""All operations this server offers, in one table; the wire looks each call up in it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from trainshed.wire.message import Call, Reply

Operation = Callable[[Call], Awaitable[dict[str, Any] | Reply]]
"""One operation: a checked call in, the members of its answer out; or ``RequestRejected``."""
Table = Mapping[tuple[str, str], Operation]
"""Operations by ``(service, operation)``, both as botocore spells them."""


def offered(*tables: Table) -> dict[tuple[str, str], Operation]:
    """Return one table of everything in ``tables``.

    Raises:
        ValueError: two tables offer the same operation.
    """
    merged: dict[tuple[str, str], Operation] = {}
    for table in tables:
        if twice := merged.keys() & table.keys():
            raise ValueError(f"offered twice: {sorted(twice)}")
        merged.update(table)
    return merged
