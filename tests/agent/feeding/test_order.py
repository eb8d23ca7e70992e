"""Epochs and shares: every node works out alone what all of them agree on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.agent.channels.order import Order, shuffled
from trainshed.testing.plans import node_plan

COUNTS = st.integers(0, 300)
SHARES = st.integers(1, 9)
SEEDS = st.none() | st.integers(-(2**63), 2**63 - 1)
EPOCHS = st.integers(0, 1000)


def dealt(count: int, share: int, seed: int | None, epoch: int) -> list[list[int]]:
    return [
        list(Order(seed=seed, rank=rank, share=share).numbers(count, epoch))
        for rank in range(share)
    ]


@given(COUNTS, SHARES, SEEDS, EPOCHS)
def test_each_epoch_is_dealt_completely_and_to_nobody_twice(
    count: int, share: int, seed: int | None, epoch: int
) -> None:
    hands = dealt(count, share, seed, epoch)
    assert sorted(number for hand in hands for number in hand) == list(range(count))
    assert max(map(len, hands)) - min(map(len, hands)) <= 1


@given(COUNTS, SHARES, EPOCHS)
def test_without_a_shuffle_everything_stands_where_it_stood(
    count: int, share: int, epoch: int
) -> None:
    for rank, hand in enumerate(dealt(count, share, None, epoch)):
        assert hand == list(range(rank, count, share))


@given(COUNTS, SEEDS, EPOCHS)
def test_a_seed_decides_the_order(count: int, seed: int | None, epoch: int) -> None:
    assert dealt(count, 3, seed, epoch) == dealt(count, 3, seed, epoch)


def test_the_order_of_a_seed_never_changes() -> None:
    # A job may go on with the next release: these are what every release gave.
    assert list(shuffled(10, "7/0")) == [8, 3, 4, 2, 1, 9, 6, 0, 5, 7]


def test_epochs_and_seeds_differ() -> None:
    orders = {
        tuple(Order(seed=seed, rank=0, share=1).numbers(20, epoch))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_in_every_place_everything_comes_as_often() -> None:
    places = [[0] * 4 for _ in range(4)]
    for seed in range(4000):
        for place, number in enumerate(shuffled(4, str(seed))):
            places[place][number] += 1
    assert all(850 < times < 1150 for row in places for times in row)


@pytest.mark.parametrize(
    ("source", "host", "rank", "share"),
    [
        ({}, "algo-2", 0, 1),
        ({"S3DataDistributionType": "FullyReplicated"}, "algo-2", 0, 1),
        ({"S3DataDistributionType": "ShardedByS3Key"}, "algo-3", 2, 3),
        (
            {"S3DataDistributionType": "ShardedByS3Key", "InstanceGroupNames": ["big"]},
            "algo-3",
            1,
            2,
        ),
        (
            {"S3DataDistributionType": "ShardedByS3Key", "InstanceGroupNames": ["big", "small"]},
            "algo-3",
            2,
            3,
        ),
    ],
)
def test_a_channel_is_dealt_to_the_nodes_it_goes_to(
    tmp_path: Path, source: Mapping[str, Any], host: str, rank: int, share: int
) -> None:
    plan = node_plan(
        tmp_path,
        server_url="",
        token="",
        host=host,
        hosts=("algo-1", "algo-2", "algo-3"),
        instance_groups=(
            {"instance_group_name": "small", "instance_type": "t", "hosts": ["algo-1"]},
            {"instance_group_name": "big", "instance_type": "t", "hosts": ["algo-2", "algo-3"]},
        ),
    )
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    assert Order.of(channel, plan) == Order(seed=None, rank=rank, share=share)
