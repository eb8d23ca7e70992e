"""Lines of several nodes become one text."""

from collections import deque
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.operator.smlogs.lines import Layout, Line, merged, written_time
from trainshed.operator.smlogs.streams import of_last_attempt, parts

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
AT = 1_574_811_673_449
LINE = Line("digits-fa96/algo-1-1574553166", AT, "epoch 1 loss 0.31")


class Kept:
    """``lines.Unread`` out of a list."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = deque(lines)

    def head(self) -> Line | None:
        return self.lines[0] if self.lines else None

    def take(self) -> Line:
        return self.lines.popleft()


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (AT, "2019-11-26 15:41:13.449 -0800 PST"),
        (AT - 9, "2019-11-26 15:41:13.44 -0800 PST"),
        (AT - 449, "2019-11-26 15:41:13 -0800 PST"),
        (AT - 448, "2019-11-26 15:41:13.001 -0800 PST"),
        (1_563_000_000_000, "2019-07-12 23:40:00 -0700 PDT"),
    ],
)
def test_a_time_is_written_as_go_writes_it(ms: int, text: str) -> None:
    assert written_time(ms, LOS_ANGELES) == text


def test_a_time_is_the_readers_own() -> None:
    assert written_time(AT, UTC) == "2019-11-26 23:41:13.449 +0000 UTC"
    assert written_time(AT, ZoneInfo("Asia/Kolkata")) == "2019-11-27 05:11:13.449 +0530 IST"


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (
            Layout(zone=LOS_ANGELES),
            "digits-fa96/algo-1-1574553166 2019-11-26 15:41:13.449 -0800 PST epoch 1 loss 0.31",
        ),
        (
            Layout(stream=False, zone=LOS_ANGELES),
            "2019-11-26 15:41:13.449 -0800 PST epoch 1 loss 0.31",
        ),
        (Layout(time=False), "digits-fa96/algo-1-1574553166 epoch 1 loss 0.31"),
        (Layout(stream=False, time=False), "epoch 1 loss 0.31"),
    ],
)
def test_a_line_is_written_as_it_always_was(layout: Layout, text: str) -> None:
    assert layout.of(LINE) == text


@given(st.integers(0, 4_102_444_800_000), st.integers(-14, 14))
def test_a_written_time_can_be_read_again(ms: int, hours: int) -> None:
    text = written_time(ms, timezone(timedelta(hours=hours)))
    day, clock, offset, _ = text.split(" ")
    seconds, _, fraction = clock.partition(".")
    assert not fraction.endswith("0")
    moment = datetime.fromisoformat(f"{day}T{seconds}{offset}")
    assert int(moment.timestamp()) * 1000 + int((fraction or "0").ljust(3, "0")) == ms


streams = st.lists(st.lists(st.integers(0, 50), max_size=20), max_size=5)


@given(streams)
def test_merging_keeps_every_line_and_each_streams_order(times: list[list[int]]) -> None:
    written = [
        [Line(f"s{rank}", at, str(n)) for n, at in enumerate(stream)]
        for rank, stream in enumerate(times)
    ]
    told = list(merged([Kept(stream) for stream in written]))
    for rank, stream in enumerate(written):
        assert [line for line in told if line.stream == f"s{rank}"] == stream


@given(streams)
def test_merged_lines_rise_where_each_streams_do(times: list[list[int]]) -> None:
    written = [[Line("s", at, "") for at in sorted(stream)] for stream in times]
    told = [line.at for line in merged([Kept(stream) for stream in written])]
    assert told == sorted(told)


def test_a_streams_name_tells_host_and_attempt() -> None:
    assert parts("digits/algo-12-1574553166000") == ("algo-12", 1574553166000)
    assert parts("digits/abc/i-0f3") == ("i-0f3", 0)


def test_the_last_attempt_is_each_hosts_newest_stream() -> None:
    names = ["j/algo-1-100", "j/algo-1-99", "j/algo-2-101", "j/algo-2-98", "j/odd"]
    assert of_last_attempt(names) == ["j/algo-1-100", "j/algo-2-101", "j/odd"]
