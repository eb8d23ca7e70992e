"""What a container wrote is taken once and whole, wherever the stream of it breaks off."""

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainshed.agent.runtimes.sibling.transcript import Position, Reading
from trainshed.testing.pod_log import PIECE, Entry, entries, stamp, told

NOW = 1_790_000_000_000_000_000
SECOND = 1_000_000_000

lines = st.one_of(
    st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")),
    st.builds(
        lambda size, byte: byte * size,
        st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 9]),
        st.sampled_from([b"x", b"\r"]),
    ),
    st.sampled_from([stamp(NOW) + b" mine", stamp(NOW + 1), b"2026-01-01T00:00:00Z x"]),
)
steps = st.sampled_from([0, 1, 7, SECOND // 3, SECOND, 5 * SECOND])


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Logs whose times grow from piece to piece, within long lines too."""
    texts = draw(st.lists(lines, max_size=8))
    pieces = [entry.text for text in texts for entry in entries(0, text + b"\n")]
    times = accumulate(draw(st.lists(steps, min_size=len(pieces), max_size=len(pieces))))
    return [Entry(NOW + at, text) for at, text in zip(times, pieces, strict=True)]


def _text(log: list[Entry]) -> bytes:
    return b"".join(entry.text for entry in log)


def _heard(position: Position, data: bytes, cut: int) -> tuple[bytes, bytes, Reading]:
    """Feed one answer in two bits."""
    reading = Reading(position)
    first, second = reading.feed(data[:cut]), reading.feed(data[cut:])
    return first.text + second.text, first.kept + second.kept, reading


breaks = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans()), max_size=6
)


@given(logs(), breaks, st.booleans())
@example([Entry(NOW, b"x" * PIECE), Entry(NOW + SECOND, b"\n")], [(1.0, 0.99, 0.5, False)], True)
def test_each_byte_is_taken_once_wherever_the_stream_is_cut_and_the_agent_dies(
    log: list[Entry], cuts: list[tuple[float, float, float, bool]], old: bool
) -> None:
    position, text, kept = Position(), b"", b""
    for there, heard, bit, dies in cuts:
        data = told(log[: round(there * len(log))], since=position.since, old=old)
        data = data[: round(heard * len(data))]
        new, new_kept, reading = _heard(position, data, round(bit * len(data)))
        text, kept = text + new, kept + new_kept
        assert not reading.words
        assert _text(log).startswith(text)
        if dies:
            # The next agent has the whole lines that were kept, and hands them on again.
            kept = kept[: kept.rfind(b"\n") + 1]
            position = Position()
            text = position.replay(kept)
    data = told(log, since=position.since, old=old)
    new, _, reading = _heard(position, data, len(data) // 2)
    assert text + new == _text(log)
    assert not reading.lost


@given(logs(), st.booleans())
def test_it_does_not_matter_how_an_answer_comes_in_bits(log: list[Entry], old: bool) -> None:
    data = told(log, old=old)
    reading = Reading(Position())
    bits = [data[at : at + 997] for at in range(0, len(data), 997)]
    assert b"".join(reading.feed(bit).text for bit in bits) == _text(log)


def test_only_what_is_of_the_last_two_seconds_is_asked_for_again() -> None:
    log = [Entry(NOW + at * SECOND // 4, b"%d\n" % at) for at in range(20)]
    position = Position()
    Reading(position).feed(told(log))
    assert told(log, since=position.since) == told(log[12:])
    assert Reading(position).feed(told(log, since=position.since)).text == b""


@pytest.mark.parametrize("taken", [3, 7, 10])
def test_when_the_kubelet_threw_lines_away_the_rest_is_taken_and_the_gap_told(taken: int) -> None:
    log = [Entry(NOW + at * SECOND // 4, b"%d\n" % at) for at in range(20)]
    position = Position()
    assert Reading(position).feed(told(log[:taken])).text == _text(log[:taken])
    reading = Reading(position)
    assert reading.feed(told(log[10:], since=position.since)).text == _text(log[10:])
    assert reading.lost


def test_a_line_whose_rest_was_thrown_away_is_ended() -> None:
    position = Position()
    assert Reading(position).feed(told([Entry(NOW, b"beg")])).text == b"beg"
    reading = Reading(position)
    later = [Entry(NOW + SECOND, b"later\n")]
    assert reading.feed(told(later, since=position.since)).text == b"\nlater\n"
    assert reading.lost


def test_lines_that_two_streams_wrote_out_of_order_are_taken_once() -> None:
    log = [Entry(NOW + at, b"%d\n" % at) for at in (0, SECOND + 5, SECOND - 5, SECOND + 9)]
    for cut in range(len(log) + 1):
        position = Position()
        text = Reading(position).feed(told(log[:cut])).text
        assert text + Reading(position).feed(told(log, since=position.since)).text == _text(log)


def test_a_clock_that_was_seen_to_be_set_back_costs_nothing() -> None:
    log = [Entry(NOW + at * SECOND, b"%d\n" % at) for at in (0, 1, -3600, -3599, 3)]
    for cut in range(3, len(log) + 1):
        position = Position()
        text = Reading(position).feed(told(log[:cut])).text
        assert text + Reading(position).feed(told(log, since=position.since)).text == _text(log)


def test_what_the_kubelet_itself_says_is_no_line_of_the_container() -> None:
    reading = Reading(Position())
    said = b"unable to retrieve container logs for docker://4711"
    assert reading.feed(told([Entry(NOW, b"a\n")]) + said).text == b"a\n"
    assert reading.words == said.decode()


def test_times_of_other_zones_are_the_same_times() -> None:
    position = Position()
    data = b"2026-11-22T19:00:01.5+01:00 a\n2026-11-22T18:00:02Z b\n"
    assert Reading(position).feed(data).text == b"a\nb\n"
    assert position.since == "2026-11-22T18:00:01Z"
