"""In which order a node is given what a channel has, and which part of it, epoch by epoch.

All nodes work it out alone and must agree, so nothing here depends on where it runs. Source: Amazon
SageMaker API reference, ShuffleConfig and S3DataSource: the seed alone decides the order, so two
channels with one seed and as many objects stay side by side; where a channel is dealt to several
nodes as well, each epoch deals anew.
"""

import random
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainshed.domain.plan import NodePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How one node goes through a channel."""

    seed: int | None
    """``ShuffleConfig.Seed``; None leaves everything where it stands."""
    rank: int
    """Of this node among those that share the channel, from 0."""
    share: int
    """How many nodes share it; 1 where each is given all of it."""

    @classmethod
    def of(cls, channel: Mapping[str, Any], plan: NodePlan) -> "Order":
        """Return the order that a request asks for on the plan's node."""
        shuffle = channel.get("ShuffleConfig")
        seed = None if shuffle is None else int(shuffle["Seed"])
        source = channel["DataSource"]["S3DataSource"]
        if source.get("S3DataDistributionType") != "ShardedByS3Key":
            return cls(seed=seed, rank=0, share=1)
        names = set(source.get("InstanceGroupNames") or ())
        sharing = [
            host
            for group in plan.instance_groups
            if group["instance_group_name"] in names
            for host in group["hosts"]
        ]
        hosts = [host for host in plan.hosts if host in sharing] if sharing else list(plan.hosts)
        return cls(seed=seed, rank=hosts.index(plan.host), share=len(hosts))

    def numbers(self, count: int, epoch: int) -> Iterator[int]:
        """Yield which of ``count`` things this node is given in an epoch, in order."""
        if self.seed is None:
            yield from range(self.rank, count, self.share)
            return
        yield from shuffled(count, f"{self.seed}/{epoch}")[self.rank :: self.share]


def shuffled(count: int, seed: str) -> "array[int]":
    """Return the numbers from 0 to ``count`` - 1, shuffled; the same for the same seed, always.

    Of the random module only ``random()`` is promised never to change: Python library reference,
    "Notes on Reproducibility".
    """
    found = array("Q", range(count))
    draw = random.Random(seed).random  # noqa: S311 - an order, not a secret
    for last in range(count - 1, 0, -1):
        other = int(draw() * (last + 1))
        found[last], found[other] = found[other], found[last]
    return found
