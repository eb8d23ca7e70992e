"""How much of what a backend has, and what that costs: options that backends of every kind take."""

from dataclasses import replace
from typing import Annotated

import msgspec

from trainshed.drivers.base import Capabilities

Count = Annotated[int, msgspec.Meta(ge=0)]
Price = Annotated[float, msgspec.Meta(ge=0)]


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of what a backend has, and what that costs; options of every backend."""

    capacity: dict[str, Count] = msgspec.field(default_factory=dict)
    """Instance type pattern to the nodes of it that may run at once. The closest counts
    (``domain.patterns``); a type that none fits is limited by ``max_nodes`` alone."""
    max_launching: Count = 0
    """Nodes that may be starting at once; 0: as many as may run."""
    prices: dict[str, Price] = msgspec.field(default_factory=dict)
    """Instance type pattern to money per node and hour. The closest counts."""
    spot_prices: dict[str, Price] = msgspec.field(default_factory=dict)
    """The same for managed spot training; where none fits, ``prices`` count."""

    def limited(self, capabilities: Capabilities) -> Capabilities:
        """Return what a backend can do, with these limits and prices."""
        return replace(
            capabilities,
            capacity=tuple(self.capacity.items()),
            max_launching=self.max_launching,
            prices=tuple(self.prices.items()),
            spot_prices=tuple(self.spot_prices.items()),
        )
