"""What a node costs, as far as the settings say it."""

from collections.abc import Mapping, Sequence

from trainshed.domain import patterns
from trainshed.drivers.base import Capabilities

_SECONDS_AN_HOUR = 3600


class Prices:
    """The prices of every backend."""

    def __init__(self, backends: Mapping[str, Capabilities]) -> None:
        """Take what each backend has, by its name."""
        self._backends = backends

    def cost(self, seconds: float, *, backend: str, instance_type: str, spot: bool) -> float | None:
        """Return what one node costs in that time, in the settings' money; None when unknown.

        A spot node whose spot price is not known counts with the usual one. Unknown is it, too,
        without a type: in a job with InstanceGroups each node may have another.
        """
        has = self._backends.get(backend)
        if has is None or not instance_type:
            return None
        price = _closest(has.spot_prices, instance_type) if spot else None
        if price is None:
            price = _closest(has.prices, instance_type)
        return None if price is None else price * seconds / _SECONDS_AN_HOUR


def _closest(prices: Sequence[tuple[str, float]], instance_type: str) -> float | None:
    """Return the price whose pattern fits best; ``ml.`` before a type may be left out."""
    price = patterns.value(instance_type, prices)
    return patterns.value(instance_type.removeprefix("ml."), prices) if price is None else price
