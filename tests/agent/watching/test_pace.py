"""Rests between reads: in floods only, and never longer than the pipe has room for."""

import os
from collections.abc import Iterator

import pytest

from trainshed.agent.watching.pace import Pace

MIB = 1024 * 1024


@pytest.fixture
def pace() -> Iterator[Pace]:
    ends = os.pipe()
    yield Pace(ends[:1])
    for end in ends:
        os.close(end)


def test_what_a_person_can_read_is_read_at_once(pace: Pace) -> None:
    assert not any(pace.seconds(2000, 0.02) for _ in range(1000))


def test_a_burst_is_read_at_once(pace: Pace) -> None:
    assert [pace.seconds(8000, 0.001) for _ in range(3)] == [0, 0, 0]
    assert pace.seconds(100, 1.0) == 0
    assert pace.seconds(8000, 0.001) == 0


@pytest.mark.parametrize("rate", [MIB, 2 * MIB, 20 * MIB, 50 * MIB])
def test_a_flood_is_read_in_pieces_that_never_fill_the_pipe(pace: Pace, rate: int) -> None:
    took, sizes = 0.001, []
    for _ in range(100):
        sizes.append(int(rate * took))
        took = pace.seconds(sizes[-1], took) + 0.001
    assert max(sizes) < MIB / 4
    assert sizes[-1] >= min(50_000, rate // 500)


def test_a_pipe_that_is_always_full_is_read_without_rest(pace: Pace) -> None:
    assert not any(pace.seconds(MIB // 4, 0.002) for _ in range(100))


def test_what_is_no_pipe_can_be_read_too() -> None:
    fd = os.eventfd(0)
    pace = Pace([fd])
    assert any(pace.seconds(2000, 0.001) for _ in range(10))
    os.close(fd)
