"""What a simulated place is like, as it stands in the settings: ``[backends.NAME]``."""

from typing import Annotated

import msgspec

from trainshed.domain import patterns
from trainshed.drivers.base import Capabilities
from trainshed.testing.simulation.script import Script

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_PerHour = Annotated[float, msgspec.Meta(ge=0)]


class Messages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of what agents tell."""

    lost: _Share = 0.0
    """Share that never comes, or whose answer never does: agents tell it again."""
    doubled: _Share = 0.0
    """Share that comes twice."""
    delay: _Seconds = 0.0
    """Each comes up to that much later."""
    again: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Seconds after which an agent that got no answer tells it again."""


class SimulatedBackend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place with instances that do not exist."""

    max_nodes: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Nodes that may run at once; further jobs wait."""
    max_launching: _Count = 0
    """Nodes that may be starting at once; 0: as many as run."""
    capacity: dict[str, _Count] = {}
    """Instance type pattern to how many of them may run at once, which the queue knows."""
    stock: dict[str, list[_Count]] = {}
    """Instance type pattern to how many the place really has, which nobody knows before launching:
    one number after the other, each for ``stock_seconds``, and then from the first again."""
    stock_seconds: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    prices: dict[str, float] = {}
    """Instance type pattern to money per node and hour."""
    spot_prices: dict[str, float] = {}
    """The same for managed spot training."""
    stop_seconds: _Seconds = 120.0
    """Between SIGTERM and SIGKILL."""
    launch_seconds: _Seconds = 0.0
    """From launching to the agent's start."""
    warm_launch_seconds: _Seconds = 0.0
    """The same where an instance of that type was let go a moment ago."""
    warm_for: _Seconds = 0.0
    """How long an instance that was let go stays warm."""
    launch_failures: _Share = 0.0
    """Share of launches for which the place has no capacity at that moment."""
    losses_per_hour: _PerHour = 0.0
    """How often a node is lost, with all that runs there."""
    interruptions_per_hour: _PerHour = 0.0
    """How often the place takes a spot node back, after ``job.notice`` seconds."""
    seed: int = 0
    """The same seed, the same fate, for nodes of the same ids."""
    job: Script = Script()
    """What jobs do whose hyperparameters say nothing else."""
    messages: Messages = Messages()

    def capabilities(self) -> Capabilities:
        """Return what the engine is told of the place."""
        return Capabilities(
            max_nodes=self.max_nodes,
            max_launching=self.max_launching,
            capacity=tuple(self.capacity.items()),
            prices=tuple(self.prices.items()),
            spot_prices=tuple(self.spot_prices.items()),
            grace=self.stop_seconds,
            runtime="simulated",
        )

    def stock_of(self, instance_type: str) -> str:
        """Return the pattern whose number an instance of this type counts for; "" for none."""
        return patterns.closest(instance_type, self.stock) or ""

    def stock_at(self, pattern: str, now: float) -> int:
        """Return how many a stock has at a moment, in seconds since the epoch."""
        numbers = self.stock[pattern]
        return numbers[int(now // self.stock_seconds) % len(numbers)] if numbers else 0
