"""Lines on disk."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.stores.logs.format import decode, encode, encode_lines, pieces

TIMES = st.integers(0, 10**15 - 1)


@given(ms=TIMES, text=st.binary())
def test_every_event_is_one_line_and_comes_back(ms: int, text: bytes) -> None:
    line = encode(ms, text)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == decode(line[:-1]) == (ms, text.decode("utf-8", "replace"))


@given(st.lists(st.binary()))
def test_lines_laid_end_to_end_come_apart_again(texts: list[bytes]) -> None:
    joined = b"".join(encode(1, text) for text in texts)
    assert [decode(line)[1] for line in joined.split(b"\n")[:-1]] == [
        text.decode("utf-8", "replace") for text in texts
    ]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"5 a\\nb\\\\n\n", (5, "a\nb\\n")),
        (b"5 \n", (5, "")),
        (b"5  x\r \n", (5, " x\r ")),
        (b"5 \\t\\", (5, "\\t\\")),
        (b"5 \xff", (5, "�")),
        (b"no time\n", (0, "no time")),
        (b"5", (0, "5")),
        (b"", (0, "")),
        (b"9" * 5000 + b" x", (0, "9" * 5000 + " x")),
    ],
)
def test_every_line_has_a_meaning(line: bytes, event: tuple[int, str]) -> None:
    assert decode(line) == event


@given(text=st.text(), size=st.integers(4, 9))
def test_pieces_are_short_whole_characters_and_all_there(text: str, size: int) -> None:
    parts = list(pieces(text.encode(), size))
    assert "".join(part.decode() for part in parts) == text
    assert all(len(part) <= size for part in parts)
    assert all(parts) or not text


@given(text=st.binary(), size=st.integers(4, 9))
def test_pieces_of_any_bytes_are_all_there(text: bytes, size: int) -> None:
    parts = list(pieces(text, size))
    assert b"".join(parts) == text
    assert all(len(part) <= size for part in parts)


def test_agents_get_the_format_without_any_library() -> None:
    code = (
        "import sys; import trainshed.stores.logs.format; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'msgspec', 'sqlalchemy', 'botocore', 'starlette', 'asyncio'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n"


@given(ms=TIMES, texts=st.lists(st.binary().map(lambda text: text.replace(b"\n", b""))))
def test_many_lines_at_once_are_the_same_as_one_after_the_other(
    ms: int, texts: list[bytes]
) -> None:
    whole = b"".join(text + b"\n" for text in texts)
    assert encode_lines(ms, whole) == (b"".join(encode(ms, text) for text in texts), len(texts))
