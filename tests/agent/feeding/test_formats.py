"""Frames, gzip, lines and lists, as they are put together and taken apart."""

import gzip
import io
import json
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagemaker_training.recordio import _read_recordio

from trainshed.agent.channels.items import BadInput
from trainshed.agent.feeding import augmented
from trainshed.agent.feeding.gzipped import NotGzip, unpacked
from trainshed.agent.feeding.lines import lines
from trainshed.agent.feeding.recordio import LONGEST, MAGIC, frames
from trainshed.agent.feeding.spool import Spool

PAYLOADS = st.lists(st.binary(max_size=40), max_size=8)


def wrapped(payload: bytes, longest: int = LONGEST) -> bytes:
    found, done = b"", 0
    for header, length, padding in frames(len(payload), longest):
        found += header + payload[done : done + length] + padding
        done += length
    assert done == len(payload)
    return found


def taken_apart(data: bytes) -> Iterator[bytes]:
    """Yield records as a reader does that knows of records in several frames."""
    file = io.BytesIO(data)
    record = b""
    while header := file.read(8):
        magic, told = struct.unpack("<II", header)
        assert magic == MAGIC
        flag, length = told >> 29, told & (1 << 29) - 1
        assert (flag in {2, 3}) == bool(record)
        record += file.read(length)
        assert file.read(-length % 4) == bytes(-length % 4)
        if flag in {0, 3}:
            yield record
            record = b""
    assert not record


@given(PAYLOADS)
def test_amazons_reader_finds_every_record(payloads: list[bytes]) -> None:
    data = b"".join(map(wrapped, payloads))
    assert len(data) % 4 == 0
    assert list(_read_recordio(io.BytesIO(data))) == payloads


@given(st.binary(min_size=1, max_size=200), st.integers(1, 12).map(lambda n: n * 4))
def test_a_record_that_is_too_long_for_a_frame_goes_in_several(payload: bytes, most: int) -> None:
    data = wrapped(payload, most)
    assert list(taken_apart(data)) == [payload]
    assert data.count(struct.pack("<I", MAGIC)) >= -(-len(payload) // most)


def test_the_longest_frame_fits_its_header() -> None:
    sizes = [(told[1] >> 29, length) for told, length in _headers(3 * LONGEST + 1)]
    assert sizes == [(1, LONGEST), (2, LONGEST), (2, LONGEST), (3, 1)]
    assert [length for _, length in _headers(LONGEST)] == [LONGEST]
    assert LONGEST < 1 << 29


def _headers(size: int) -> list[tuple[tuple[int, int], int]]:
    return [(struct.unpack("<II", header), length) for header, length, _ in frames(size)]


@given(PAYLOADS, st.integers(1, 30), st.integers(0, 9))
def test_members_are_unpacked_however_they_are_cut(
    payloads: list[bytes], cut: int, zeros: int
) -> None:
    packed = b"".join(map(gzip.compress, payloads)) + bytes(zeros if payloads else 0)
    pieces = [packed[start : start + cut] for start in range(0, len(packed), cut)]
    assert b"".join(unpacked(pieces)) == b"".join(payloads)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_gzip_that_is_cut_anywhere_is_noticed(payload: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(payload)
    end = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(NotGzip):
        list(unpacked([packed[:end]]))


def test_what_unfolds_hugely_comes_in_pieces() -> None:
    pieces = list(unpacked([gzip.compress(bytes(50 << 20), 1)]))
    assert sum(map(len, pieces)) == 50 << 20
    assert max(map(len, pieces)) <= 1 << 20


@given(st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_lines_are_whole_however_they_are_cut(found: list[bytes], cut: int) -> None:
    text = b"".join(line + b"\n" for line in found)
    pieces = (memoryview(text[start : start + cut]) for start in range(0, len(text), cut))
    assert list(lines(pieces, "file")) == found


def test_a_last_line_needs_no_end_and_an_endless_one_is_refused() -> None:
    assert list(lines(iter([memoryview(b"a\nb")]), "file")) == [b"a", b"b"]
    with pytest.raises(BadInput, match="line 2 of s3://b/k has more than 16 MiB"):
        list(lines(iter([memoryview(b"a\n"), memoryview(bytes(17 << 20))]), "s3://b/k"))


@given(st.lists(st.binary(max_size=20)))
def test_a_list_on_disk_gives_back_what_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes]
) -> None:
    spool = Spool(tmp_path_factory.getbasetemp() / "spool")
    for record in records:
        spool.add(record)
    spool.settle()
    assert [spool[number] for number in range(len(spool))] == records
    spool.close()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("größe", "größe"),
        ("", ""),
        (1, "1"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        ([1, "a"], '[1, "a"]'),
        ({"a": "ö"}, '{"a": "ö"}'),
    ],
)
def test_an_attribute_is_streamed_as_text(value: object, text: str) -> None:
    [part] = augmented.parts(json.dumps({"x": value}).encode(), ["x"], "line 1")
    assert part.text == text.encode()
