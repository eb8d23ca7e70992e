"""Cutting into lines: the same lines as cutting each by itself, however the bytes come."""

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainshed.agent.watching.lines import TAIL, Lines, behind
from trainshed.stores.logs.format import MAX_EVENT_BYTES, pieces

MAX = MAX_EVENT_BYTES
TEXTS = st.lists(
    st.sampled_from(
        [b"", b"a", b"\r", b"b\r", b"\x00", b"\\n", b"\xff\xfe", "é".encode(), b"x" * 100]
    )
    | st.binary(max_size=6)
)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in places if place < len(data)), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def fed(parts: list[bytes]) -> bytes:
    lines = Lines()
    return b"".join(map(lines.feed, parts)) + lines.flush()


def one_by_one(data: bytes) -> bytes:
    """Return what must come out, by the meaning of a line."""
    *whole, rest = data.split(b"\n")
    found = [piece for line in whole for piece in pieces(line.removesuffix(b"\r"))]
    if rest:
        ending = b"\r" if rest.endswith(b"\r") else b""
        *early, last = pieces(rest.removesuffix(ending))
        found += [*early, last + ending]
    return b"".join(piece + b"\n" for piece in found)


@given(TEXTS, CUTS)
def test_lines_do_not_depend_on_how_the_stream_is_cut(
    texts: list[bytes], places: list[int]
) -> None:
    data = b"\n".join(texts)
    assert fed(cut(data, places)) == one_by_one(data)


@settings(max_examples=40)
@given(
    lengths=st.lists(
        st.sampled_from([0, 1, MAX - 1, MAX, MAX + 1, 2 * MAX, 2 * MAX + 5]), min_size=1, max_size=4
    ),
    letter=st.sampled_from([b"x", "é".encode(), b"\xff"]),
    ending=st.sampled_from([b"\n", b"\r\n"]),
    closed=st.booleans(),
    places=st.lists(st.integers(0, 4 * MAX), max_size=6),
    shift=st.integers(0, 3),
)
@example(lengths=[MAX], letter=b"x", ending=b"\r\n", closed=True, places=[MAX + 1], shift=0)
@example(lengths=[MAX + 1], letter=b"x", ending=b"\r\n", closed=True, places=[MAX + 2], shift=0)
def test_lines_too_long_for_an_event_come_in_the_same_pieces(
    lengths: list[int],
    letter: bytes,
    ending: bytes,
    closed: bool,
    places: list[int],
    shift: int,
) -> None:
    texts = [b"y" * shift + letter * (length // len(letter)) for length in lengths]
    data = ending.join(texts) + (ending if closed else b"")
    out = fed(cut(data, places))
    assert out == one_by_one(data)
    assert all(len(line) <= MAX + 1 for line in out.split(b"\n"))


@given(TEXTS, st.integers(-2, 9))
def test_the_first_lines_can_be_left_out(texts: list[bytes], count: int) -> None:
    lines = b"".join(text.replace(b"\n", b"") + b"\n" for text in texts)
    assert behind(lines, count).split(b"\n") == lines.split(b"\n")[max(min(count, len(texts)), 0) :]


def test_the_end_of_a_stream_is_kept_and_no_more() -> None:
    lines, said = Lines(), b"".join(b"%07d\n" % n for n in range(100_000))
    for start in range(0, len(said), 1000):
        lines.feed(said[start : start + 1000])
    assert lines.tail() == said[-TAIL:].decode()
    lines.feed(said)
    assert lines.tail() == said[-TAIL:].decode()
